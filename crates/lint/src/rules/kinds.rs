//! Kinds of resources, by their API. A kind of another group, or of a version that is not known here, is another thing.

use crate::tree::Node;

/// Kinds by group and version. Those without a rule of their own send no request past a decision.
const KNOWN: [(&str, &[&str], &[&str]); 15] = [
    (
        "",
        &["v1"],
        &[
            "ConfigMap",
            "LimitRange",
            "Namespace",
            "PersistentVolumeClaim",
            "Pod",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    ("apps", &["v1"], &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("batch", &["v1"], &["CronJob", "Job"]),
    ("autoscaling", &["v1", "v2"], &["HorizontalPodAutoscaler"]),
    ("policy", &["v1"], &["PodDisruptionBudget"]),
    ("networking.k8s.io", &["v1"], &["NetworkPolicy"]),
    ("rbac.authorization.k8s.io", &["v1"], &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    ("cert-manager.io", &["v1"], &["Certificate", "ClusterIssuer", "Issuer"]),
    ("monitoring.coreos.com", &["v1"], &["PodMonitor", "PrometheusRule", "ServiceMonitor"]),
    (GATEWAY_API, &["v1", "v1beta1"], &["Gateway", "GatewayClass", "HTTPRoute", "ReferenceGrant"]),
    (GATEWAY_API, &["v1", "v1alpha3"], &["BackendTLSPolicy"]),
    (GATEWAY_API, &["v1"], &["GRPCRoute"]),
    (
        "security.istio.io",
        &["v1", "v1beta1"],
        &["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"],
    ),
    (ISTIO, &["v1", "v1beta1", "v1alpha3"], &["DestinationRule", "Gateway"]),
    (
        "gateway.envoyproxy.io",
        &["v1alpha1"],
        &["BackendTrafficPolicy", "ClientTrafficPolicy", "EnvoyPatchPolicy", "SecurityPolicy"],
    ),
];
/// Kinds that stand in one version only.
const SINGLE: [(&str, &str, &str); 2] =
    [(ISTIO, "v1alpha3", "EnvoyFilter"), ("install.istio.io", "v1alpha1", "IstioOperator")];

/// The group of the Gateway API.
pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// The group of Istio's traffic management.
pub(crate) const ISTIO: &str = "networking.istio.io";

/// The group of a resource; empty for Kubernetes' own.
pub(crate) fn group(resource: &Node) -> &str {
    split(resource.text_of("apiVersion")).0
}

/// Whether these rules know what a resource of that kind, group and version does.
pub(crate) fn is_known(resource: &Node) -> bool {
    let (group, version) = split(resource.text_of("apiVersion"));
    let kind = resource.text_of("kind");
    SINGLE.contains(&(group, version, kind))
        || KNOWN.iter().any(|(known, versions, kinds)| {
            *known == group && versions.contains(&version) && kinds.contains(&kind)
        })
}

fn split(version: &str) -> (&str, &str) {
    version.split_once('/').unwrap_or(("", version))
}
