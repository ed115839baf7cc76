//! `ClientTrafficPolicy`: what the connection manager makes of a request before Exequatur is asked.

use std::time::Duration;

use super::target::{self, ASTRAY, Asked, Target};
use super::{Resources, duration};
use crate::linter::Linter;
use crate::names;
use crate::rule::{Key, Part, Rule, Severity, is_false, is_true};
use crate::rules::fields;
use crate::rules::resources::{name, namespace};
use crate::tree::{Node, Place, Value};

pub(super) static SLASHES: Rule = Rule::new(
    Severity::Weak,
    "eg-escaped-slashes",
    &["N05"],
    "the upstream may read `%2f` as a slash, and so another path than the one that was judged",
    "path: { escapedSlashesAction: RejectRequest }",
)
.key(
    Key::must(
        Part::Client,
        "path.escapedSlashesAction",
        |node, _| matches!(node.text(), Some("RejectRequest" | "UnescapeAndRedirect")),
        &["KeepUnchanged", "UnescapeAndForward"],
    )
    .default_holds(),
);
pub(super) static MERGE: Rule = Rule::new(
    Severity::Weak,
    "eg-merge-slashes",
    &["N05"],
    "the upstream may read `//a` as `/a`, which was not judged",
    "path: { disableMergeSlashes: false }",
)
.key(Key::may(Part::Client, "path.disableMergeSlashes", is_false, &["true"]));
pub(super) static UNDERSCORES: Rule = Rule::new(
    Severity::Weak,
    "eg-underscores",
    &["B-03"],
    "an upstream may take a caller's `x_exequatur_user` for `x-exequatur-user`",
    "headers: { withUnderscoresAction: RejectRequest }",
)
.key(
    Key::must(
        Part::Client,
        "headers.withUnderscoresAction",
        |node, _| matches!(node.text(), Some("RejectRequest" | "DropHeader")),
        &["Allow"],
    )
    .default_holds(),
);
pub(super) static HOST_DOT: Rule = Rule::new(
    Severity::Weak,
    "eg-host-dot",
    &["B-05"],
    "one host has two spellings, and routes may know only one of them",
    "headers: { host: { stripTrailingHostDot: true } }",
)
.key(Key::must(Part::Client, "headers.host.stripTrailingHostDot", is_true, &["false"]));
pub(super) static STRIP: Rule = Rule::new(
    Severity::Weak,
    "eg-strip",
    &["B-03"],
    "a caller's own `x-exequatur-…` headers come in; what a permit does not overwrite by name goes on to the upstream",
    "headers: { earlyRequestHeaders: { removeOnMatch: [ { type: Prefix, value: x-exequatur- } ] } }",
)
.key(Key::must(
    Part::Client,
    "headers.earlyRequestHeaders.removeOnMatch",
    |node, _| node.items().iter().any(strips),
    &["[]", "[ { type: Exact, value: x-exequatur-user } ]", "[ { value: x-exequatur- } ]"],
));
pub(super) static HEADERS_TIME: Rule = Rule::new(
    Severity::Weak,
    "eg-headers-time",
    &["C-18"],
    "a request whose headers come one by one keeps its connection for ever",
    "timeout: { http: { requestHeadersReceivedTimeout: 10s } } (at most 60s)",
)
.key(Key::must(
    Part::Client,
    "timeout.http.requestHeadersReceivedTimeout",
    |node, _| within(node, 60),
    &["0s", "1h"],
));
pub(super) static STREAM_TIME: Rule = Rule::new(
    Severity::Weak,
    "eg-stream-time",
    &["N07"],
    "a stream is checked once: it goes on after its token has expired or was withdrawn",
    "connection: { connectionLimit: { maxStreamDuration: 900s } } (at most 1h)",
)
.key(Key::must(
    Part::Client,
    "connection.connectionLimit.maxStreamDuration",
    |node, _| within(node, 3600),
    &["0s", "24h"],
));
pub(super) static CERTIFICATES: Rule = Rule::new(
    Severity::Weak,
    "eg-client-certificates",
    &["M01"],
    "client certificates are not asked for, so that tokens bound to one never pass",
    "tls: { clientValidation: { optional: true, caCertificateRefs: […] } }; or allow it",
)
.allowable()
.key(Key::must(
    Part::Client,
    "tls.clientValidation.caCertificateRefs",
    |node, _| !node.items().is_empty(),
    &["[]"],
));
pub(super) static FORWARDED: Rule = Rule::new(
    Severity::Hole,
    "eg-certificate-header",
    &["M03"],
    "an upstream may take a certificate that a caller wrote into `x-forwarded-client-cert` for a real one",
    "headers: { xForwardedClientCert: { mode: Sanitize } } (or SanitizeSet)",
)
.key(Key::may(
    Part::Client,
    "headers.xForwardedClientCert.mode",
    |node, _| matches!(node.text(), Some("Sanitize" | "SanitizeSet")),
    &["ForwardOnly", "AppendForward", "AlwaysForwardOnly"],
));

fn within(node: &Node, seconds: u64) -> bool {
    duration(node).is_some_and(|time| !time.is_zero() && time <= Duration::from_secs(seconds))
}

/// Whether a matcher removes all names of ours, and none that decides.
fn strips(matcher: &Node) -> bool {
    let value = matcher.text_of("value").to_ascii_lowercase();
    match matcher.text_of("type") {
        "Prefix" => value == "x-exequatur-" || value == "x-exequatur",
        "RegularExpression" => {
            let whole = names::whole(&value);
            let hits = |name: &str| whole.as_ref().is_some_and(|regex| regex.is_match(name));
            names::OURS.iter().all(|name| hits(name)) && !names::DECIDING.iter().any(|name| hits(name))
        }
        _ => false,
    }
}

pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let asked = resources.asked();
    for (policy, gateway) in &asked {
        linter.within(policy, |linter| unshaped(gateway, resources, linter));
    }
    if let (true, true, Some((policy, auth))) =
        (asked.is_empty(), resources.clients.is_empty(), resources.asking().next())
    {
        linter.within(policy, |linter| linter.keys(Part::Client, &nothing(auth.place)));
    }
    for policy in &resources.clients {
        let Some(spec) = policy.get("spec") else { continue };
        linter.within(policy, |linter| {
            target::seen(policy, resources, linter);
            let targets = target::of(policy, resources);
            let here = |one: &Asked<'_>| {
                one.namespace == namespace(policy)
                    && targets.iter().any(|target| target.kind == "Gateway" && target.name == one.name)
            };
            if resources.asks() && !asked.iter().any(|(_, one)| here(one)) {
                let message = format!("`{}` is for no Gateway that is asked at", name(policy));
                linter.report(&ASTRAY, policy.place, message);
            }
            linter.keys(Part::Client, spec);
            fields::judge(&fields::CLIENT_TRAFFIC, spec, linter);
            for (key, message) in [
                ("headers", &fields::CLIENT_HEADERS),
                ("http1", &fields::CLIENT_HTTP1),
                ("headers.earlyRequestHeaders", &fields::EARLY_HEADERS),
                ("tls.clientValidation", &fields::CLIENT_VALIDATION),
            ] {
                if let Some(part) = spec.at(key) {
                    fields::judge(message, part, linter);
                }
            }
        });
    }
}

/// A Gateway, or a listener of it, that no policy shapes has Envoy Gateway's defaults: each key that has to be said is missing.
fn unshaped(gateway: &Asked<'_>, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    // What is not here is told by the policy that names it.
    let Some(known) = gateway.known else { return };
    let of = resources.clients.iter().filter(|policy| namespace(policy) == gateway.namespace);
    let targets: Vec<Target<'_>> = of.flat_map(|policy| target::of(policy, resources)).collect();
    for listener in target::listeners(known) {
        if !target::hold(&targets, &gateway.name, Some(known), Some(listener.text_of("name"))) {
            linter.within(known, |linter| linter.keys(Part::Client, &nothing(listener.place)));
        }
    }
}

fn nothing(place: Place) -> Node {
    Node { place, value: Value::Map(Vec::new()) }
}
