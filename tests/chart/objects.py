"""What the rendered objects have to say."""

import re
from pathlib import Path
from typing import Any

import examples
import hardening
import platforms
from generated import BOTH
from rendering import ADDONS, CHART, MESH, NAME, NAMESPACE, Object, Refused, cases, changed, metadata, render, rendered_texts
from rendering import schema_problems, values, yaml

FULL = f"{NAME}-exequatur"
SELECTOR = {"app.kubernetes.io/name": "exequatur", "app.kubernetes.io/instance": NAME}
ALWAYS = [
    ("ConfigMap", FULL),
    ("Deployment", FULL),
    ("Service", FULL),
    ("Service", f"{FULL}-public"),
    ("ServiceAccount", FULL),
]
POLICY, BUDGET = ("NetworkPolicy", FULL), ("PodDisruptionBudget", FULL)
OPERATORS = [("Service", f"{FULL}-admin"), ("NetworkPolicy", f"{FULL}-admin")]
ISTIO = [(kind, FULL) for kind in ("PeerAuthentication", "AuthorizationPolicy", "DestinationRule")]
RENDERED = {
    "certificates": [
        *[one for one in ALWAYS if one[0] != "ServiceAccount"],
        *[POLICY, BUDGET, *OPERATORS, ("Certificate", f"{FULL}-grpc"), ("Certificate", f"{FULL}-admin")],
    ],
    "embedded": [*ALWAYS, POLICY],
    "envoy-gateway": [*ALWAYS, POLICY, BUDGET],
    "istio-ambient": [*ALWAYS, POLICY, BUDGET, *OPERATORS, *ISTIO],
    "istio-sidecar": [*ALWAYS, POLICY, BUDGET, *ISTIO],
    "storage": ALWAYS,
    "redis": [*ALWAYS, POLICY, BUDGET],
    "operators": [*ALWAYS, POLICY, BUDGET, *OPERATORS],
    "scaled": [
        *[one for one in ALWAYS if one[0] != "ServiceAccount"],
        *[POLICY, BUDGET, ("ServiceAccount", "gatekeeper"), ("HorizontalPodAutoscaler", FULL)],
        *[("Service", f"{FULL}-metrics"), ("ServiceMonitor", FULL)],
    ],
}
ADMIN, GRPC = "/run/secrets/exequatur-admin", "/run/secrets/exequatur-grpc"
CLAIM = "/var/lib/exequatur-policies"
# Mode 0440.
FOR_GROUP = 0o440


class Findings:
    """Gathers what is not as it should be."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.case = ""

    def same(self, what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            self.wrong.append(f"{self.case}: {what} is {got!r}, not {wanted!r}")


def find(rendered: list[Object], kind: str, name: str = FULL) -> Object:
    return next(found for found in rendered if (found["kind"], found["metadata"]["name"]) == (kind, name))


def pod(rendered: list[Object]) -> Object:
    return find(rendered, "Deployment")["spec"]["template"]["spec"]


def check() -> list[str]:
    findings = Findings()
    findings.same("the cases", cases(), sorted(RENDERED))
    for case in RENDERED:
        given = values(case)
        findings.wrong += judged(case, render(given), given)
    called(findings)
    apart(findings)
    restarted(findings)
    noted(findings)
    provided(findings)
    numbers(findings)
    users(findings)
    return findings.wrong


def judged(case: str, rendered: list[Object], given: Object) -> list[str]:
    """What is wrong with what is rendered of these values."""
    findings = Findings()
    findings.case = case
    named = sorted((found["kind"], found["metadata"]["name"]) for found in rendered)
    findings.same("what is rendered", named, sorted(RENDERED[case]))
    for found in rendered:
        findings.same(f"the namespace of {found['kind']}", found["metadata"]["namespace"], NAMESPACE)
    findings.wrong += [f"{case}: {line}" for line in hardening.problems(pod(rendered))]
    connected(findings, rendered, given)
    mounted(findings, pod(rendered), given)
    data = find(rendered, "ConfigMap")["data"]
    policies = {name: text for name, text in data.items() if name != "configuration"}
    findings.same("the policies", policies, given["policies"].get("files", {}))
    replicated(findings, rendered, given)
    guarded(findings, rendered, given)
    ordered(findings, rendered, given)
    platforms.check(findings, rendered, given)
    return findings.wrong


def called(findings: Findings) -> None:
    """Names that are as long as a release's may be, with a dot, and where the release is called after the chart."""
    findings.case = "names"
    chart = metadata()
    wanted = {"our-exequatur": "our-exequatur", "a" * 30 + "." + "b" * 22: "a" * 30 + "-" + "b" * 22}
    for release, name in wanted.items():
        rendered = render(values("redis"), release)
        names = {found["metadata"]["name"] for found in rendered}
        findings.same("names", names, {name, f"{name}-public"})
        findings.same("a name of more than 63 characters", [one for one in names if len(one) > 63], [])
        for found in rendered:
            labels = {
                "app.kubernetes.io/name": "exequatur",
                "app.kubernetes.io/instance": release,
                "app.kubernetes.io/version": chart["appVersion"],
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": f"exequatur-{chart['version']}",
            }
            findings.same(f"the labels of {found['kind']}", found["metadata"]["labels"], labels)


def numbers(findings: Findings) -> None:
    """Names that YAML would read as numbers, or as what is true or nothing, stay names."""
    for case in cases():
        given = values(case)
        for name in ("true", "null"):
            findings.case = f"{case}, called {name}"
            named = {**given, "fullnameOverride": name, "serviceAccount": {"create": True, "name": "0x10"}, "commonLabels": {"team": "12"}}
            named["image"] = {**given["image"], "pullSecrets": ["123"], "tag": "12"}
            if case == "embedded":
                named["tests"] = {"enabled": True, "deny": {"reason": "123"}}
            monitors = ("serviceMonitor" if "monitoring" in given else "podMonitor", "rules", "dashboards")
            named["monitoring"] = {key: {"enabled": True} for key in monitors}
            found = render(named, "123", namespace="456")
            strange = [one["metadata"]["name"] for one in found if not isinstance(one["metadata"]["name"], str)]
            findings.same("names that are none", strange, [])
            findings.same("namespaces", {one["metadata"]["namespace"] for one in found}, {"456"})
            findings.same("releases", {one["metadata"]["labels"]["app.kubernetes.io/instance"] for one in found}, {"123"})
            findings.same("the Deployment's name", next(one for one in found if one["kind"] == "Deployment")["metadata"]["name"], name)
            for one in found:
                if one["kind"] not in ADDONS | MESH:
                    findings.wrong += [f"{findings.case}: {line}" for line in schema_problems(one)]
    findings.case = "numbers"
    try:
        render(values("embedded"), "123")
        findings.same("a Service whose name begins with a digit", "rendered", "refused")
    except Refused as refused:
        findings.same("what is told of `123`", "`123-exequatur` does not begin with a letter" in str(refused), True)


def users(findings: Findings) -> None:
    """Other ids than the image's, or the cluster's own; never root, and all the rest of the restricted profile."""
    findings.case = "users"
    ids = ("runAsUser", "runAsGroup", "fsGroup")
    given = changed(values("embedded"), "tests", {"enabled": True})
    # A chart above this one cannot take a default away by null in its values.yaml: there it is "".
    ways: list[tuple[Object, Any]] = [({}, None), ({}, ""), ({"runAsUser": 1000670000}, None), (dict(zip(ids, (1001, 1002, 1003))), None)]
    for wanted, other in ways:
        found = render({**given, "podSecurityContext": {key: wanted.get(key, other) for key in ids}})
        kept = {key: value for key, value in hardening.POD.items() if key not in ids}
        for spec in (pod(found), find(found, "Pod", f"{FULL}-test")["spec"]):
            findings.same(f"as whom it runs with {wanted}", spec["securityContext"], {**kept, **wanted})
        for one in found:
            findings.wrong += [f"users: {line}" for line in schema_problems(one)]


def connected(findings: Findings, rendered: list[Object], given: Object) -> None:
    """Listeners, container ports, probes and Services agree."""
    (container,) = pod(rendered)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    wanted = {"grpc": 9191, "public": 9192, "metrics": 9193}
    listen = {name: f"{given.get('listenAddress', '0.0.0.0')}:{port}" for name, port in wanted.items()}
    findings.same("the ports", ports, {**wanted, **({"admin": 9194} if orders(given) else {})})
    config = configuration(rendered)
    listen["admin"] = "unix:/run/exequatur/admin.sock"
    tls = {"certificate_file": f"{GRPC}/tls.crt", "key_file": f"{GRPC}/tls.key"}
    if secured(given).get("clientCa"):
        tls["client_ca_file"] = f"{GRPC}/clients.crt"
    if names := secured(given).get("clients"):
        tls["clients"] = names
    wanted = {"grpc_tls": tls} if secured(given) else {}
    findings.same("listen", config["listen"], {**listen, **given["config"]["listen"], **wanted})
    findings.same("config.policies", config["policies"], CLAIM if "existingClaim" in given["policies"] else ".")
    health: Object = {"grpc": {"port": ports["grpc"], "service": "envoy.service.auth.v3.Authorization"}}
    if secured(given) or "grpc_tls" in given["config"]["listen"]:
        # Kubelet's own gRPC probe knows no TLS: such a pod would never be ready.
        health = {"httpGet": {"path": "/readyz", "port": "public"}}
    wanted = {**health, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 2}
    findings.same("the readiness probe", container["readinessProbe"], wanted)
    metrics = {"path": "/metrics", "port": "metrics"}
    wanted = {"httpGet": metrics, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
    findings.same("the liveness probe", container["livenessProbe"], wanted)
    # Five seconds before the signal, where Kubernetes can wait.
    findings.same("preStop", container.get("lifecycle"), {"preStop": {"sleep": {"seconds": 5}}})
    service = {"grpcPort": 9191, "publicPort": 9192, **given.get("service", {})}
    for name, port, target in [(FULL, "grpcPort", "grpc"), (f"{FULL}-public", "publicPort", "public")]:
        spec = find(rendered, "Service", name)["spec"]
        (one,) = spec["ports"]
        findings.same(f"the port of {name}", (one["port"], one["targetPort"]), (service[port], target))
        findings.same(f"the selector of {name}", spec["selector"], SELECTOR)
    # Envoy has to see each replica, unless a mesh chooses it.
    wanted = None if service.get("headless") is False else "None"
    findings.same("clusterIP", find(rendered, "Service")["spec"].get("clusterIP"), wanted)
    deployment = find(rendered, "Deployment")["spec"]
    findings.same("the selector", deployment["selector"], {"matchLabels": SELECTOR})
    labels = deployment["template"]["metadata"]["labels"]
    own = {**given.get("commonLabels", {}), **given.get("pod", {}).get("labels", {})}
    # Outside of the mesh nothing holds whoever asks to his identity, so the pods are brought in, whatever their namespace says.
    mesh = {"istio-sidecar": {"sidecar.istio.io/inject": "true"}, "istio-ambient": {"istio.io/dataplane-mode": "ambient"}}
    findings.same("the pod's labels", labels, {**own, **mesh.get(findings.case, {}), **SELECTOR})
    latest = f"registry.example.com/exequatur:{metadata()['appVersion']}"
    image = {
        "embedded": "registry.example.com/exequatur:0.1.0-3",
        "storage": "registry.example.com/exequatur@sha256:" + "0123456789abcdef" * 4,
    }
    findings.same("the image", container["image"], image.get(findings.case, latest))
    findings.same("what is run", container["command"], ["exequatur"])
    findings.same("when it is pulled", container["imagePullPolicy"], "IfNotPresent")
    pulled = [{"name": name} for name in given["image"].get("pullSecrets", [])]
    findings.same("what it is pulled with", pod(rendered).get("imagePullSecrets", []), pulled)
    scheduling = {key: value for key, value in given.get("pod", {}).items() if key not in ("labels", "annotations", "topologySpreadConstraints")}
    findings.same("where it runs", {key: pod(rendered).get(key) for key in scheduling}, scheduling)


def mounted(findings: Findings, spec: Object, given: Object) -> None:
    """What is mounted where; secrets by reference, and for nobody but the pod's group."""
    (container,) = spec["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    findings.same("volumes without exactly one kind", [name for name, volume in volumes.items() if len(volume) != 2], [])
    findings.same("what is mounted", sorted(mount["name"] for mount in container["volumeMounts"]), sorted(volumes))
    writable = {path for path, mount in mounts.items() if not mount.get("readOnly")}
    findings.same("what can be written to", writable - {"/var/lib/exequatur"}, {"/run/exequatur"})
    sockets = volumes[mounts["/run/exequatur"]["name"]]
    findings.same("room for sockets", sockets.get("emptyDir"), {"medium": "Memory", "sizeLimit": "1Mi"})
    wanted = {"/etc/exequatur", "/run/exequatur", "/run/secrets/exequatur"}
    wanted |= {"/var/lib/exequatur"} if "storage" in given else set()
    wanted |= {ADMIN} if orders(given) else set()
    wanted |= {GRPC} if secured(given) else set()
    wanted |= {CLAIM} if "existingClaim" in given["policies"] else set()
    wanted |= {mount["mountPath"] for mount in given.get("extraVolumeMounts", [])}
    findings.same("the mounts", set(mounts), wanted)
    # A mount by `subPath` is never switched.
    findings.same("mounts of parts", [path for path, mount in mounts.items() if "subPath" in mount], [])
    findings.same("--config", container["args"][:3], ["serve", "--config", "/etc/exequatur/configuration"])

    def sources(path: str) -> list[Object]:
        return volumes[mounts[path]["name"]]["projected"]["sources"]

    ours = [{"configMap": {"name": FULL}}]
    elsewhere = given["policies"].get("existingConfigMap")
    theirs = [{"configMap": {"name": elsewhere}}] if elsewhere else []
    for source in given["policies"].get("existingConfigMaps", []):
        items = [{"key": name, "path": name} for name in source["files"]]
        theirs.append({"configMap": {"name": source["name"], "items": items}})
    if claim := given["policies"].get("existingClaim"):
        wanted = {"claimName": claim, "readOnly": True}
        findings.same("the claim of policies", volumes[mounts[CLAIM]["name"]]["persistentVolumeClaim"], wanted)
    # The last one wins: nobody else's file is read as the configuration.
    findings.same("configuration and policies", sources("/etc/exequatur"), theirs + ours)
    secrets = volumes[mounts["/run/secrets/exequatur"]["name"]]["projected"]
    findings.same("the mode of secrets", secrets["defaultMode"], FOR_GROUP)
    wanted = [
        {"secret": {"name": secret["existingSecret"], "items": [{"key": secret["key"], "path": name}]}}
        for name, secret in sorted(given["secrets"].items())
    ]
    findings.same("the secrets", secrets["sources"], wanted)
    for path, wanted in [(ADMIN, listener(given, "admin")), (GRPC, listener(given, "grpc"))]:
        if path in mounts:
            volume = volumes[mounts[path]["name"]]["projected"]
            findings.same(f"the mode of the key in {path}", volume["defaultMode"], FOR_GROUP)
            findings.same(f"the certificates in {path}", volume["sources"], wanted)
    if "storage" in given:
        claim = volumes[mounts["/var/lib/exequatur"]["name"]]["persistentVolumeClaim"]
        findings.same("the claim", claim, {"claimName": given["storage"]["existingClaim"]})


def replicated(findings: Findings, rendered: list[Object], given: Object) -> None:
    """G06: one process with the embedded store, not two for a moment; with a shared one, never fewer than asked for."""
    spec = find(rendered, "Deployment")["spec"]
    shared = "redis" in given["config"].get("store", {})
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    findings.same("strategy", spec["strategy"], rolling if shared else {"type": "Recreate"})
    scaled = given.get("autoscaling", {}).get("enabled", False)
    findings.same("replicas", spec.get("replicas"), None if scaled else given.get("replicas", 1))
    if shared:
        budget = find(rendered, "PodDisruptionBudget")["spec"]
        least = given.get("podDisruptionBudget", {}).get("minAvailable")
        wanted = {"minAvailable": least} if least else {"maxUnavailable": 1}
        wanted |= {"unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": SELECTOR}}
        findings.same("the disruption budget", budget, wanted)
        usual = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        wanted = given.get("pod", {}).get("topologySpreadConstraints", [usual])
        wanted = [{"labelSelector": {"matchLabels": SELECTOR}, **one} for one in wanted]
        findings.same("what is spread", pod(rendered)["topologySpreadConstraints"], wanted)


def guarded(findings: Findings, rendered: list[Object], given: Object) -> None:
    """Who reaches which port. A rule without peers would let everybody in, so there is none."""
    peers = given["networkPolicy"]
    if peers.get("enabled") is False:
        return
    spec = find(rendered, "NetworkPolicy")["spec"]
    findings.same("whom the NetworkPolicy guards", spec["podSelector"], {"matchLabels": SELECTOR})
    egress = peers.get("egress", {})
    findings.same("what it is about", spec["policyTypes"], ["Ingress", "Egress"] if egress else ["Ingress"])

    def rule(port: int, whom: list[Object]) -> Object:
        return {"ports": [{"protocol": "TCP", "port": port}], "from": whom}

    wanted = [rule(9191, peers["envoy"]), rule(9192, peers["envoy"] + peers.get("public", []))]
    wanted += [rule(9193, peers["metrics"])] if peers.get("metrics") else []
    if given.get("istio", {}).get("ambient"):
        probes = [{"protocol": "TCP", "port": port} for port in (9191, 9192, 9193)]
        wanted.append(rule(15008, [*peers["envoy"], *peers.get("public", []), *peers.get("metrics", [])]))
        wanted.append({"ports": probes, "from": [{"ipBlock": {"cidr": "169.254.7.127/32"}}]})
    findings.same("its rules", spec["ingress"], wanted)
    platforms.outward(findings, spec, egress, given)


def orders(given: Object) -> bool:
    """Whether orders are taken over TCP."""
    return bool(given.get("admin", {}).get("enabled", False))


def secured(given: Object) -> Object:
    """What the values say of TLS between Envoy and the chart's pods; nothing where they leave it to `config`."""
    if given.get("certManager", {}).get("enabled"):
        return {"made": True, **given.get("grpc", {}).get("tls", {})}
    return given.get("grpc", {}).get("tls", {})


def listener(given: Object, which: str) -> list[Object]:
    """Where a listener's certificate, its key, and its clients' authorities come from."""
    tls = given.get(which, {}).get("tls", {})
    own = [{"key": name, "path": name} for name in ("tls.crt", "tls.key")]
    sources = [{"secret": {"name": tls.get("existingSecret", f"{FULL}-{which}-tls"), "items": own}}]
    if clients := tls.get("clientCa"):
        items = [{"key": clients.get("key", "ca.crt"), "path": "clients.crt"}]
        sources.append({"secret": {"name": clients["existingSecret"], "items": items}})
    return sources


def ordered(findings: Findings, rendered: list[Object], given: Object) -> None:
    """E-02: the operators' port has a Service and a NetworkPolicy of its own, and the others lead to other ports."""
    (container,) = pod(rendered)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    led = {}
    for service in (found for found in rendered if found["kind"] == "Service"):
        for port in service["spec"]["ports"]:
            led.setdefault(service["metadata"]["name"], set()).add(ports.get(port["targetPort"]))
    wanted = {FULL: {9191}, f"{FULL}-public": {9192}, **({f"{FULL}-admin": {9194}} if orders(given) else {})}
    wanted |= {f"{FULL}-metrics": {9193}} if "monitoring" in given else {}
    findings.same("where the Services lead", led, wanted)
    policies = [found for found in rendered if found["kind"] == "NetworkPolicy"]
    opened = {policy["metadata"]["name"]: policy_ports(policy) for policy in policies}
    findings.same("whether the data's NetworkPolicy opens 9194", 9194 in opened.get(FULL, set()), False)
    if not orders(given):
        findings.same("admin", configuration(rendered).get("admin"), None)
        return
    ambient = given.get("istio", {}).get("ambient")
    rules = [(9194, given["admin"]["ingressFrom"]), *([(15008, given["admin"]["ingressFrom"])] if ambient else [])]
    findings.same("what the operators' NetworkPolicy opens", opened[f"{FULL}-admin"], {port for port, _ in rules})
    spec = find(rendered, "NetworkPolicy", f"{FULL}-admin")["spec"]
    wanted = {
        "podSelector": {"matchLabels": SELECTOR},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": port}], "from": whom} for port, whom in rules],
    }
    findings.same("the operators' NetworkPolicy", spec, wanted)
    service = find(rendered, "Service", f"{FULL}-admin")["spec"]
    port = given.get("service", {}).get("adminPort", 9194)
    wanted = {"type": "ClusterIP", "selector": SELECTOR, "ports": [{"name": "https", "port": port, "targetPort": "admin"}]}
    findings.same("the operators' Service", service, wanted)
    tls = {"certificate_file": f"{ADMIN}/tls.crt", "key_file": f"{ADMIN}/tls.key"}
    tls |= {"client_ca_file": f"{ADMIN}/clients.crt"} if "certificates" in given["admin"] else {}
    named = {key: given["admin"][key] for key in ("tokens", "certificates") if key in given["admin"]}
    wanted = {"listen": "0.0.0.0:9194", "tls": tls, **named}
    findings.same("admin", configuration(rendered).get("admin"), wanted)


def policy_ports(policy: Object) -> set[int]:
    return {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}


def apart(findings: Findings) -> None:
    """One way without the other: no certificates, no tokens, IPv6, no NetworkPolicy, and none at all."""
    findings.case = "operators"
    base = values("operators")
    only_tokens = changed(changed(base, "admin/certificates", []), "admin/tls/clientCa", {})
    rendered = render(only_tokens)
    admin = configuration(rendered)["admin"]
    findings.same("tokens alone", sorted(admin), ["listen", "tls", "tokens"])
    findings.same("files for tokens alone", sorted(admin["tls"]), ["certificate_file", "key_file"])
    (volume,) = [volume for volume in pod(rendered)["volumes"] if volume["name"] == "admin"]
    findings.same("Secrets for tokens alone", len(volume["projected"]["sources"]), 1)
    admin = configuration(render(changed(base, "admin/tokens", [])))["admin"]
    findings.same("certificates alone", sorted(admin), ["certificates", "listen", "tls"])
    admin = configuration(render(changed(base, "listenAddress", "[::]")))["admin"]
    findings.same("where it listens", admin["listen"], "[::]:9194")
    open_network = render(changed(base, "networkPolicy/enabled", False))
    findings.same("NetworkPolicies", [found for found in open_network if found["kind"] == "NetworkPolicy"], [])
    closed = render(changed(base, "admin/enabled", False))
    findings.same("what is left of it", [found["kind"] for found in closed if "9194" in str(found)], [])
    findings.same("what is left in the configuration", configuration(closed).get("admin"), None)


def restarted(findings: Findings, chart: Path = CHART) -> None:
    """Pods are replaced for what a running Exequatur cannot go over to, and for nothing else in the configuration."""
    findings.case = "restarts"
    base = values("embedded")

    def template(given: Object) -> Object:
        return find(render(given, chart=chart), "Deployment")["spec"]["template"]

    for path, new in [
        ("config/routes/0/scopes", ["notes:all"]),
        ("config/protected_resources/0/scopes", ["notes:all"]),
        ("config/tenants", {"acme": {"region": "north"}}),
        ("config/limits", [{"name": "each-agent", "per": ["agent"], "rate": "10/s"}]),
        ("policies/files/more.cedar", "// nothing yet"),
    ]:
        findings.same(f"the pod after {path}", template(changed(base, path, new)), template(base))
    for path, new in [
        ("config/issuers/0/leeway", "5s"),
        ("config/deadline", "100ms"),
        ("admin", values("operators")["admin"]),
        ("config/store/embedded/max_per_key", 7),
    ]:
        fixed = [template(given)["metadata"]["annotations"]["checksum/fixed"] for given in (base, changed(base, path, new))]
        findings.same(f"whether {path} replaces pods", fixed[0] != fixed[1], True)
    annotations = template(base)["metadata"]["annotations"]
    findings.same("an annotation of one's own", annotations["example.com/owner"], "gate")
    findings.same("whether one's own may hide a change", annotations["checksum/fixed"] != "none", True)


def noted(findings: Findings) -> None:
    """What whoever installs it is told: what is open, and what this cluster cannot do."""
    findings.case = "notes"
    only_server = changed(values("certificates"), "grpc", {})
    for given, version, said in [
        (values("storage"), "1.37", "There is no NetworkPolicy"),
        (only_server, "1.37", "whoever reaches the gRPC port may ask"),
        (values("redis"), "1.29", "cannot let a pod wait"),
        # Envoy goes to the pods, whatever port the Service has.
        (changed(values("storage"), "service/headless", False), "1.37", "gate-exequatur.edge.svc:50051"),
        (changed(values("embedded"), "tests/enabled", True), "1.37", "helm test -n edge gate --logs"),
        (values("certificates"), "1.37", "gate-exequatur-admin.edge.svc:9194"),
        (values("redis"), "1.37", "who reads that network reads access tokens"),
        (values("scaled"), "1.37", "let the mesh turn away"),
        (values("istio-sidecar"), "1.37", "service: gate-exequatur.edge.svc.cluster.local"),
        (as_sidecar(values("embedded")), "1.37", "No pod of its own"),
    ]:
        other = values("operators")
        for others, wanted in [(given, True), (changed(other, "admin/enabled", False), False)]:
            notes = rendered_texts(others, version=version if wanted else "1.30")["exequatur/templates/NOTES.txt"]
            findings.same(f"whether `{said}` is told", said in notes, wanted)


def provided(findings: Findings) -> None:
    """What is told of Istio's provider is what Istio reads, and says what `envoy lint` asks for."""
    findings.case = "notes"
    base = values("istio-ambient")
    # At least 50 ms above what a decision may take (150 ms where nothing is said).
    for deadline, timeout in [(None, "0.25s"), ("200ms", "0.25s"), ("201ms", "0.251s"), ("1s", "1.05s"), ("10s", "10.05s")]:
        given = base if deadline is None else changed(base, "config/deadline", deadline)
        notes = rendered_texts(given)["exequatur/templates/NOTES.txt"]
        told = yaml.safe_load(re.search(r"^meshConfig:\n(?: .*\n?)+", notes, re.MULTILINE)[0])  # type: ignore[index]
        findings.wrong += [f"notes: {line}" for line in examples.problems(told)]
        (provider,) = told["meshConfig"]["extensionProviders"]
        wanted = {"service": f"{FULL}.{NAMESPACE}.svc.cluster.local", "port": 9191, "timeout": timeout, "failOpen": False, "statusOnError": "503"}
        findings.same(f"Istio's provider with deadline {deadline}", provider, {"name": "exequatur", "envoyExtAuthzGrpc": wanted})


def as_sidecar(given: Object) -> Object:
    """Without what only a Deployment of the chart's own has."""
    return {**{key: value for key, value in given.items() if key in BOTH}, "mode": "sidecar"}


def configuration(rendered: list[Object]) -> Object:
    """Exequatur's configuration, as it stands in the ConfigMap."""
    return yaml.safe_load(find(rendered, "ConfigMap")["data"]["configuration"])
