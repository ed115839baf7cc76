//! Kubernetes resources, and the values of charts, that a mesh or a gateway makes Envoy's configuration from.
//!
//! What is generated is not in the file. Each product has a file of rules that knows what its control plane makes of each
//! key; what Envoy would get is held against the same rules as a bootstrap, as far as it is known.

use std::time::Duration;

use crate::Options;
use crate::linter::Linter;
use crate::names;
use crate::reader::{self, Unreadable};
use crate::rule::{Rule, Severity};
use crate::rules::{agentgateway, check, envoy_gateway, istio, kinds, listener, route};
use crate::tree::{Entry, Node, Place, Value, shortened};

static NOT_JUDGED: Rule = Rule::new(
    Severity::Unknown,
    "resource-not-judged",
    &["N01"],
    "what this resource does to requests is not known here",
    "leave it out of what is judged together; or allow it, after reading what it does",
)
.allowable();

static UNASKED: Rule = Rule::new(
    Severity::Hole,
    "nobody-asks",
    &["B-15"],
    "nothing among what was given asks Exequatur: whatever comes in passes without a decision",
    "give what asks to the same run of the command: an AuthorizationPolicy with `action: CUSTOM`, or a SecurityPolicy with `extAuth`",
);

pub(crate) static RULES: &[&Rule] = &[&NOT_JUDGED, &UNASKED];

/// Whether a document is one of those, and no bootstrap.
pub(crate) fn is_one(document: &Node) -> bool {
    let known = ["apiVersion", "kind", "meshConfig", "extensionProviders"];
    let has = |key: &&str| document.entries().iter().any(|entry| entry.key == **key);
    known.iter().any(has) || agentgateway::is_one(document)
}

/// Judges all of them together.
pub(crate) fn judge(documents: Vec<Node>, texts: &[&str], linter: &mut Linter<'_>) -> Result<(), Unreadable> {
    let resources = unlisted(documents);
    let mut meshes = Vec::new();
    for document in &resources {
        if let Some(text) = document.at("data.mesh").filter(|_| document.text_of("kind") == "ConfigMap") {
            let last = texts.get(text.place.text).map_or(1, |text| text.split(['\n', '\r']).count());
            meshes.push(inner(text, last)?);
        }
    }
    let mut mesh = istio::Resources::default();
    for inner in &meshes {
        mesh.take_mesh(inner);
    }
    let mut gateway = envoy_gateway::Resources::default();
    let mut unasked = None;
    for resource in &resources {
        if resource.text_of("kind").is_empty() && agentgateway::is_one(resource) {
            agentgateway::judge(resource, linter);
            continue;
        }
        unasked = unasked.or(Some(resource.place));
        let known = kinds::is_known(resource);
        linter.within(resource, |linter| match resource.text_of("kind") {
            "HTTPRoute" | "GRPCRoute" if known => routes(resource, linter),
            "Gateway" if known => listeners(resource, linter),
            "RequestAuthentication" if known => authentication(resource, linter),
            kind => {
                if !known && !istio::is_mesh(resource) {
                    let version = shortened(resource.text_of("apiVersion"));
                    let message = format!("a `{}` of `{version}` is not judged", shortened(kind));
                    linter.report(&NOT_JUDGED, resource.place, message);
                }
            }
        });
        if known || istio::is_mesh(resource) {
            mesh.take(resource);
            gateway.take(resource);
        }
    }
    istio::judge(&mesh, gateway.asks(), linter);
    envoy_gateway::judge(&gateway, linter);
    if let Some(place) = unasked
        && !mesh.asks()
        && !gateway.asks()
        && !linter.found(&[&istio::UNASKED, &envoy_gateway::UNASKED])
    {
        linter.report(&UNASKED, place, "nothing here asks Exequatur");
    }
    Ok(())
}

/// What `kubectl get` puts into a `List`, each by itself.
fn unlisted(documents: Vec<Node>) -> Vec<Node> {
    let mut all = Vec::new();
    for document in documents {
        let is_list = document.text_of("kind") == "List" && document.text_of("apiVersion") == "v1";
        match document.get("items").filter(|_| is_list) {
            Some(items) => all.extend(items.items().iter().cloned()),
            None => all.push(document),
        }
    }
    all
}

/// A configuration that stands as text in a value. Lines are those of the whole, columns those of the text.
fn inner(value: &Node, last: usize) -> Result<Node, Unreadable> {
    let place = value.place;
    // Its text begins on the line where the value does.
    let above = place.line.saturating_sub(1);
    let read = reader::read(value.text().unwrap_or_default());
    let read = read.map_err(|error| {
        let line = error.place.line.saturating_add(above);
        Unreadable { place: Place { text: place.text, line, ..error.place }, ..error }
    })?;
    Ok(read.moved(place.text, above, last))
}

/// What a route of the Gateway API does to requests after the decision.
fn routes(resource: &Node, linter: &mut Linter<'_>) {
    let rules = resource.at("spec.rules").map(Node::items).unwrap_or_default();
    let filters = rules.iter().flat_map(|rule| {
        let backends = rule.list("backendRefs").iter().flat_map(|backend| backend.list("filters"));
        rule.list("filters").iter().chain(backends)
    });
    for filter in filters {
        match filter.text_of("type") {
            "RequestRedirect" | "ResponseHeaderModifier" => {}
            "URLRewrite" => linter.report(&route::REWRITE, filter.place, "the route rewrites path or host"),
            "RequestMirror" => linter.report(&route::MIRROR, filter.place, "the route copies requests"),
            "RequestHeaderModifier" => {
                let change = filter.get("requestHeaderModifier");
                let named =
                    ["set", "add"].iter().flat_map(|key| change.map(|it| it.list(key)).unwrap_or_default());
                let named = named.filter_map(|header| header.get("name").and_then(Node::text));
                let removed =
                    change.map(|it| it.list("remove")).unwrap_or_default().iter().filter_map(Node::text);
                for name in named.chain(removed).filter(|name| names::reserved(name, linter.options)) {
                    let message = format!("the route writes or removes `{}`", shortened(name));
                    linter.report(&route::HEADER, filter.place, message);
                }
            }
            other => {
                let message = format!("what filter `{}` does is not judged", shortened(other));
                linter.report(&NOT_JUDGED, filter.place, message);
            }
        }
    }
}

/// What Istio writes of a token that it has verified, after the decision.
fn authentication(resource: &Node, linter: &mut Linter<'_>) {
    let rules = resource.at("spec.jwtRules").map(Node::items).unwrap_or_default();
    let claims = rules.iter().flat_map(|rule| rule.list("outputClaimToHeaders"));
    let claims = claims.filter_map(|claim| claim.get("header"));
    let whole = rules.iter().filter_map(|rule| rule.get("outputPayloadToHeader"));
    let written: Vec<&Node> = claims.chain(whole).collect();
    written_later(&written, linter);
}

/// Reports the names among them that Exequatur alone may write.
pub(crate) fn written_later(headers: &[&Node], linter: &mut Linter<'_>) {
    for header in headers {
        let name = header.text().unwrap_or_default();
        if names::reserved(name, linter.options) {
            let message = format!("`{}` is written after the decision", shortened(name));
            linter.report(&route::HEADER, header.place, message);
        }
    }
}

fn listeners(gateway: &Node, linter: &mut Linter<'_>) {
    for listener in gateway.at("spec.listeners").map(Node::items).unwrap_or_default() {
        let protocol = listener.text_of("protocol");
        if !["HTTPS", "HBONE"].contains(&protocol) {
            let message = format!("the listener's protocol is `{}`", shortened(protocol));
            linter.report(&listener::PLAINTEXT, listener.place, message);
        }
    }
}

/// `250ms`, `10s`, `1m30s`, as the Gateway API has it.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|length| (1..=5).contains(length))?;
        let (number, unit) = rest.split_at(digits);
        let number: u32 = number.parse().ok()?;
        let units =
            [("ms", Duration::from_millis(1)), ("s", Duration::from_secs(1)), ("m", Duration::from_secs(60))];
        let units = units.into_iter().chain([("h", Duration::from_secs(3600))]);
        let (length, each) =
            units.filter(|(name, _)| unit.starts_with(name)).map(|(name, each)| (name.len(), each)).next()?;
        total = total.checked_add(each.checked_mul(number)?)?;
        rest = unit.get(length..)?;
    }
    (!text.is_empty()).then_some(total)
}

/// Whether a Check may take that long.
pub(crate) fn timely(time: Option<Duration>, options: &Options) -> bool {
    time.is_some_and(|time| check::fits(time, options))
}

/// Whether a list of headers to show leaves out none that decides, or that an upstream takes for one.
pub(crate) fn shows_all(list: &Node, options: &Options) -> bool {
    const BESIDE: [&str; 6] =
        ["traceparent", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "accept"];
    let shown: Vec<String> =
        list.items().iter().filter_map(Node::text).map(str::to_ascii_lowercase).collect();
    let overrides =
        options.overrides.iter().flat_map(|name| names::twins(name).into_iter().chain([name.clone()]));
    let wanted = names::DECIDING.iter().chain(&BESIDE).map(|name| (*name).to_owned()).chain(overrides);
    wanted.into_iter().all(|name| shown.contains(&name))
}

/// A message that a control plane writes, as if it stood at that place.
pub(crate) fn given(yaml: &str, place: Place) -> Node {
    fn put(node: &mut Node, place: Place) {
        node.place = place;
        match &mut node.value {
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.place = place;
                put(&mut entry.value, place);
            }),
            Value::List(items) => items.iter_mut().for_each(|item| put(item, place)),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_) => {}
        }
    }
    let empty = Node { place, value: Value::Map(Vec::new()) };
    let mut node = reader::read(yaml).unwrap_or(empty);
    put(&mut node, place);
    node
}

/// A message with one field.
pub(crate) fn one_of(key: &str, value: Node) -> Node {
    let place = value.place;
    Node { place, value: Value::Map(vec![Entry { key: key.to_owned(), place, value }]) }
}

/// The namespace of a resource.
pub(crate) fn namespace(resource: &Node) -> &str {
    resource.at("metadata.namespace").and_then(Node::text).unwrap_or("default")
}

/// The name of a resource.
pub(crate) fn name(resource: &Node) -> String {
    shortened(resource.at("metadata.name").and_then(Node::text).unwrap_or_default())
}
