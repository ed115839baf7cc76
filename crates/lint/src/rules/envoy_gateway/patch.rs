//! `EnvoyPatchPolicy`: keys that are added to each `ext_authz` filter and each connection manager.

use super::Resources;
use super::target::{self, ASTRAY, Asked};
use crate::linter::Linter;
use crate::rule::{Part, Rule, Severity};
use crate::rules::resources::{given, namespace, one_of};
use crate::rules::{body, check, fields, mutation};
use crate::tree::{Entry, Node, Place, Value, shortened};

pub(super) static PATCH: Rule = Rule::new(
    Severity::Unknown,
    "eg-patch",
    &["N01"],
    "what this patch makes of listeners, filters or routes is not known here",
    "add keys to every ext_authz filter and connection manager, by the `jsonPath` of examples/envoy-gateway; or allow it",
)
.allowable();

const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// Names of filters end in that of their policy.
const CHECKS: &str = "..http_filters[?match(@.name, 'envoy.filters.http.ext_authz/.*')].typed_config";
const MANAGERS: &str =
    "..filters[?match(@.name, 'envoy.filters.network.http_connection_manager')].typed_config";

/// What Envoy Gateway writes, or a policy that is judged where it stands. Its filter has no `filter_enabled`: that the filter is
/// off in the chain, and on by route, is what `eg-unasked` and `eg-replaced` are about.
const CHECK: &str = "{ failure_mode_allow: false, status_on_error: { code: 503 }, clear_route_cache: false, deny_at_disable: { default_value: true } }";
const CONNECTION: &str = "{ use_remote_address: true, xff_num_trusted_hops: 0, normalize_path: true, merge_slashes: true, \
     path_with_escaped_slashes_action: REJECT_REQUEST, strip_trailing_host_dot: true, forward_client_cert_details: SANITIZE, \
     common_http_protocol_options: { headers_with_underscores_action: REJECT_REQUEST, max_stream_duration: 900s }, \
     request_headers_timeout: 10s, max_request_headers_kb: 60, \
     http_protocol_options: { accept_http_10: false, override_stream_error_on_invalid_http_message: false } }";

/// Judges what each listener that is asked at comes to.
pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let asked = resources.asked();
    for policy in &resources.patches {
        linter.within(policy, |linter| {
            target::seen(policy, resources, linter);
            for patch in patches(policy) {
                let fits = |gateway: &Asked<'_>| {
                    is_for(policy, gateway, resources) && own(gateway, patch.text_of("name"))
                };
                if resources.asks() && !asked.iter().any(|(_, gateway)| fits(gateway)) {
                    let message =
                        format!("`{}` is no listener that is asked at", shortened(patch.text_of("name")));
                    linter.report(&ASTRAY, patch.place, message);
                }
            }
        });
    }
    for (asking, auth) in resources.asking() {
        for gateway in target::asked(asking, resources) {
            for listener in gateway.known.map(first_of_ports).unwrap_or_default() {
                let full = format!("{}/{}/{listener}", gateway.namespace, gateway.name);
                let laid = resources.patches.iter().filter(|policy| is_for(policy, &gateway, resources));
                guarded(asking, auth, &full, &laid.copied().collect::<Vec<_>>(), linter);
            }
        }
    }
}

fn patches(policy: &Node) -> &[Node] {
    policy.at("spec.jsonPatches").map(Node::items).unwrap_or_default()
}

/// Whether a policy may patch a Gateway: it names it, or its class.
fn is_for(policy: &Node, gateway: &Asked<'_>, resources: &Resources<'_>) -> bool {
    target::of(policy, resources).iter().any(|target| match target.kind {
        "Gateway" => namespace(policy) == gateway.namespace && target.name == gateway.name,
        "GatewayClass" => gateway.known.and_then(target::class) == Some(target.name.as_str()),
        _ => false,
    })
}

/// Whether a name is that of a listener of the Gateway.
fn own(gateway: &Asked<'_>, listener: &str) -> bool {
    let named = |wanted: &str| listener == format!("{}/{}/{wanted}", gateway.namespace, gateway.name);
    gateway.known.is_none_or(|known| first_of_ports(known).into_iter().any(named))
}

/// Listeners of one port are one of Envoy's, by the name of the first (`findXdsListenerByHostPort` in `translator.go`).
fn first_of_ports(gateway: &Node) -> Vec<&str> {
    let mut ports = Vec::new();
    let mut names = Vec::new();
    for listener in target::listeners(gateway) {
        let port = listener.get("port").and_then(Node::integer);
        if !ports.contains(&port) {
            ports.push(port);
            names.push(listener.text_of("name"));
        }
    }
    names
}

/// Judges what becomes of one listener.
fn guarded(asking: &Node, auth: &Node, listener: &str, policies: &[&Node], linter: &mut Linter<'_>) {
    let around = policies.first().copied().unwrap_or(asking);
    let mut check = given(CHECK, around.place);
    let mut connection = given(CONNECTION, around.place);
    if let Some(shown) = auth.get("bodyToExtAuth") {
        let size = shown.get("maxRequestBytes").cloned();
        let whole = Node { place: auth.place, value: Value::Bool(false) };
        let unset = Node { place: shown.place, value: Value::Null };
        let settings = [("max_request_bytes", size.unwrap_or(unset)), ("allow_partial_message", whole)];
        let settings = settings.map(|(key, value)| Entry { key: key.to_owned(), place: value.place, value });
        let settings = Node { place: shown.place, value: Value::Map(settings.to_vec()) };
        check.merge(&one_of("with_request_body", settings));
    }
    for policy in policies {
        linter.within(policy, |linter| {
            for patch in patches(policy).iter().filter(|patch| patch.text_of("name") == listener) {
                lay(patch, &mut check, &mut connection, linter);
            }
        });
    }
    linter.within(around, |linter| outcome(&check, &connection, linter));
}

fn lay(patch: &Node, check: &mut Node, connection: &mut Node, linter: &mut Linter<'_>) {
    let operation = patch.get("operation").unwrap_or(patch);
    let mut unknown = |place: Place, message: String| linter.report(&PATCH, place, message);
    let adds = matches!(operation.text_of("op"), "add" | "replace") && patch.text_of("type") == LISTENER;
    let (Some(value), true) = (operation.get("value"), adds) else {
        unknown(patch.place, format!("`{}` is not judged", shortened(operation.text_of("op"))));
        return;
    };
    let path = operation.text_of("path");
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let laid = path
        .rsplit('/')
        .filter(|step| !step.is_empty())
        .fold(value.clone(), |inner, step| one_of(step, inner));
    match operation.text_of("jsonPath") {
        CHECKS if !["grpc_service", "http_service", ""].contains(&first) => check.merge(&laid),
        MANAGERS if crate::rules::all().any(|rule| is_key(rule, first)) => connection.merge(&laid),
        _ => unknown(operation.place, format!("what `{}` becomes is not judged", shortened(path))),
    }
}

fn is_key(rule: &Rule, first: &str) -> bool {
    let key = rule.key.filter(|key| key.part == Part::Connection);
    key.is_some_and(|key| key.path.split('.').next() == Some(first))
}

fn outcome(check: &Node, connection: &Node, linter: &mut Linter<'_>) {
    fields::judge(&fields::CHECK, check, linter);
    linter.keys(Part::Check, check);
    mutation::judge(check, linter);
    check::hidden(check, linter);
    if let Some(settings) = check.get("with_request_body") {
        body::judge(settings, linter);
    }
    linter.keys(Part::Connection, connection);
}
