//! The fields of Envoy's messages that these rules know: judged, or without harm. Those of Envoy 1.40.
//!
//! A later Envoy may add a field that switches the Check off, as 1.40 did with `shadow_mode`. A field that is
//! not in these lists is reported as unknown.

use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::tree::{Node, camel, shortened};

static UNKNOWN_FIELD: Rule = Rule::new(
    Severity::Unknown,
    "unknown-field",
    &["N01"],
    "what this field does is not known here: it may be that of a newer Envoy, and open anything",
    "leave it out; or allow it, after reading what it does",
)
.allowable();

pub(crate) static RULES: &[&Rule] = &[&UNKNOWN_FIELD];

/// A message of Envoy's.
#[derive(Debug)]
pub(crate) struct Message {
    name: &'static str,
    fields: &'static [&'static str],
}

pub(crate) const CHECK: Message = Message {
    name: "ExtAuthz",
    fields: &[
        "grpc_service",
        "http_service",
        "transport_api_version",
        "failure_mode_allow",
        "failure_mode_allow_header_add",
        "with_request_body",
        "clear_route_cache",
        "clear_route_cache_headers",
        "status_on_error",
        "validate_mutations",
        "metadata_context_namespaces",
        "typed_metadata_context_namespaces",
        "route_metadata_context_namespaces",
        "route_typed_metadata_context_namespaces",
        "filter_enabled",
        "filter_enabled_metadata",
        "deny_at_disable",
        "include_peer_certificate",
        "stat_prefix",
        "bootstrap_metadata_labels_key",
        "allowed_headers",
        "disallowed_headers",
        "include_tls_session",
        "charge_cluster_response_stats",
        "encode_raw_headers",
        "decoder_header_mutation_rules",
        "enable_dynamic_metadata_ingestion",
        "filter_metadata",
        "emit_filter_state_stats",
        "max_denied_response_body_bytes",
        "enforce_response_header_limits",
        "shadow_mode",
        "emit_client_span",
    ],
};

pub(crate) const PER_ROUTE: Message =
    Message { name: "ExtAuthzPerRoute", fields: &["disabled", "check_settings"] };

pub(crate) const SETTINGS: Message = Message {
    name: "CheckSettings",
    fields: &[
        "context_extensions",
        "disable_request_body_buffering",
        "with_request_body",
        "grpc_service",
        "http_service",
        "emit_client_span",
    ],
};

pub(crate) const BODY: Message = Message {
    name: "BufferSettings",
    fields: &["max_request_bytes", "allow_partial_message", "pack_as_bytes"],
};

pub(crate) const SERVICE: Message = Message {
    name: "GrpcService",
    fields: &["envoy_grpc", "google_grpc", "timeout", "initial_metadata", "retry_policy"],
};

pub(crate) const ENVOY_GRPC: Message = Message {
    name: "EnvoyGrpc",
    fields: &[
        "cluster_name",
        "authority",
        "retry_policy",
        "max_receive_message_length",
        "skip_envoy_headers",
    ],
};

pub(crate) const FILTER: Message = Message {
    name: "HttpFilter",
    fields: &["name", "typed_config", "config_discovery", "is_optional", "disabled"],
};

pub(crate) const FILTER_CONFIG: Message =
    Message { name: "FilterConfig", fields: &["config", "is_optional", "disabled"] };

pub(crate) const MUTATIONS: Message = Message {
    name: "Mutations",
    fields: &[
        "request_mutations",
        "query_parameter_mutations",
        "response_mutations",
        "response_trailers_mutations",
        "request_trailers_mutations",
        "formatters",
    ],
};

pub(crate) const MUTATION_RULES: Message = Message {
    name: "HeaderMutationRules",
    fields: &[
        "allow_all_routing",
        "allow_envoy",
        "disallow_system",
        "disallow_all",
        "allow_expression",
        "disallow_expression",
        "disallow_is_error",
    ],
};

pub(crate) const CONNECTION: Message = Message {
    name: "HttpConnectionManager",
    fields: &[
        "codec_type",
        "stat_prefix",
        "rds",
        "route_config",
        "scoped_routes",
        "http_filters",
        "add_user_agent",
        "tracing",
        "common_http_protocol_options",
        "http1_safe_max_connection_duration",
        "http_protocol_options",
        "http2_protocol_options",
        "http3_protocol_options",
        "server_name",
        "server_header_transformation",
        "scheme_header_transformation",
        "max_request_headers_kb",
        "stream_idle_timeout",
        "stream_flush_timeout",
        "request_timeout",
        "request_headers_timeout",
        "drain_timeout",
        "drain_timeout_jitter",
        "delayed_close_timeout",
        "access_log",
        "access_log_flush_interval",
        "flush_access_log_on_new_request",
        "access_log_options",
        "use_remote_address",
        "xff_num_trusted_hops",
        "original_ip_detection_extensions",
        "early_header_mutation_extensions",
        "internal_address_config",
        "skip_xff_append",
        "via",
        "generate_request_id",
        "preserve_external_request_id",
        "always_set_request_id_in_response",
        "forward_client_cert_details",
        "set_current_client_cert_details",
        "forward_client_cert_matcher",
        "proxy_100_continue",
        "represent_ipv4_remote_address_as_ipv4_mapped_ipv6",
        "upgrade_configs",
        "normalize_path",
        "merge_slashes",
        "path_with_escaped_slashes_action",
        "request_id_extension",
        "local_reply_config",
        "strip_matching_host_port",
        "strip_any_host_port",
        "stream_error_on_invalid_http_message",
        "path_normalization_options",
        "strip_trailing_host_dot",
        "proxy_status_config",
        "typed_header_validation_config",
        "append_x_forwarded_port",
        "append_local_overload",
        "add_proxy_protocol_connection_state",
        "forward_proto_config",
        "record_route_resolution_stats",
    ],
};

pub(crate) const UPGRADE: Message =
    Message { name: "UpgradeConfig", fields: &["upgrade_type", "filters", "enabled"] };

pub(crate) const ROUTES: Message = Message {
    name: "RouteConfiguration",
    fields: &[
        "name",
        "virtual_hosts",
        "vhds",
        "internal_only_headers",
        "response_headers_to_add",
        "response_headers_to_remove",
        "request_headers_to_add",
        "request_headers_to_remove",
        "most_specific_header_mutations_wins",
        "validate_clusters",
        "max_direct_response_body_size_bytes",
        "cluster_specifier_plugins",
        "request_mirror_policies",
        "ignore_port_in_host_matching",
        "vhost_header",
        "ignore_path_parameters_in_path_matching",
        "typed_per_filter_config",
        "metadata",
        "route_specifiers",
    ],
};

pub(crate) const HOST: Message = Message {
    name: "VirtualHost",
    fields: &[
        "name",
        "domains",
        "routes",
        "matcher",
        "require_tls",
        "virtual_clusters",
        "rate_limits",
        "request_headers_to_add",
        "request_headers_to_remove",
        "response_headers_to_add",
        "response_headers_to_remove",
        "cors",
        "typed_per_filter_config",
        "include_request_attempt_count",
        "include_attempt_count_in_response",
        "retry_policy",
        "retry_policy_typed_config",
        "hedge_policy",
        "include_is_timeout_retry_header",
        "per_request_buffer_limit_bytes",
        "request_body_buffer_limit",
        "request_mirror_policies",
        "metadata",
        "route_specifiers",
    ],
};

pub(crate) const ROUTE: Message = Message {
    name: "Route",
    fields: &[
        "name",
        "match",
        "route",
        "redirect",
        "direct_response",
        "filter_action",
        "non_forwarding_action",
        "metadata",
        "decorator",
        "typed_per_filter_config",
        "request_headers_to_add",
        "request_headers_to_remove",
        "response_headers_to_add",
        "response_headers_to_remove",
        "tracing",
        "per_request_buffer_limit_bytes",
        "stat_prefix",
        "request_body_buffer_limit",
        "route_specifiers",
    ],
};

pub(crate) const MATCH: Message = Message {
    name: "RouteMatch",
    fields: &[
        "prefix",
        "path",
        "safe_regex",
        "connect_matcher",
        "path_separated_prefix",
        "path_match_policy",
        "case_sensitive",
        "runtime_fraction",
        "headers",
        "query_parameters",
        "cookies",
        "grpc",
        "tls_context",
        "dynamic_metadata",
        "filter_state",
    ],
};

pub(crate) const ACTION: Message = Message {
    name: "RouteAction",
    fields: &[
        "cluster",
        "cluster_header",
        "weighted_clusters",
        "cluster_specifier_plugin",
        "inline_cluster_specifier_plugin",
        "cluster_not_found_response_code",
        "metadata_match",
        "prefix_rewrite",
        "regex_rewrite",
        "path_rewrite_policy",
        "path_rewrite",
        "host_rewrite_literal",
        "auto_host_rewrite",
        "host_rewrite_header",
        "host_rewrite_path_regex",
        "host_rewrite",
        "append_x_forwarded_host",
        "timeout",
        "idle_timeout",
        "flush_timeout",
        "early_data_policy",
        "retry_policy",
        "retry_policy_typed_config",
        "request_mirror_policies",
        "priority",
        "rate_limits",
        "include_vh_rate_limits",
        "hash_policy",
        "cors",
        "max_grpc_timeout",
        "grpc_timeout_offset",
        "upgrade_configs",
        "internal_redirect_policy",
        "internal_redirect_action",
        "max_internal_redirects",
        "hedge_policy",
        "max_stream_duration",
    ],
};

pub(crate) const WEIGHT: Message = Message {
    name: "ClusterWeight",
    fields: &[
        "name",
        "cluster_header",
        "weight",
        "metadata_match",
        "request_headers_to_add",
        "request_headers_to_remove",
        "response_headers_to_add",
        "response_headers_to_remove",
        "typed_per_filter_config",
        "host_rewrite_literal",
    ],
};

pub(crate) const LISTENER: Message = Message {
    name: "Listener",
    fields: &[
        "name",
        "address",
        "additional_addresses",
        "stat_prefix",
        "stats_matcher",
        "filter_chains",
        "fcds_config",
        "filter_chain_matcher",
        "use_original_dst",
        "default_filter_chain",
        "per_connection_buffer_limit_bytes",
        "per_connection_buffer_high_watermark_timeout",
        "metadata",
        "deprecated_v1",
        "drain_type",
        "listener_filters",
        "listener_filters_timeout",
        "continue_on_listener_filters_timeout",
        "transparent",
        "freebind",
        "socket_options",
        "tcp_fast_open_queue_length",
        "traffic_direction",
        "udp_listener_config",
        "api_listener",
        "connection_balance_config",
        "reuse_port",
        "enable_reuse_port",
        "access_log",
        "tcp_backlog_size",
        "max_connections_to_accept_per_socket_event",
        "bind_to_port",
        "internal_listener",
        "enable_mptcp",
        "ignore_global_conn_limit",
        "bypass_overload_manager",
        "tcp_keepalive",
    ],
};

pub(crate) const CHAIN: Message = Message {
    name: "FilterChain",
    fields: &[
        "filter_chain_match",
        "filters",
        "use_proxy_proto",
        "metadata",
        "transport_socket",
        "transport_socket_connect_timeout",
        "name",
    ],
};

pub(crate) const NETWORK_FILTER: Message =
    Message { name: "Filter", fields: &["name", "typed_config", "config_discovery"] };

pub(crate) const TLS: Message = Message {
    name: "DownstreamTlsContext",
    fields: &[
        "common_tls_context",
        "require_client_certificate",
        "require_sni",
        "session_ticket_keys",
        "session_ticket_keys_sds_secret_config",
        "disable_stateless_session_resumption",
        "disable_stateful_session_resumption",
        "session_timeout",
        "ocsp_staple_policy",
        "full_scan_certs_on_sni_mismatch",
        "prefer_client_ciphers",
    ],
};

pub(crate) const COMMON_TLS: Message = Message {
    name: "CommonTlsContext",
    fields: &[
        "tls_params",
        "tls_certificates",
        "tls_certificate_sds_secret_configs",
        "tls_certificate_provider_instance",
        "custom_tls_certificate_selector",
        "tls_certificate_certificate_provider",
        "tls_certificate_certificate_provider_instance",
        "validation_context",
        "validation_context_sds_secret_config",
        "combined_validation_context",
        "validation_context_certificate_provider",
        "validation_context_certificate_provider_instance",
        "alpn_protocols",
        "custom_handshaker",
        "key_log",
    ],
};

pub(crate) const VALIDATION: Message = Message {
    name: "CertificateValidationContext",
    fields: &[
        "trusted_ca",
        "ca_certificate_provider_instance",
        "system_root_certs",
        "watched_directory",
        "verify_certificate_spki",
        "verify_certificate_hash",
        "match_typed_subject_alt_names",
        "match_subject_alt_names",
        "require_signed_certificate_timestamp",
        "crl",
        "allow_expired_certificate",
        "trust_chain_verification",
        "custom_validator_config",
        "only_verify_leaf_cert_crl",
        "max_verify_depth",
        "suppress_client_ca_list",
    ],
};

/// Of the cluster that Checks are sent to. Left out: `filters`, `upstream_config` and `transport_socket_matcher`,
/// which can carry a Check elsewhere.
pub(crate) const CLUSTER: Message = Message {
    name: "Cluster",
    fields: &[
        "name",
        "alt_stat_name",
        "type",
        "cluster_type",
        "eds_cluster_config",
        "connect_timeout",
        "per_connection_buffer_limit_bytes",
        "lb_policy",
        "load_assignment",
        "health_checks",
        "max_requests_per_connection",
        "circuit_breakers",
        "upstream_http_protocol_options",
        "common_http_protocol_options",
        "http_protocol_options",
        "http2_protocol_options",
        "typed_extension_protocol_options",
        "dns_refresh_rate",
        "dns_jitter",
        "dns_failure_refresh_rate",
        "respect_dns_ttl",
        "dns_lookup_family",
        "dns_resolvers",
        "use_tcp_for_dns_lookups",
        "dns_resolution_config",
        "typed_dns_resolver_config",
        "wait_for_warm_on_init",
        "outlier_detection",
        "cleanup_interval",
        "upstream_bind_config",
        "lb_subset_config",
        "ring_hash_lb_config",
        "maglev_lb_config",
        "original_dst_lb_config",
        "least_request_lb_config",
        "round_robin_lb_config",
        "common_lb_config",
        "transport_socket",
        "transport_socket_matches",
        "metadata",
        "protocol_selection",
        "upstream_connection_options",
        "close_connections_on_host_health_failure",
        "ignore_health_on_host_removal",
        "load_balancing_policy",
        "lrs_server",
        "lrs_report_endpoint_metrics",
        "track_timeout_budgets",
        "track_cluster_stats",
        "preconnect_policy",
        "connection_pool_per_downstream_connection",
    ],
};

/// Left out: what loads an extension, or takes configuration from elsewhere.
pub(crate) const BOOTSTRAP: Message = Message {
    name: "Bootstrap",
    fields: &[
        "node",
        "static_resources",
        "dynamic_resources",
        "cluster_manager",
        "stats_config",
        "deferred_stat_options",
        "stats_flush_interval",
        "stats_flush_on_admin",
        "watchdog",
        "watchdogs",
        "layered_runtime",
        "admin",
        "overload_manager",
        "enable_dispatcher_stats",
        "header_prefix",
        "stats_server_version_override",
        "use_tcp_for_dns_lookups",
        "dns_resolution_config",
        "typed_dns_resolver_config",
        "certificate_provider_instances",
        "inline_headers",
        "perf_tracing_file_path",
        "default_regex_engine",
        "application_log_config",
        "grpc_async_client_manager_config",
        "memory_allocator_manager",
    ],
};

/// An entry of `extensionProviders`. The others are telemetry.
pub(crate) const PROVIDERS: Message = Message {
    name: "ExtensionProvider",
    fields: &[
        "name",
        "envoy_ext_authz_grpc",
        "envoy_ext_authz_http",
        "zipkin",
        "lightstep",
        "datadog",
        "stackdriver",
        "opencensus",
        "skywalking",
        "opentelemetry",
        "prometheus",
        "envoy_file_access_log",
        "envoy_http_als",
        "envoy_tcp_als",
        "envoy_otel_als",
        "sds",
    ],
};

/// Istio's API 1.31.
pub(crate) const PROVIDER: Message = Message {
    name: "EnvoyExternalAuthorizationGrpcProvider",
    fields: &[
        "service",
        "port",
        "timeout",
        "fail_open",
        "clear_route_cache",
        "status_on_error",
        "include_request_body_in_check",
    ],
};

pub(crate) const POLICY: Message = Message {
    name: "AuthorizationPolicy",
    fields: &["selector", "targetRef", "targetRefs", "rules", "action", "provider"],
};

pub(crate) const ENVOY_FILTER: Message =
    Message { name: "EnvoyFilter", fields: &["workloadSelector", "targetRefs", "configPatches", "priority"] };

/// `ExtAuth` of Envoy Gateway 1.9.
pub(crate) const EXT_AUTH: Message = Message {
    name: "SecurityPolicy.extAuth",
    fields: &[
        "grpc",
        "http",
        "headersToExtAuth",
        "bodyToExtAuth",
        "timeout",
        "failOpen",
        "recomputeRoute",
        "includeRouteMetadata",
        "contextExtensions",
        "statusOnError",
    ],
};

/// Left out: `clientIPDetection` and the PROXY protocol, by which callers may choose their address, and `scheme`.
pub(crate) const CLIENT_TRAFFIC: Message = Message {
    name: "ClientTrafficPolicy",
    fields: &[
        "targetRef",
        "targetRefs",
        "targetSelectors",
        "tcpKeepalive",
        "tls",
        "path",
        "headers",
        "timeout",
        "connection",
        "http1",
        "http2",
        "grpc",
        "healthCheck",
    ],
};

pub(crate) const CLIENT_HEADERS: Message = Message {
    name: "ClientTrafficPolicy.headers",
    fields: &[
        "enableEnvoyHeaders",
        "disableRateLimitHeaders",
        "xForwardedClientCert",
        "withUnderscoresAction",
        "preserveXRequestID",
        "requestID",
        "earlyRequestHeaders",
        "lateResponseHeaders",
        "host",
        "maxRequestHeaderLimit",
    ],
};

/// Left out: trailers, and HTTP/1.0.
pub(crate) const CLIENT_HTTP1: Message = Message {
    name: "ClientTrafficPolicy.http1",
    fields: &["preserveHeaderCase", "disableSafeMaxConnectionDuration", "ignoredUpgradeTypes"],
};

/// Left out: whatever writes a header before it is judged.
pub(crate) const EARLY_HEADERS: Message =
    Message { name: "ClientTrafficPolicy.headers.earlyRequestHeaders", fields: &["removeOnMatch"] };

/// Left out: `mode`, which may take certificates that nobody vouches for, and expired ones.
pub(crate) const CLIENT_VALIDATION: Message = Message {
    name: "ClientTrafficPolicy.tls.clientValidation",
    fields: &["optional", "caCertificateRefs", "spkiHashes", "certificateHashes", "subjectAltNames", "crl"],
};

/// Left out: faults, other answers, and upgrades.
pub(crate) const BACKEND_TRAFFIC: Message = Message {
    name: "BackendTrafficPolicy",
    fields: &[
        "targetRef",
        "targetRefs",
        "targetSelectors",
        "mergeType",
        "retry",
        "timeout",
        "loadBalancer",
        "healthCheck",
        "circuitBreaker",
        "connection",
        "tcpKeepalive",
        "dns",
        "http2",
        "rateLimit",
        "compression",
        "requestBuffer",
        "proxyProtocol",
        "telemetry",
    ],
};

/// `ExtAuthz` of agentgateway 1.4.
pub(crate) const AGENT_AUTH: Message = Message {
    name: "extAuthz",
    fields: &[
        "host",
        "service",
        "backend",
        "policies",
        "protocol",
        "failureMode",
        "includeRequestHeaders",
        "includeRequestBody",
        "cache",
    ],
};

/// Reports each field of the message that is not known.
pub(crate) fn judge(message: &Message, node: &Node, linter: &mut Linter<'_>) {
    for entry in node.entries() {
        let known = entry.key.starts_with('@')
            || message.fields.iter().any(|field| *field == entry.key || camel(field) == entry.key);
        if !known {
            let text = format!("field `{}` of `{}` is not known", shortened(&entry.key), message.name);
            linter.report(&UNKNOWN_FIELD, entry.place, text);
        }
    }
}

#[cfg(test)]
impl Message {
    pub(crate) fn knows(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }
}
