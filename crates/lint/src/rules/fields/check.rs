//! `ExtAuthz`, what it is made of, and the filters around it.

use super::Message;

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
