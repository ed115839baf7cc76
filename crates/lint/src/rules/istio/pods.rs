//! Pods, and whether their proxy sees what reaches them.
//!
//! From `pkg/kube/inject/inject.go` and the injection template of Istio: a pod without a proxy, and a port that is not redirected
//! to it, are reached unasked.

use super::reach::{Pods, Reach, labelled};
use super::{Resources, ingress, policy, proxy, waypoint};
use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::resources::name;
use crate::tree::{Node, Value, shortened};

pub(super) static OUT: Rule = Rule::new(
    Severity::Hole,
    "istio-out-of-mesh",
    &["B-15"],
    "what reaches these pods past their proxy, or where they have none, is not asked about",
    "leave it out; or allow it where the ports that are left out serve nothing that is guarded",
)
.allowable();
pub(super) static NOT_INJECTED: Rule = Rule::new(
    Severity::Unknown,
    "istio-not-injected",
    &["B-15"],
    "a pod without a proxy is asked about by nobody, and nothing in these files says that one is put in",
    "give the Namespace, with `istio-injection: enabled` or `istio.io/rev`; or the pods, with `sidecar.istio.io/inject: \"true\"`",
)
.allowable();

/// Judges the pods that policies are for.
pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    for values in &resources.values {
        defaults(values, linter);
    }
    proxy::judge(resources, linter);
    for custom in resources.custom() {
        if policy::is_of_waypoint(custom, resources) {
            continue;
        }
        for reach in Reach::of(custom, policy::SELECTOR, resources.root()) {
            sidecars(custom, &reach, resources, linter);
        }
    }
    for service in resources.services.iter().filter(|service| waypoint::way(service, resources).is_some()) {
        let behind = Reach::within(crate::rules::resources::namespace(service), service.at("spec.selector"));
        for pods in resources.pods.iter().filter(|pods| behind.covers(&pods.reach())) {
            let off = |value: &&Node| matches!(value.text(), Some("none" | "disabled"));
            let found = [
                pods.label("istio.io/dataplane-mode").filter(off),
                pods.annotation("ambient.istio.io/redirection").filter(off),
                pods.annotation("ambient.istio.io/bypass-inbound-capture"),
                host_network(pods),
            ];
            for value in found.into_iter().flatten() {
                linter.within(pods.made_by, |linter| {
                    let message = format!("pods of `{}` are not in the mesh", name(pods.made_by));
                    linter.report(&OUT, value.place, message);
                });
            }
        }
    }
}

/// What values of istiod's chart say of every pod.
fn defaults(values: &Node, linter: &mut Linter<'_>) {
    let proxy = |key: &str| values.at(&format!("global.proxy.{key}"));
    let said = |value: &&Node| value.text() != Some("");
    let found = [
        proxy("excludeInboundPorts").filter(said),
        proxy("includeInboundPorts").filter(|value| value.text() != Some("*")),
        proxy("autoInject").filter(|value| value.text() != Some("enabled")),
    ];
    for value in found.into_iter().flatten() {
        linter.report(&OUT, value.place, format!("`{}` is for every pod of the mesh", value.shown()));
    }
}

fn host_network<'n>(pods: &Pods<'n>) -> Option<&'n Node> {
    pods.template.at("spec.hostNetwork").filter(|value| value.truth() != Some(false))
}

fn sidecars(custom: &Node, reach: &Reach, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let around = resources.namespaces.iter().find(|one| Some(name(one).as_str()) == reach.namespace());
    let injection = around.and_then(|around| labelled(around, "metadata.labels", "istio-injection"));
    let mine: Vec<&Pods<'_>> = resources.pods.iter().filter(|pods| reach.covers(&pods.reach())).collect();
    let near = || resources.pods.iter().any(|pods| pods.reach().namespace() == reach.namespace());
    if mine.is_empty() && reach.gateway().is_none() && near() {
        linter.within(custom, |linter| {
            let message =
                "no pods here carry the labels that the policy selects, and others of its namespace are here";
            linter.report(&policy::UNSEEN, custom.place, message);
        });
    }
    for pods in &mine {
        linter.within(pods.made_by, |linter| {
            past(pods, linter);
            proxy::annotations(pods, resources, linter);
        });
    }
    if ingress::is_gateway(reach, resources) {
        return;
    }
    if let Some(off) = injection.filter(|value| value.text() == Some("disabled")) {
        linter.report(&OUT, off.place, "no proxy is put into the pods of this namespace");
        return;
    }
    let revision = around.and_then(|around| labelled(around, "metadata.labels", "istio.io/rev"));
    let on = |pods: &&Pods<'_>| injected(pods).is_some_and(|value| value.truth() == Some(true));
    let each = !mine.is_empty() && mine.iter().all(on);
    if !each && revision.is_none() && injection.and_then(Node::text) != Some("enabled") {
        let at = reach
            .namespace()
            .map_or_else(|| "every namespace".to_owned(), |at| format!("`{}`", shortened(at)));
        let message = format!("nothing here says that pods in {at} have a proxy");
        linter.within(custom, |linter| linter.report(&NOT_INJECTED, custom.place, message));
    }
}

/// Istio takes the label before the annotation.
fn injected<'n>(pods: &Pods<'n>) -> Option<&'n Node> {
    const INJECT: &str = "sidecar.istio.io/inject";
    pods.label(INJECT).or_else(|| pods.annotation(INJECT))
}

/// Reports each way past the proxy of these pods.
fn past(pods: &Pods<'_>, linter: &mut Linter<'_>) {
    let mut report = |value: &Node, message: String| linter.report(&OUT, value.place, message);
    if let Some(off) = injected(pods).filter(|value| value.truth() == Some(false)) {
        report(off, "no proxy is put into these pods".to_owned());
    }
    if let Some(host) = host_network(pods) {
        report(host, "no proxy is put into pods on the host's network".to_owned());
    }
    let said = |value: &&Node| !matches!(&value.value, Value::Null) && value.text() != Some("");
    for key in ["excludeInboundPorts", "excludeInterfaces"] {
        if let Some(value) = pods.annotation(&format!("traffic.sidecar.istio.io/{key}")).filter(said) {
            report(value, format!("`{key}` leaves out `{}`", value.shown()));
        }
    }
    let only = pods.annotation("traffic.sidecar.istio.io/includeInboundPorts");
    if let Some(value) = only.filter(|value| value.text() != Some("*")) {
        report(value, format!("`includeInboundPorts` is `{}`, and not `*`", value.shown()));
    }
    let mode = pods.annotation("sidecar.istio.io/interceptionMode");
    if let Some(value) = mode.filter(|value| !value.is_member(&[("REDIRECT", 0), ("TPROXY", 1)])) {
        report(value, "nothing is redirected to the proxy, as far as is known here".to_owned());
    }
    let templates = pods.annotation("inject.istio.io/templates");
    if let Some(value) = templates.filter(|value| !matches!(value.text(), Some("sidecar" | "gateway"))) {
        report(value, format!("what the template `{}` puts in is not known", value.shown()));
    }
    for key in ["sidecar.istio.io/bootstrapOverride", "proxy.istio.io/overrides"] {
        if let Some(value) = pods.annotation(key) {
            report(value, format!("what `{key}` makes of the proxy is not known"));
        }
    }
}
