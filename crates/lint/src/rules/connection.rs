//! The HTTP connection manager: one reading of a request, for Envoy, Exequatur and the upstream.

use std::time::Duration;

use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, is_false, is_true, never};
use crate::rules::listener::{self, Around};
use crate::rules::{mutation, order, route};
use crate::tree::{Node, Value};

/// Longest life of a stream that is checked only once, at its beginning.
pub(crate) const LONGEST_STREAM: Duration = Duration::from_secs(3600);

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
pub(crate) static UPGRADES: Rule = Rule::new(
    Severity::Weak,
    "upgrades",
    &["B-11", "N07"],
    "an upgraded connection is checked once: what goes through it is judged by nobody",
    "leave the upgrade out; or allow it with a reason",
)
.allowable();
static ORIGINAL_ADDRESS: Rule = Rule::new(
    Severity::Weak,
    "original-address",
    &["B-06"],
    "an extension takes the source address from what the caller sends",
    "leave `original_ip_detection_extensions` out; or allow it",
)
.allowable();
static EARLY_MUTATION: Rule = Rule::new(
    Severity::Hole,
    "early-mutation",
    &["N09"],
    "what is judged is not what the caller sent",
    "leave `early_header_mutation_extensions` out, or let them touch none of the headers that decide",
)
.allowable();
static LOCAL_REPLY: Rule = Rule::new(
    Severity::Hole,
    "local-reply",
    &["B-14"],
    "a refusal looks like a success to the caller, and to whatever caches its answer",
    "map no answer of Envoy's own to a status below 400",
);
static LOGGED_CREDENTIALS: Rule = Rule::new(
    Severity::Hole,
    "logged-credentials",
    &["E04"],
    "tokens, proofs or queries are written into a log, where others read them",
    "log `%PATH(NQ)%`, and no `authorization`, `dpop` or `cookie` header",
)
.allowable();

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
    &UPGRADES,
    &ORIGINAL_ADDRESS,
    &EARLY_MUTATION,
    &LOCAL_REPLY,
    &LOGGED_CREDENTIALS,
];

/// Above zero, and at most `most`.
pub(crate) fn bounded(node: &Node, most: Duration) -> bool {
    node.duration().is_some_and(|time| !time.is_zero() && time <= most)
}

/// Judges a connection manager with its filters and routes.
pub(crate) fn judge(manager: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    linter.judged(manager);
    let Some(line) = order::judge(manager.list("http_filters"), around, linter) else {
        listener::unguarded(manager, around, linter);
        return;
    };
    linter.keys(Part::Connection, manager);
    upgrades(manager, around, linter);
    for extension in manager.list("original_ip_detection_extensions") {
        let name = extension.get("name").map(Node::shown).unwrap_or_default();
        linter.report(
            &ORIGINAL_ADDRESS,
            extension.place,
            format!("`{name}` says where a request comes from"),
        );
    }
    early_mutations(manager, linter);
    for mapper in manager.at("local_reply_config.mappers").map(Node::items).unwrap_or_default() {
        if let Some(status) =
            mapper.get("status_code").filter(|status| status.integer().is_none_or(|s| s < 400))
        {
            linter.report(
                &LOCAL_REPLY,
                status.place,
                format!("answers of Envoy's own become {}", status.shown()),
            );
        }
    }
    for log in manager.list("access_log") {
        logged(log, linter);
    }
    route::judge_manager(manager, &line, around, linter);
}

fn upgrades(manager: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    for upgrade in manager.list("upgrade_configs") {
        let kind = upgrade.get("upgrade_type").map(Node::shown).unwrap_or_default();
        if upgrade.get("enabled").and_then(Node::truth) != Some(false) {
            linter.report(&UPGRADES, upgrade.place, format!("upgrade `{kind}` is on"));
        }
        // Filters of its own stand in the place of all others; a route can switch it on.
        let filters = upgrade.list("filters");
        if !filters.is_empty() && order::judge(filters, around, linter).is_none() {
            listener::unguarded(upgrade, around, linter);
        }
    }
}

fn early_mutations(manager: &Node, linter: &mut Linter<'_>) {
    for extension in manager.list("early_header_mutation_extensions") {
        match extension.get("typed_config").and_then(Node::typed) {
            Some((
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                config,
            )) => {
                for (name, place) in mutation::written(config.list("mutations"), linter.options) {
                    linter.report(
                        &EARLY_MUTATION,
                        place,
                        format!("{name} is written before anybody judges it"),
                    );
                }
            }
            _ => linter.report(
                &EARLY_MUTATION,
                extension.place,
                "an extension that is not known changes headers",
            ),
        }
    }
}

/// Looks at every text of a log's format; without one, Envoy's default holds the query.
fn logged(log: &Node, linter: &mut Linter<'_>) {
    const BY_FORMAT: [&str; 3] = [
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    ];
    if let Some((kind, config)) = log.get("typed_config").and_then(Node::typed) {
        let formats = ["log_format", "format", "json_format", "typed_json_format"];
        if BY_FORMAT.contains(&kind) && formats.iter().all(|key| config.get(key).is_none()) {
            linter.report(
                &LOGGED_CREDENTIALS,
                log.place,
                "the access log holds the path with its query, by default",
            );
        }
    }
    let mut open = vec![log];
    while let Some(node) = open.pop() {
        match &node.value {
            Value::List(items) => open.extend(items),
            Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.value)),
            Value::Text(text) => {
                if let Some(what) = logs_credentials(text) {
                    linter.report(&LOGGED_CREDENTIALS, node.place, format!("the access log holds {what}"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) => {}
        }
    }
}

/// What a format, or the name of a header to log, gives away.
fn logs_credentials(format: &str) -> Option<String> {
    let upper = format.to_ascii_uppercase();
    if matches!(upper.as_str(), "AUTHORIZATION" | "DPOP" | "COOKIE") {
        return Some(format!("header `{}`", upper.to_ascii_lowercase()));
    }
    let operators = upper.match_indices('%').filter_map(|(start, _)| {
        let rest = upper.get(start.saturating_add(1)..)?;
        rest.split('%').next()
    });
    for operator in operators {
        let (name, arguments) = operator.split_once('(').unwrap_or((operator, ""));
        let arguments = arguments.split(')').next().unwrap_or_default();
        let mut headers = arguments.split('?').map(str::trim);
        let query = match name {
            "REQ" => headers.clone().any(|header| matches!(header, ":PATH" | "X-ENVOY-ORIGINAL-PATH")),
            "PATH" => !arguments.starts_with("NQ"),
            "QUERY_PARAM" | "QUERY_PARAMS" => true,
            _ => false,
        };
        if query {
            return Some("the path with its query".to_owned());
        }
        if let ("REQ", Some(header)) =
            (name, headers.find(|header| matches!(*header, "AUTHORIZATION" | "DPOP" | "COOKIE")))
        {
            return Some(format!("header `{}`", header.to_ascii_lowercase()));
        }
    }
    None
}
