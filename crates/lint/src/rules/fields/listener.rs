//! Listeners, and their TLS.

use super::Message;

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
