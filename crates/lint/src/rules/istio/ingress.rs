//! Where requests come into the mesh: `Gateway` of Istio, and of the Gateway API.

use super::Resources;
use super::policy;
use super::reach::{Pods, Reach};
use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::listener;
use crate::rules::resources::{name, namespace};
use crate::tree::{Node, shortened};

pub(super) static UNASKED: Rule = Rule::new(
    Severity::Unknown,
    "istio-gateway-unasked",
    &["B-15"],
    "no CUSTOM policy here is for this gateway: whether what stands behind it asks is not known",
    "a CUSTOM policy that selects the gateway's pods, in its namespace; or allow it, where all that is behind it asks",
)
.allowable();
pub(super) static OPAQUE: Rule = Rule::new(
    Severity::Hole,
    "istio-gateway-opaque",
    &["B-15"],
    "bytes go to an upstream without anybody reading the requests in them",
    "protocol: HTTPS, and `tls` with mode SIMPLE, MUTUAL or OPTIONAL_MUTUAL; or allow it, where a guarded sidecar ends the connection",
)
.allowable();

/// Whether these workloads are known to be gateways.
pub(super) fn is_gateway(reach: &Reach, resources: &Resources<'_>) -> bool {
    let template = "inject.istio.io/templates";
    let mut pods = resources.pods.iter().filter(|pods| reach.covers(&pods.reach())).peekable();
    reach.gateway().is_some()
        || resources
            .gateways
            .iter()
            .any(|gateway| gateway.at("spec.selector").is_some_and(|it| reach.carries(it)))
        || (pods.peek().is_some()
            && pods.all(|pods| pods.annotation(template).and_then(Node::text) == Some("gateway")))
}

/// Judges each way in. `others`: whether another product may ask at Gateways of the Gateway API.
pub(super) fn judge(resources: &Resources<'_>, others: bool, linter: &mut Linter<'_>) {
    for gateway in &resources.gateways {
        linter.within(gateway, |linter| {
            for server in gateway.at("spec.servers").map(Node::items).unwrap_or_default() {
                judge_server(server, linter);
            }
        });
    }
    if !resources.asks() {
        return;
    }
    for gateway in &resources.gateways {
        let reach = Reach::within(namespace(gateway), gateway.at("spec.selector"));
        // Its pods may run elsewhere: where, is known if they are here.
        let mut pods = resources
            .pods
            .iter()
            .map(Pods::reach)
            .filter(|pods| reach.clone().everywhere().covers(pods))
            .peekable();
        let asked = if pods.peek().is_some() {
            pods.all(|pods| is_asked(&pods, resources))
        } else {
            is_asked(&reach, resources)
        };
        if !asked {
            linter.within(gateway, |linter| {
                linter.report(
                    &UNASKED,
                    gateway.place,
                    format!("nobody asks at the gateway `{}`", name(gateway)),
                );
            });
        }
    }
    for gateway in &resources.ingresses {
        let istios = gateway.at("spec.gatewayClassName").and_then(Node::text) == Some("istio");
        if (istios || !others) && !is_asked(&Reach::of_gateway(namespace(gateway), &name(gateway)), resources)
        {
            linter.within(gateway, |linter| {
                linter.report(
                    &UNASKED,
                    gateway.place,
                    format!("nobody asks at the gateway `{}`", name(gateway)),
                );
            });
        }
    }
    for route in resources.routes.iter().filter(|_| !others) {
        for parent in route.at("spec.parentRefs").map(Node::items).unwrap_or_default() {
            unseen(route, parent, resources, linter);
        }
    }
}

/// Reports a way in that is named, and not here.
fn unseen(route: &Node, parent: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let (at, wanted) = (
        parent.get("namespace").and_then(Node::text).unwrap_or_else(|| namespace(route)),
        parent.text_of("name"),
    );
    let here = || resources.ingress(at, wanted).or_else(|| resources.waypoint(at, wanted)).is_some();
    // What is attached to a Service comes from within the mesh.
    let known = match parent.get("kind").and_then(Node::text) {
        Some("Service") => true,
        None | Some("Gateway") => here(),
        Some(_) => false,
    };
    if !known {
        linter.within(route, |linter| {
            let message = format!("the gateway `{}` of this route is not here", shortened(wanted));
            linter.report(&UNASKED, parent.place, message);
        });
    }
}

fn is_asked(reach: &Reach, resources: &Resources<'_>) -> bool {
    let asking = resources.custom().filter(|custom| !policy::is_of_waypoint(custom, resources));
    let mut reaches = asking.flat_map(|custom| Reach::of(custom, policy::SELECTOR, resources.root()));
    reaches.any(|one| one.covers(reach))
}

/// A server of Istio's `Gateway`.
fn judge_server(server: &Node, linter: &mut Linter<'_>) {
    let protocol = server.at("port.protocol").and_then(Node::text).unwrap_or_default();
    let tls = server.get("tls");
    let ended = [("SIMPLE", 1), ("MUTUAL", 2), ("ISTIO_MUTUAL", 4), ("OPTIONAL_MUTUAL", 5)];
    let ends = tls.and_then(|tls| tls.get("mode")).is_some_and(|mode| mode.is_member(&ended));
    match protocol.to_ascii_uppercase().as_str() {
        // An answer that sends the caller to https, and nothing else.
        "HTTP" if tls.is_some_and(|tls| tls.says("httpsRedirect")) => {}
        "HTTPS" if ends => {}
        // Istio takes no `tls` with these but the redirect.
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => {
            linter.report(
                &listener::PLAINTEXT,
                server.place,
                format!("the server's protocol is `{}`", shortened(protocol)),
            );
        }
        _ => linter.report(
            &OPAQUE,
            server.place,
            format!("requests by `{}` are not read here", shortened(protocol)),
        ),
    }
}
