//! The keys of the connection manager that protect, or open.

use std::time::Duration;

use super::{LONGEST_STREAM, bounded};
use crate::rule::{Key, Part, Rule, Severity, is_false, is_true, never};

const fn must(
    severity: Severity,
    id: &'static str,
    requires: &'static [&'static str],
    opens: &'static str,
    fix: &'static str,
    key: Key,
) -> Rule {
    Rule::new(severity, id, requires, opens, fix).key(key)
}

static REMOTE_ADDRESS: Rule = must(
    Severity::Weak,
    "remote-address",
    &["B-06"],
    "callers choose their own source address and scheme by `x-forwarded-for` and `x-forwarded-proto`",
    "use_remote_address: true",
    Key::must(Part::Connection, "use_remote_address", is_true, &["false"]),
);
static TRUSTED_HOPS: Rule = must(
    Severity::Weak,
    "trusted-hops",
    &["B-06"],
    "that many addresses in `x-forwarded-for` are believed, whoever connects",
    "xff_num_trusted_hops: 0; or allow it, where that many proxies are always in front",
    Key::must(Part::Connection, "xff_num_trusted_hops", |node, _| node.integer() == Some(0), &["1"])
        .default_holds(),
)
.allowable();
static NORMALIZE_PATH: Rule = must(
    Severity::Weak,
    "normalize-path",
    &["N05"],
    "the upstream may resolve `..` to another path than the one that was judged",
    "normalize_path: true",
    Key::must(Part::Connection, "normalize_path", is_true, &["false"]),
);
static MERGE_SLASHES: Rule = must(
    Severity::Weak,
    "merge-slashes",
    &["N05"],
    "the upstream may read `//a` as `/a`, which was not judged",
    "merge_slashes: true",
    Key::must(Part::Connection, "merge_slashes", is_true, &["false"]),
);
static ESCAPED_SLASHES: Rule = must(
    Severity::Weak,
    "escaped-slashes",
    &["N05"],
    "the upstream may read `%2f` as a slash, and so another path than the one that was judged",
    "path_with_escaped_slashes_action: REJECT_REQUEST",
    Key::must(
        Part::Connection,
        "path_with_escaped_slashes_action",
        |node, _| node.is_member(&[("REJECT_REQUEST", 2), ("UNESCAPE_AND_REDIRECT", 3)]),
        &["KEEP_UNCHANGED", "UNESCAPE_AND_FORWARD", "IMPLEMENTATION_SPECIFIC_DEFAULT"],
    ),
);
static PATH_TRANSFORMATION: Rule = must(
    Severity::Unknown,
    "path-transformation",
    &["N05"],
    "the path that is judged and the path that is forwarded are transformed in different ways",
    "leave `path_normalization_options` out",
    Key::may(Part::Connection, "path_normalization_options", never, &["{}"]),
);
static HEADER_VALIDATION: Rule = must(
    Severity::Unknown,
    "header-validation",
    &["N05"],
    "what this extension takes for a valid path or header is not known here",
    "leave `typed_header_validation_config` out",
    Key::may(Part::Connection, "typed_header_validation_config", never, &["{}"]),
);
static HOST_PORT: Rule = must(
    Severity::Weak,
    "host-port",
    &["B-05"],
    "one host has two spellings, and routes of Envoy's may know only one of them",
    "strip_any_host_port: true",
    Key::must(Part::Connection, "strip_any_host_port", is_true, &["false"]),
);
static HOST_DOT: Rule = must(
    Severity::Weak,
    "host-dot",
    &["B-05"],
    "one host has two spellings, and routes of Envoy's may know only one of them",
    "strip_trailing_host_dot: true",
    Key::must(Part::Connection, "strip_trailing_host_dot", is_true, &["false"]),
);
static CERTIFICATE_HEADER: Rule = must(
    Severity::Hole,
    "certificate-header",
    &["M03"],
    "an upstream may take a certificate that a caller wrote into `x-forwarded-client-cert` for a real one",
    "forward_client_cert_details: SANITIZE (or SANITIZE_SET)",
    Key::must(
        Part::Connection,
        "forward_client_cert_details",
        |node, _| node.is_member(&[("SANITIZE", 0), ("SANITIZE_SET", 3)]),
        &["FORWARD_ONLY", "APPEND_FORWARD", "ALWAYS_FORWARD_ONLY"],
    )
    .default_holds(),
);
static CERTIFICATE_MATCHER: Rule = must(
    Severity::Unknown,
    "certificate-header-matcher",
    &["M03"],
    "for which requests `x-forwarded-client-cert` passes is decided by a matcher",
    "leave `forward_client_cert_matcher` out",
    Key::may(Part::Connection, "forward_client_cert_matcher", never, &["{}"]),
);
static UNDERSCORES: Rule = must(
    Severity::Weak,
    "underscores",
    &["B-03"],
    "an upstream may take a caller's `x_exequatur_user` for `x-exequatur-user`",
    "headers_with_underscores_action: REJECT_REQUEST",
    Key::must(
        Part::Connection,
        "common_http_protocol_options.headers_with_underscores_action",
        |node, _| node.is_member(&[("REJECT_REQUEST", 1), ("DROP_HEADER", 2)]),
        &["ALLOW"],
    ),
);
static HEADERS_COUNT: Rule = must(
    Severity::Weak,
    "headers-count",
    &["C-18"],
    "each request may cost as many headers as a caller likes to send",
    "max_headers_count: 100 (at most 256, which is what Exequatur reads)",
    Key::must(
        Part::Connection,
        "common_http_protocol_options.max_headers_count",
        |node, _| node.integer().is_some_and(|count| (1..=256).contains(&count)),
        &["0", "257"],
    )
    .default_holds(),
);
static HEADERS_SIZE: Rule = must(
    Severity::Weak,
    "headers-size",
    &["C-18"],
    "each request may hold megabytes of headers in memory",
    "max_request_headers_kb: 60 (at most 96)",
    Key::must(
        Part::Connection,
        "max_request_headers_kb",
        |node, _| node.integer().is_some_and(|size| (1..=96).contains(&size)),
        &["8192"],
    )
    .default_holds(),
);
static HEADERS_TIME: Rule = must(
    Severity::Weak,
    "headers-time",
    &["C-18"],
    "a request whose headers come one by one keeps its connection for ever",
    "request_headers_timeout: 10s (at most 60s)",
    Key::must(
        Part::Connection,
        "request_headers_timeout",
        |node, _| bounded(node, Duration::from_secs(60)),
        &["0s", "3600s"],
    ),
);
static STREAM_TIME: Rule = must(
    Severity::Weak,
    "stream-time",
    &["N07"],
    "a stream is checked once: it goes on after its token has expired or was withdrawn",
    "common_http_protocol_options: { max_stream_duration: 900s } (at most 3600s)",
    Key::must(
        Part::Connection,
        "common_http_protocol_options.max_stream_duration",
        |node, _| bounded(node, LONGEST_STREAM),
        &["0s", "86400s"],
    ),
);
static HTTP10: Rule = must(
    Severity::Weak,
    "http-1.0",
    &["B-05"],
    "requests without a host get one that the caller did not name",
    "http_protocol_options: { accept_http_10: false }",
    Key::must(Part::Connection, "http_protocol_options.accept_http_10", is_false, &["true"]).default_holds(),
);
static LENIENT_HTTP1: Rule = must(
    Severity::Weak,
    "lenient-http1",
    &["B-09"],
    "a connection goes on after a message whose end is disputed: the rest may be read as another request",
    "http_protocol_options: { override_stream_error_on_invalid_http_message: false }",
    Key::must(
        Part::Connection,
        "http_protocol_options.override_stream_error_on_invalid_http_message",
        is_false,
        &["true"],
    )
    .default_holds(),
);
static LENIENT: Rule = must(
    Severity::Weak,
    "lenient-messages",
    &["B-09"],
    "a connection goes on after a message whose end is disputed: the rest may be read as another request",
    "leave `stream_error_on_invalid_http_message` out",
    Key::may(Part::Connection, "stream_error_on_invalid_http_message", is_false, &["true"]),
);
static CHUNKED_LENGTH: Rule = must(
    Severity::Hole,
    "chunked-length",
    &["B-09"],
    "a request with two lengths passes: Envoy and the upstream may disagree on where it ends",
    "http_protocol_options: { allow_chunked_length: false }",
    Key::may(Part::Connection, "http_protocol_options.allow_chunked_length", is_false, &["true"]),
);
static CUSTOM_METHODS: Rule = must(
    Severity::Weak,
    "custom-methods",
    &["B-07"],
    "methods that no specification knows reach Exequatur and upstreams",
    "http_protocol_options: { allow_custom_methods: false }",
    Key::may(Part::Connection, "http_protocol_options.allow_custom_methods", is_false, &["true"]),
);
static TRAILERS: Rule = must(
    Severity::Weak,
    "trailers",
    &["B-11"],
    "trailers come after the decision, and an upstream may merge them into the headers",
    "http_protocol_options: { enable_trailers: false }; or allow it",
    Key::may(Part::Connection, "http_protocol_options.enable_trailers", is_false, &["true"]),
)
.allowable();
static CONNECT_HTTP2: Rule = must(
    Severity::Weak,
    "connect",
    &["B-11"],
    "a tunnel is checked once: what goes through it is judged by nobody",
    "leave `allow_connect` out; or allow it",
    Key::may(Part::Connection, "http2_protocol_options.allow_connect", is_false, &["true"]),
)
.allowable();
static CONNECT_HTTP3: Rule = must(
    Severity::Weak,
    "connect-http3",
    &["B-11"],
    "a tunnel is checked once: what goes through it is judged by nobody",
    "leave `allow_extended_connect` out; or allow it",
    Key::may(Part::Connection, "http3_protocol_options.allow_extended_connect", is_false, &["true"]),
)
.allowable();

static INTERNAL_ADDRESSES: Rule = must(
    Severity::Weak,
    "internal-addresses",
    &["B-06"],
    "Envoy obeys `x-envoy-…` headers of callers whose address counts as internal",
    "leave `internal_address_config` out; or allow it",
    Key::may(Part::Connection, "internal_address_config", never, &["{ cidr_ranges: [] }"]),
)
.allowable();
static METADATA: Rule = must(
    Severity::Weak,
    "http2-metadata",
    &["B-11"],
    "metadata frames pass that nobody judges",
    "leave `allow_metadata` out",
    Key::may(Part::Connection, "http2_protocol_options.allow_metadata", is_false, &["true"]),
);

pub(crate) static RULES: &[&Rule] = &[
    &REMOTE_ADDRESS,
    &TRUSTED_HOPS,
    &NORMALIZE_PATH,
    &MERGE_SLASHES,
    &ESCAPED_SLASHES,
    &PATH_TRANSFORMATION,
    &HEADER_VALIDATION,
    &HOST_PORT,
    &HOST_DOT,
    &CERTIFICATE_HEADER,
    &CERTIFICATE_MATCHER,
    &UNDERSCORES,
    &HEADERS_COUNT,
    &HEADERS_SIZE,
    &HEADERS_TIME,
    &STREAM_TIME,
    &HTTP10,
    &LENIENT_HTTP1,
    &LENIENT,
    &CHUNKED_LENGTH,
    &CUSTOM_METHODS,
    &TRAILERS,
    &CONNECT_HTTP2,
    &CONNECT_HTTP3,
    &INTERNAL_ADDRESSES,
    &METADATA,
];
