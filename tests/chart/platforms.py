"""What a platform adds: more pods by load, certificates, accounts, labels, variables, volumes, and rules for what goes out."""

from typing import TYPE_CHECKING

from rendering import NAMESPACE, Object

if TYPE_CHECKING:
    from objects import Findings

FULL = "gate-exequatur"
SELECTOR = {"app.kubernetes.io/name": "exequatur", "app.kubernetes.io/instance": "gate"}
DNS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]


def one(rendered: list[Object], kind: str, name: str = FULL) -> Object:
    return next(found for found in rendered if (found["kind"], found["metadata"]["name"]) == (kind, name))


def check(findings: "Findings", rendered: list[Object], given: Object) -> None:
    scaled(findings, rendered, given)
    certified(findings, rendered, given)
    accounted(findings, rendered, given)
    added(findings, rendered, given)
    scraped(findings, rendered, given)
    meshed(findings, rendered, given)


def meshed(findings: "Findings", rendered: list[Object], given: Object) -> None:
    """In Istio's mesh: TLS from everybody, and by identity who may go to which port."""
    istio = given.get("istio", {})
    if not istio:
        return
    selector = {"matchLabels": SELECTOR}
    wanted = {"selector": selector, "mtls": {"mode": "STRICT"}}
    findings.same("whose TLS is taken", one(rendered, "PeerAuthentication")["spec"], wanted)
    names = istio["principals"]
    rules = [
        {"from": [{"source": {"principals": whom}}], "to": [{"operation": {"ports": [port]}}]}
        for port, whom in [
            ("9191", names["envoy"]),
            ("9192", [*names["envoy"], *names.get("public", [])]),
            ("9193", names.get("metrics")),
            ("9194", names.get("operators")),
        ]
        if whom
    ]
    wanted = {"selector": selector, "action": "ALLOW", "rules": rules}
    findings.same("who may go where", one(rendered, "AuthorizationPolicy")["spec"], wanted)
    spec = one(rendered, "DestinationRule")["spec"]
    findings.same("of what the DestinationRule is", spec["host"], f"{FULL}.{NAMESPACE}.svc.cluster.local")
    findings.same("how proxies go there", spec["trafficPolicy"]["tls"], {"mode": "ISTIO_MUTUAL"})
    alive = {"connectTimeout": "0.25s", "tcpKeepalive": {"time": "30s", "interval": "5s", "probes": 1}}
    findings.same("what a dead one costs", spec["trafficPolicy"]["connectionPool"], {"tcp": alive})


def scaled(findings: "Findings", rendered: list[Object], given: Object) -> None:
    """Fewer pods only slowly: never a second one while the first may still end."""
    scaling = given.get("autoscaling", {})
    if not scaling.get("enabled"):
        return
    spec = one(rendered, "HorizontalPodAutoscaler")["spec"]
    findings.same("what is scaled", spec["scaleTargetRef"], {"apiVersion": "apps/v1", "kind": "Deployment", "name": FULL})
    bounds = {key: spec[key] for key in ("minReplicas", "maxReplicas")}
    findings.same("how far", bounds, {"minReplicas": 3, "maxReplicas": 12})
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    findings.same("by what", spec["metrics"], [{"type": "Resource", "resource": cpu}, *scaling["metrics"]])
    down = {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    findings.same("how", spec["behavior"], {"scaleUp": scaling["behavior"]["scaleUp"], "scaleDown": down})


def certified(findings: "Findings", rendered: list[Object], given: Object) -> None:
    found = {one["metadata"]["name"]: one["spec"] for one in rendered if one["kind"] == "Certificate"}
    if not given.get("certManager", {}).get("enabled"):
        findings.same("certificates", found, {})
        return
    for name, service in [("grpc", FULL), ("admin", f"{FULL}-admin")]:
        host = f"{service}.{NAMESPACE}.svc"
        wanted = {
            "secretName": f"{FULL}-{name}-tls",
            "dnsNames": [host, f"{host}.cluster.local"],
            "duration": "2160h",
            "renewBefore": "720h",
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            "issuerRef": {**given["certManager"]["issuerRef"], "group": "cert-manager.io"},
        }
        findings.same(f"the certificate for {name}", found.get(f"{FULL}-{name}"), wanted)


def accounted(findings: "Findings", rendered: list[Object], given: Object) -> None:
    account = given.get("serviceAccount", {})
    name = account.get("name", FULL)
    spec = one(rendered, "Deployment")["spec"]["template"]["spec"]
    findings.same("serviceAccountName", spec["serviceAccountName"], name)
    if account.get("create") is not False:
        found = one(rendered, "ServiceAccount", name)
        findings.same("whether its token is mounted", found["automountServiceAccountToken"], False)
        findings.same("its annotations", found["metadata"].get("annotations", {}), account.get("annotations", {}))


def added(findings: "Findings", rendered: list[Object], given: Object) -> None:
    common = {key: text for key, text in given.get("commonLabels", {}).items() if key not in SELECTOR}
    for found in rendered:
        labels = found["metadata"]["labels"]
        findings.same(f"labels of {found['kind']}", {**labels, **common, **SELECTOR}, labels)
    service = given.get("service", {})
    services = {"grpc": FULL, "public": f"{FULL}-public", **({"admin": f"{FULL}-admin"} if given.get("admin", {}).get("enabled") else {})}
    for which, name in services.items():
        metadata = one(rendered, "Service", name)["metadata"]
        wanted = service.get("annotations", {}).get(which, {})
        findings.same(f"annotations of {name}", metadata.get("annotations", {}), wanted)
    kind = one(rendered, "Service", f"{FULL}-public")["spec"]["type"]
    findings.same("the type of the public Service", kind, service.get("publicType", "ClusterIP"))
    findings.same("the type of the other", one(rendered, "Service")["spec"]["type"], "ClusterIP")
    spec = one(rendered, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    findings.same("variables", container.get("env", []), given.get("extraEnv", []))
    findings.same("more of them", container.get("envFrom", []), given.get("extraEnvFrom", []))
    volumes, mounts = given.get("extraVolumes", []), given.get("extraVolumeMounts", [])
    findings.same("volumes that were added", spec["volumes"][len(spec["volumes"]) - len(volumes) :], volumes)
    got = container["volumeMounts"]
    findings.same("mounts that were added", got[len(got) - len(mounts) :], mounts)


def outward(findings: "Findings", spec: Object, egress: Object, given: Object) -> None:
    """Where pods may connect to. A rule without peers would let them everywhere, so there is none."""
    if not egress:
        findings.same("rules for what goes out", spec.get("egress"), None)
        return

    def rule(to: list[Object], *ports: tuple[str, int]) -> Object:
        return {"ports": [{"protocol": protocol, "port": port} for protocol, port in ports], "to": to}

    wanted = [rule(DNS, ("UDP", 53), ("TCP", 53))]
    for key, ports in [("redis", [6379]), ("issuers", [443]), ("telemetry", [4317])]:
        there = egress.get(key, {})
        ports = [*there.get("ports", ports), *([15008] if given.get("istio", {}).get("ambient") else [])]
        wanted += [rule(there["to"], *[("TCP", port) for port in ports])] if there else []
    wanted += [rule(other["to"], *[("TCP", port) for port in other["ports"]]) for other in egress.get("others", [])]
    findings.same("rules for what goes out", spec["egress"], wanted)


def scraped(findings: "Findings", rendered: list[Object], given: Object) -> None:
    """A ServiceMonitor, where that is what Prometheus looks for: it finds one Service alone."""
    asked = given.get("monitoring", {}).get("serviceMonitor")
    if not asked:
        return
    monitor, service = one(rendered, "ServiceMonitor"), one(rendered, "Service", f"{FULL}-metrics")
    (label,) = asked["labels"].items()
    findings.same("what Prometheus selects by", label in monitor["metadata"]["labels"].items(), True)
    endpoint = {
        "port": "metrics",
        "path": "/metrics",
        "interval": asked["interval"],
        "relabelings": [{"targetLabel": "job", "replacement": FULL}],
    }
    component = {**SELECTOR, "app.kubernetes.io/component": "metrics"}
    wanted = {"selector": {"matchLabels": component}, "endpoints": [endpoint]}
    findings.same("the ServiceMonitor", monitor["spec"], wanted)
    services = [found["metadata"] for found in rendered if found["kind"] == "Service"]
    chosen = [found["name"] for found in services if component.items() <= found["labels"].items()]
    findings.same("which Services it finds", chosen, [f"{FULL}-metrics"])
    ports = [{"name": "metrics", "port": 9193, "targetPort": "metrics"}]
    wanted = {"type": "ClusterIP", "clusterIP": "None", "selector": SELECTOR, "ports": ports}
    findings.same("the Service for metrics", service["spec"], wanted)
