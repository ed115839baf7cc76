//! agentgateway, standalone: `extAuthz` of each route.
//!
//! From `crates/agentgateway/src/http/ext_authz.rs` and `schema/config.json` of agentgateway 1.4.1 and later. It is no Envoy: it
//! has none of Envoy's keys, and shows no certificate.

use std::net::IpAddr;

use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, never};
use crate::rules::per_route::BODY_NOT_SHOWN;
use crate::rules::resources::{duration, shows_all, timely};
use crate::rules::{body, check, fields};
use crate::tree::{Node, shortened};

static FAILURE: Rule = Rule::new(
    Severity::Hole,
    "agw-fail-open",
    &["N01"],
    "everything passes while Exequatur does not answer",
    "failureMode: { denyWithStatus: 503 }",
)
.key(Key::may(Part::AgentAuth, "failureMode", |node, _| node.text() != Some("allow"), &["allow"]));
static STATUS: Rule = Rule::new(
    Severity::Weak,
    "agw-status-on-error",
    &["N01"],
    "a fault looks like a refusal (403): clients and alarms take it for what it is not",
    "failureMode: { denyWithStatus: 503 }",
)
.key(Key::must(
    Part::AgentAuth,
    "failureMode",
    |node, _| node.get("denyWithStatus").and_then(Node::integer) == Some(503),
    &["deny", "allow", "{ denyWithStatus: 200 }"],
));
static HIDDEN: Rule = Rule::new(
    Severity::Hole,
    "agw-hidden-headers",
    &["N02"],
    "the decision is made without a header that the upstream gets: Exequatur sees those of the list only",
    "leave `includeRequestHeaders` out: all headers are shown",
)
.key(Key::may(
    Part::AgentAuth,
    "includeRequestHeaders",
    shows_all,
    &["[ authorization ]", "[ dpop, content-type ]"],
));
static CACHE: Rule = Rule::new(
    Severity::Hole,
    "agw-cache",
    &["B-13", "N07"],
    "a decision is used again: replayed proofs, withdrawn tokens and spent limits pass, with the first caller's identity",
    "leave `cache` out",
)
.key(Key::may(Part::AgentAuth, "cache", never, &["{ key: [], ttl: 1s }"]));
static TIMEOUT: Rule = Rule::new(
    Severity::Weak,
    "agw-timeout",
    &["N01"],
    "a Check is waited for without end; or agentgateway gives up before Exequatur has answered",
    "policies: { http: { requestTimeout: 250ms } }: at least 50 ms above Exequatur's deadline, at most 10 s",
);
static PLAINTEXT: Rule = Rule::new(
    Severity::Hole,
    "agw-check-plaintext",
    &["B-14"],
    "whoever is on the way reads tokens and proofs, and can answer yes",
    "policies: { backendTLS: { root: …, hostname: … } }, without `insecure`; or reach Exequatur by loopback",
);
static UNGUARDED: Rule = Rule::new(
    Severity::Hole,
    "agw-unguarded",
    &["B-15"],
    "what takes this way reaches its upstream without a decision",
    "`extAuthz` in the policies of each route; remove what has none",
);
static CONDITIONAL: Rule = Rule::new(
    Severity::Hole,
    "agw-conditional",
    &["B-15"],
    "requests that no condition selects pass without a decision",
    "leave `conditional` out: a public route is declared in Exequatur's configuration",
);
static POLICY: Rule = Rule::new(
    Severity::Unknown,
    "agw-policy",
    &["N09"],
    "if it changes method, path, host, headers or body, what is judged is not what the upstream gets",
    "leave it out",
);
static HOST: Rule = Rule::new(
    Severity::Weak,
    "agw-host",
    &["N09"],
    "the upstream gets its own name for the `Host` that was judged: a service that reads it takes the request for another, and Exequatur's metadata are not found",
    "urlRewrite: { authority: none } in the policies of the route",
);
static LISTENER: Rule = Rule::new(
    Severity::Hole,
    "agw-plaintext",
    &["S06"],
    "tokens and proofs cross the network in the clear",
    "protocol: HTTPS, and `tls` with `cert` and `key`",
);

static ENVIRONMENT: Rule = Rule::new(
    Severity::Unknown,
    "agw-environment",
    &["N01"],
    "agentgateway puts in what its environment says before it reads the file: what that is, is not seen here",
    "write the value out; or put it in before, and judge what comes of it (a dollar that is one is `$$`)",
);

/// Every rule of agentgateway's configuration.
pub(crate) static RULES: &[&Rule] = &[
    &FAILURE,
    &STATUS,
    &HIDDEN,
    &CACHE,
    &TIMEOUT,
    &PLAINTEXT,
    &UNGUARDED,
    &CONDITIONAL,
    &POLICY,
    &HOST,
    &LISTENER,
    &ENVIRONMENT,
];

/// Policies of a route that refuse, count or answer, and change nothing that is judged.
const HARMLESS: [&str; 11] = [
    "authorization",
    "buffer",
    "cors",
    "csrf",
    "delay",
    "extAuthz",
    "localRateLimit",
    "mcpAuthorization",
    "remoteRateLimit",
    "responseHeaderModifier",
    "timeout",
];

/// Policies of a backend that are about the connection to it alone. They come after the decision.
const BEHIND: [&str; 4] = ["backendTLS", "health", "http", "tcp"];

/// Whether a document is such a configuration.
pub(crate) fn is_one(document: &Node) -> bool {
    ["binds", "gateways", "frontendPolicies", "routeGroups", "tcpRoutes", "llm", "mcp"]
        .iter()
        .any(|key| document.entries().iter().any(|entry| entry.key == *key))
}

/// Judges a configuration.
pub(crate) fn judge(document: &Node, linter: &mut Linter<'_>) {
    for entry in document.entries() {
        match entry.key.as_str() {
            "binds" | "config" | "$schema" => {}
            other => {
                let message =
                    format!("`{}` is not judged: who comes in by it is not known here", shortened(other));
                linter.report(&POLICY, entry.place, message);
            }
        }
    }
    for entry in document.entries().iter().filter(|entry| entry.key != "config") {
        environment(&entry.value, linter);
    }
    let mut ways = 0_usize;
    for bind in document.list("binds") {
        known("a bind", &["port", "listeners"], bind, linter);
        for listener in bind.list("listeners") {
            ways = ways.saturating_add(listener.list("routes").len());
            ways = ways.saturating_add(listener.list("tcpRoutes").len());
            judge_listener(listener, linter);
        }
    }
    if ways == 0 {
        linter.report(&UNGUARDED, document.nearest("binds").place, "no route here has `extAuthz`");
    }
}

/// Reports each name or value that is put in from the environment (`shellexpand::full` over the whole text, in `types/local.rs`).
fn environment(part: &Node, linter: &mut Linter<'_>) {
    let mut open = vec![part];
    while let Some(node) = open.pop() {
        let keys = node.entries().iter().map(|entry| (entry.key.as_str(), entry.place));
        for (text, place) in keys.chain(node.text().map(|text| (text, node.place))) {
            if is_substituted(text) {
                linter.report(&ENVIRONMENT, place, format!("`{}` is not known here", shortened(text)));
            }
        }
        open.extend(node.items());
        open.extend(node.entries().iter().map(|entry| &entry.value));
    }
}

/// `$NAME`, `${NAME}` or `${NAME:-default}`; not `$$`, nor a dollar that stands alone.
fn is_substituted(text: &str) -> bool {
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '$' {
            continue;
        }
        match letters.peek() {
            Some('$') => {
                letters.next();
            }
            Some(next) if *next == '{' || *next == '_' || next.is_alphanumeric() => return true,
            Some(_) | None => {}
        }
    }
    false
}

/// Reports each key that may do to requests what is not known here.
fn known(what: &str, keys: &[&str], node: &Node, linter: &mut Linter<'_>) {
    for entry in node.entries().iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
        let message = format!("what `{}` of {what} does is not judged", shortened(&entry.key));
        linter.report(&POLICY, entry.place, message);
    }
}

fn judge_backend(backend: &Node, linter: &mut Linter<'_>) {
    known("a backend", &["host", "weight", "policies"], backend, linter);
    if let Some(policies) = backend.get("policies") {
        known("a backend's policies", &BEHIND, policies, linter);
    }
}

fn judge_listener(listener: &Node, linter: &mut Linter<'_>) {
    let keys = ["name", "hostname", "protocol", "tls", "routes", "tcpRoutes", "policies"];
    known("a listener", &keys, listener, linter);
    if listener.text_of("protocol") != "HTTPS" || listener.get("tls").is_none() {
        linter.report(&LISTENER, listener.place, "the listener does not speak TLS");
    }
    for other in listener.list("tcpRoutes") {
        linter.report(
            &UNGUARDED,
            other.place,
            "bytes go to an upstream without anybody reading the requests in them",
        );
    }
    let policies = listener.get("policies");
    let around = policies.and_then(|policies| policies.get("extAuthz"));
    for entry in policies.map(Node::entries).unwrap_or_default() {
        judge_policy(&entry.key, &entry.value, linter);
    }
    for route in listener.list("routes") {
        known("a route", &["name", "hostnames", "matches", "policies", "backends"], route, linter);
        for backend in route.list("backends") {
            judge_backend(backend, linter);
        }
        let own = route.at("policies.extAuthz");
        for entry in route.get("policies").map(Node::entries).unwrap_or_default() {
            if entry.key != "urlRewrite" || !keeps_host(&entry.value) {
                judge_policy(&entry.key, &entry.value, linter);
            }
        }
        if !route.at("policies.urlRewrite").is_some_and(keeps_host) {
            for backend in route.list("backends").iter().filter(|backend| is_named(backend)) {
                let message = format!("the host becomes that of `{}`", shortened(backend.text_of("host")));
                linter.report(&HOST, backend.place, message);
            }
        }
        if own.or(around).is_none() {
            let route_name = shortened(route.text_of("name"));
            linter.report(&UNGUARDED, route.place, format!("route `{route_name}` has no `extAuthz`"));
        }
    }
}

/// Whether a rewrite is the one that changes nothing, and keeps the name of a backend out of the `Host`: without it a backend's
/// name is written there (`apply_auto_hostname` in `proxy/httpproxy.rs`).
fn keeps_host(rewrite: &Node) -> bool {
    rewrite.entries().len() == 1 && rewrite.text_of("authority") == "none"
}

/// Whether a backend is a name; an address or a socket has none that could be written.
fn is_named(backend: &Node) -> bool {
    let host = backend.text_of("host");
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    !host.is_empty() && !host.starts_with("unix:") && name.parse::<IpAddr>().is_err()
}

fn judge_policy(key: &str, value: &Node, linter: &mut Linter<'_>) {
    if key == "extAuthz" {
        judge_auth(value, linter);
    } else if !HARMLESS.contains(&key) {
        linter.report(
            &POLICY,
            value.place,
            format!("what `{}` does to requests is not judged", shortened(key)),
        );
    }
}

fn judge_auth(auth: &Node, linter: &mut Linter<'_>) {
    if let Some(conditional) = auth.get("conditional") {
        linter.report(&CONDITIONAL, conditional.place, "Exequatur is asked on a condition");
        return;
    }
    fields::judge(&fields::AGENT_AUTH, auth, linter);
    linter.keys(Part::AgentAuth, auth);
    let shown = auth.at("protocol.grpc.context.exequatur_body");
    match (auth.get("includeRequestBody"), shown) {
        (Some(settings), _) => body::judge(settings, linter),
        (None, Some(shown)) => {
            linter.report(&BODY_NOT_SHOWN, shown.place, "`exequatur_body` without `includeRequestBody`");
        }
        (None, None) => {}
    }
    if auth.at("protocol.http").is_some()
        || auth.at("protocol").is_some_and(|protocol| protocol.get("grpc").is_none())
    {
        linter.report(&check::NOT_GRPC, auth.nearest("protocol").place, "`extAuthz` asks by HTTP");
    }
    let wait = auth.at("policies.http.requestTimeout");
    if !timely(wait.and_then(Node::text).and_then(duration), linter.options) {
        let place = auth.nearest("policies.http.requestTimeout").place;
        linter.report(&TIMEOUT, place, "no fitting `policies.http.requestTimeout` is here");
    }
    let host = auth.text_of("host");
    let local = ["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|start| host.starts_with(start));
    let tls = auth.at("policies.backendTLS");
    let verified = tls.is_some_and(|tls| {
        tls.get("root").is_some()
            && tls.get("hostname").is_some()
            && ["insecure", "insecureHost"]
                .iter()
                .all(|key| tls.get(key).is_none_or(|it| it.truth() == Some(false)))
    });
    let by_loopback = local && tls.is_none();
    if !verified && !by_loopback {
        let place = auth.nearest("policies.backendTLS").place;
        linter.report(&PLAINTEXT, place, "who answers is not checked");
    }
}
