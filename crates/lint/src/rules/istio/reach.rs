//! Which workloads a resource is for.
//!
//! Istio selects by labels, all of which a workload has to carry, in the resource's own namespace; from the mesh's root
//! namespace in all of them (`pilot/pkg/model/policyattachment.go`). So one selector covers another if it asks for no label more.

use crate::rules::resources::{name, namespace};
use crate::tree::Node;

/// A label of the pods that Istio makes for a `Gateway` of the Gateway API.
pub(super) const OF_GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

/// The workloads that carry all of these labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// `None`: in every namespace.
    namespace: Option<String>,
    labels: Vec<(String, String)>,
}

impl Reach {
    /// What labels select from a namespace.
    pub(super) fn within(namespace: &str, labels: Option<&Node>) -> Self {
        let labels = labels.map(Node::entries).unwrap_or_default().iter();
        let labels = labels.map(|label| (label.key.clone(), label.value.shown()));
        Self { namespace: Some(namespace.to_owned()), labels: labels.collect() }
    }

    /// The same labels, in every namespace.
    pub(super) fn everywhere(self) -> Self {
        Self { namespace: None, ..self }
    }

    /// The pods of a `Gateway` of the Gateway API.
    pub(super) fn of_gateway(namespace: &str, name: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), labels: vec![(OF_GATEWAY.to_owned(), name.to_owned())] }
    }

    /// What `matchLabels`, or references to Gateways, of a resource select. None: it is attached to something else.
    pub(super) fn of(resource: &Node, selector: &str, root: &str) -> Vec<Self> {
        let here = namespace(resource);
        let Some(spec) = resource.get("spec") else { return Vec::new() };
        let mut targets = targets(spec).peekable();
        if targets.peek().is_some() {
            let gateways = targets.filter(|target| target.text_of("kind") == "Gateway");
            return gateways.map(|target| Self::of_gateway(here, target.text_of("name"))).collect();
        }
        let reach = Self::within(here, spec.at(selector));
        vec![if here == root { reach.everywhere() } else { reach }]
    }

    /// Whether every workload of the other one is one of these.
    pub(super) fn covers(&self, other: &Self) -> bool {
        (self.namespace.is_none() || self.namespace == other.namespace)
            && self.labels.iter().all(|label| other.labels.contains(label))
    }

    /// Whether a workload can be one of both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let together = |mine: &Option<String>, theirs: &Option<String>| {
            mine.is_none() || theirs.is_none() || mine == theirs
        };
        let differs = |(key, value): &(String, String)| {
            other.labels.iter().any(|(other, theirs)| other == key && theirs != value)
        };
        together(&self.namespace, &other.namespace) && !self.labels.iter().any(differs)
    }

    /// Whether every one of these carries the labels, in whatever namespace.
    pub(super) fn carries(&self, labels: &Node) -> bool {
        let wanted = Self::within("", Some(labels));
        !wanted.labels.is_empty() && wanted.labels.iter().all(|label| self.labels.contains(label))
    }

    /// The Gateway of the Gateway API whose pods these are.
    pub(super) fn gateway(&self) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == OF_GATEWAY).map(|(_, name)| name.as_str())
    }

    /// The one namespace of these.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// What a policy is attached to by name.
pub(super) fn targets(spec: &Node) -> impl Iterator<Item = &Node> {
    spec.list("targetRefs").iter().chain(spec.get("targetRef"))
}

/// What makes pods: where it runs, and their template.
#[derive(Debug)]
pub(super) struct Pods<'n> {
    pub(super) made_by: &'n Node,
    pub(super) template: &'n Node,
}

impl<'n> Pods<'n> {
    /// Of a resource, if it makes any.
    pub(super) fn of(resource: &'n Node) -> Option<Self> {
        let template = match resource.text_of("kind") {
            "Pod" => Some(resource),
            "DaemonSet" | "Deployment" | "Job" | "ReplicaSet" | "StatefulSet" => resource.at("spec.template"),
            "CronJob" => resource.at("spec.jobTemplate.spec.template"),
            _ => None,
        };
        template.map(|template| Self { made_by: resource, template })
    }

    pub(super) fn reach(&self) -> Reach {
        Reach::within(namespace(self.made_by), self.template.at("metadata.labels"))
    }

    pub(super) fn label(&self, key: &str) -> Option<&'n Node> {
        labelled(self.template, "metadata.labels", key)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'n Node> {
        labelled(self.template, "metadata.annotations", key)
    }
}

/// The value of a label or annotation, whose name has dots.
pub(super) fn labelled<'n>(resource: &'n Node, path: &str, key: &str) -> Option<&'n Node> {
    let entries = resource.at(path).map(Node::entries).unwrap_or_default();
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

/// Whether a resource has that name, in that namespace.
pub(super) fn is(resource: &Node, at: &str, wanted: &str) -> bool {
    namespace(resource) == at && name(resource) == wanted
}
