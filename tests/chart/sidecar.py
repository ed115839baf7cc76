"""Exequatur as a sidecar: examples/sidecar with this chart in it, and pods of others that must not be given the socket."""

import copy
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import hardening
from rendering import CHART, HARMLESS, MESH, NAMESPACE, NEWEST, ROOT, Object, Refused, changed, helm, render, rendered_texts
from rendering import schema_problems, values, yaml

EXAMPLE = CHART / "examples" / "sidecar"
SHARED = {"name": "exequatur-envoy", "mountPath": "/run/exequatur-envoy", "readOnly": True}
OURS = {"exequatur-configuration", "exequatur-sockets", "exequatur-envoy", "exequatur-secrets"}
# What is changed in the pod of the example, and what is said of it.
REFUSED: list[tuple[str, Any, str]] = [
    ("containers/0/securityContext/runAsUser", 101, "`agent` runs as 101, as Envoy does: the kernel could not tell them apart"),
    ("containers/0/securityContext/runAsUser", 65532, "`agent` runs as 65532, as Exequatur does"),
    ("containers/0/securityContext/runAsUser", 0, "`agent` has no runAsUser, or runs as root"),
    ("containers/0/securityContext", {"allowPrivilegeEscalation": False}, "`agent` has no runAsUser, or runs as root"),
    ("containers/0/securityContext", {"runAsUser": 1000}, "`agent` does not say allowPrivilegeEscalation: false"),
    ("containers/0/securityContext/privileged", True, "`agent` is privileged or has capabilities"),
    ("containers/0/securityContext/capabilities", {"add": ["SYS_PTRACE"]}, "`agent` is privileged or has capabilities"),
    ("containers/0/volumeMounts", [SHARED], "`agent` mounts `exequatur-envoy`"),
    ("containers/0/volumeMounts", [{"name": "exequatur-sockets", "mountPath": "/x"}], "`agent` mounts `exequatur-sockets`"),
    ("containers/0/name", "exequatur", "the pod has a container `exequatur` already"),
    ("containers/1/name", "proxy", "the pod has no container `envoy`"),
    ("containers/1/securityContext/runAsUser", 102, "`envoy` runs as 102, and sidecar.envoyUser is 101"),
    ("containers/1/securityContext/allowPrivilegeEscalation", True, "`envoy` does not say allowPrivilegeEscalation: false"),
    ("initContainers", [{"name": "helper", "securityContext": {"allowPrivilegeEscalation": False}}], "`helper` has no runAsUser"),
    ("volumes/0/name", "exequatur-envoy", "a volume `exequatur-envoy`"),
    ("volumes/0", {"name": "node", "hostPath": {"path": "/var/lib/kubelet"}}, "the volume `node` is of the node"),
    ("hostPID", True, "the pod has hostPID"),
    ("hostNetwork", True, "the pod has hostNetwork"),
    ("containers", None, "the pod has no container `envoy`"),
    ("hostIPC", True, "the pod has hostIPC"),
    ("terminationGracePeriodSeconds", 22, "terminationGracePeriodSeconds is less than the 23"),
]
# Values of this chart that are not for a sidecar.
VALUES: list[tuple[str, Any, str]] = [
    ("mode", "central", "networkPolicy.envoy is empty"),
    ("sidecar/envoyUser", 65532, "sidecar.envoyUser is 65532"),
    ("sidecar/envoyUser", 0, "sidecar/envoyUser"),
    ("networkPolicy", {"envoy": [{"podSelector": {}}]}, "networkPolicy.envoy is not for mode `sidecar`"),
    ("admin", {"enabled": True}, "admin.enabled is not for mode `sidecar`"),
    ("grpc", {"plaintext": "mesh"}, "grpc.plaintext is not for mode `sidecar`"),
    ("grpc", {"tls": {"existingSecret": "x"}}, "grpc.tls.existingSecret is not for mode `sidecar`"),
    ("monitoring", {"podMonitor": {"enabled": True}}, "monitoring.podMonitor.enabled is not for mode `sidecar`"),
    ("config/listen/grpc_peers", [1000], "config.listen.grpc_peers is not for mode `sidecar`"),
    ("storage", {"existingClaim": "records"}, "storage.existingClaim is not for mode `sidecar`"),
    # What only a Deployment of the chart's own could heed.
    ("replicas", 2, "replicas is not for mode `sidecar`"),
    ("autoscaling", {"maxReplicas": 3}, "autoscaling.maxReplicas is not for mode `sidecar`"),
    ("podDisruptionBudget", {"enabled": False}, "podDisruptionBudget.enabled is not for mode `sidecar`"),
    ("certManager", {"issuerRef": {"name": "internal"}}, "certManager.issuerRef.name is not for mode `sidecar`"),
    ("service", {"headless": False}, "service.headless is not for mode `sidecar`"),
    ("service", {"annotations": {"public": {"a": "b"}}}, "service.annotations.public is not for mode `sidecar`"),
    ("serviceAccount", {"create": False, "name": "x"}, "serviceAccount.name is not for mode `sidecar`"),
    ("networkPolicy", {"metrics": [{"podSelector": {}}]}, "networkPolicy.metrics is not for mode `sidecar`"),
    ("networkPolicy", {"egress": {"enabled": True}}, "networkPolicy.egress.enabled is not for mode `sidecar`"),
    ("monitoring", {"serviceMonitor": {"labels": {"a": "b"}}}, "monitoring.serviceMonitor.labels is not for mode `sidecar`"),
    ("tests", {"permit": {"url": "https://a/b"}}, "tests.permit.url is not for mode `sidecar`"),
    ("pod", {"annotations": {"a": "b"}}, "pod.annotations is not for mode `sidecar`"),
    ("pod", {"priorityClassName": "high"}, "pod.priorityClassName is not for mode `sidecar`"),
]


@functools.cache
def placed(chart: Path) -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """The example with that chart where `helm dependency update` would put it; its pod is a value here."""
    folder = tempfile.TemporaryDirectory(prefix="exequatur-sidecar-")
    at = Path(folder.name) / "example"
    shutil.copytree(EXAMPLE, at)
    shutil.copytree(chart, at / "charts/exequatur", ignore=shutil.ignore_patterns("dashboards", "ci", "examples"))
    template = at / "templates/deployment.yaml"
    text = template.read_text(encoding="utf-8")
    given = '(ternary (include "notes-agent.pod" .) (.Values.pod | toYaml) (empty .Values.pod)'
    template.write_text(text.replace('(include "notes-agent.pod" .', given), encoding="utf-8")
    return folder, at


def rendered(given: Object, chart: Path = CHART) -> list[Object]:
    return render(given, chart=placed(chart)[1])


def example() -> Object:
    return yaml.safe_load((EXAMPLE / "values.yaml").read_text(encoding="utf-8"))


def spec_of(objects: list[Object]) -> Object:
    return next(found for found in objects if found["kind"] == "Deployment")["spec"]["template"]["spec"]


def bare() -> Object:
    """The example's pod without Exequatur."""
    spec = copy.deepcopy(spec_of(rendered(example())))
    spec["containers"] = [one for one in spec["containers"] if one["name"] != "exequatur"]
    spec["volumes"] = [one for one in spec["volumes"] if one["name"] not in OURS]
    for container in spec["containers"]:
        container["volumeMounts"] = [one for one in container.get("volumeMounts", []) if one["name"] not in OURS]
    return spec


def check() -> list[str]:
    report = helm.lint(placed(CHART)[1], example(), strict=True, with_subcharts=True)
    wrong = [f"sidecar: helm lint: {message}" for message in report["messages"] if message["error"] not in HARMLESS]
    wrong += problems()
    pod = bare()
    for path, new, said in REFUSED:
        wrong += refused({**example(), "pod": changed(pod, path, new)}, f"a pod with {path} = {new!r}", said)
    shared = {"redis": {"url_file": "/run/secrets/exequatur/nonce"}}
    two = changed({**example(), "replicas": 2}, "exequatur/config/store", shared)
    rendered(two)
    named = changed(two, "exequatur/config/replica", {"name": "gate"})
    wrong += refused(named, "two pods of one name", "config.replica.name would be the name of 2 replicas")
    for replicas, said in [(2, "replicas is 2 and there is no config.store.redis"), (None, "`replicas` is not given")]:
        wrong += refused({**example(), "replicas": replicas}, f"{replicas} pods with the embedded store", said)
    central = changed(example(), "exequatur/networkPolicy", {"envoy": [{"podSelector": {}}]})
    central = changed(central, "exequatur/grpc", {"plaintext": "mesh"})
    wrong += refused(changed(central, "exequatur/mode", "central"), "a central chart's sidecar", "mode is not `sidecar`")
    together = changed({**pod, "shareProcessNamespace": True}, "containers/0/securityContext/runAsUser", 101)
    wrong += refused({**example(), "pod": together}, "a shared namespace with an equal uid", "shareProcessNamespace")
    for path, new, said in VALUES:
        wrong += refused(changed(example(), f"exequatur/{path}", new), f"a sidecar with {path} = {new!r}", said)
    wrong += native(pod)
    pulled = spec_of(rendered(changed(example(), "exequatur/image/pullSecrets", ["registry"]))).get("imagePullSecrets")
    wrong += [] if pulled == [{"name": "registry"}] else [f"the sidecar's image is pulled with {pulled}"]
    for name, good in {
        "a shared namespace with other users": {**pod, "shareProcessNamespace": True},
        "a port below 1024": changed(pod, "containers/1/securityContext/capabilities", {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}),
    }.items():
        try:
            rendered({**example(), "pod": good})
        except Refused as error:
            wrong.append(f"{name} is refused: {error}")
    return wrong


def native(pod: Object) -> list[str]:
    """An Envoy that is a sidecar in Kubernetes' own sense: an init container that stays."""
    agent, envoy = pod["containers"]
    staying = {**envoy, "restartPolicy": "Always"}
    first = {"name": "first", "image": "x", "securityContext": {"runAsUser": 1001, "allowPrivilegeEscalation": False}}
    good = {**pod, "containers": [agent], "initContainers": [first, staying]}
    found = rendered({**example(), "pod": good})
    spec = spec_of(found)
    wrong = [problem for one in found for problem in schema_problems(one)]
    ours, theirs = spec["initContainers"][1], spec["initContainers"][2]
    for what, got, wanted in [
        ("the containers", [one["name"] for one in spec["containers"]], ["agent"]),
        # Exequatur starts before its Envoy, and ends after it.
        ("the init containers", [one["name"] for one in spec["initContainers"]], ["first", "exequatur", "envoy"]),
        ("whether it stays", ours.get("restartPolicy"), "Always"),
        ("what Envoy has of Exequatur's", [one for one in theirs["volumeMounts"] if one["name"] in OURS], [SHARED]),
        ("what others have of it", [one for one in spec["initContainers"][0].get("volumeMounts", []) if one["name"] in OURS], []),
        ("how it is held", ours["securityContext"], container_of(spec_of(rendered(example())))["securityContext"]),
    ]:
        wrong += [] if got == wanted else [f"a native sidecar: {what} is {got!r}, not {wanted!r}"]
    wrong += refused({**example(), "pod": {**good, "initContainers": [first, envoy]}}, "an Envoy that ends", "does not say restartPolicy: Always")
    wrong += refused({**example(), "pod": {**good, "containers": [agent, envoy]}}, "two Envoys", "the pod has two containers `envoy`")
    other = {**staying, "securityContext": {**envoy["securityContext"], "runAsUser": 102}}
    wrong += refused({**example(), "pod": {**good, "initContainers": [other]}}, "another user's Envoy", "`envoy` runs as 102")
    wrong += refused({**example(), "pod": good}, "a native sidecar on 1.28", "which Kubernetes has since 1.29", "1.28")
    return wrong


def container_of(spec: Object) -> Object:
    return next(one for one in spec["containers"] if one["name"] == "exequatur")


def refused(given: Object, what: str, said: str, version: str = NEWEST) -> list[str]:
    try:
        render(given, version=version, chart=placed(CHART)[1])
    except Refused as error:
        return [] if said in str(error) else [f"{what}: `{said}` is not in `{error}`"]
    return [f"{what} is rendered"]


def problems(chart: Path = CHART) -> list[str]:
    """What is not as it should be in the example."""
    wrong = []
    objects = rendered(example(), chart)
    spec = spec_of(objects)

    def same(what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            wrong.append(f"sidecar: {what} is {got!r}, not {wanted!r}")

    same("what is rendered", sorted(found["kind"] for found in objects), ["ConfigMap", "Deployment"])
    wrong += [problem for found in objects for problem in schema_problems(found)]
    containers = {one["name"]: one for one in spec["containers"]}
    same("the containers", sorted(containers), ["agent", "envoy", "exequatur"])
    mounts = {name: {one["name"]: one for one in container.get("volumeMounts", [])} for name, container in containers.items()}
    same("what the agent has of Exequatur's", OURS & set(mounts["agent"]), set())
    same("what Envoy has of Exequatur's", {name: mounts["envoy"].get(name) for name in OURS & set(mounts["envoy"])}, {"exequatur-envoy": SHARED})
    same("what Exequatur has", set(mounts["exequatur"]), OURS)
    same("where the socket is", mounts["exequatur"]["exequatur-envoy"], {"name": "exequatur-envoy", "mountPath": "/run/exequatur-envoy"})
    volumes = {one["name"]: one for one in spec["volumes"]}
    same("the volume of the socket", volumes["exequatur-envoy"].get("emptyDir"), {"medium": "Memory", "sizeLimit": "1Mi"})
    same("the mode of secrets", volumes["exequatur-secrets"]["projected"].get("defaultMode"), 0o440)
    same("who may read them", spec["securityContext"].get("fsGroup"), 65532)
    users = [container["securityContext"]["runAsUser"] for container in containers.values()]
    same("how many users", len(set(users)), 3)
    own = {**hardening.CONTAINER, **{key: value for key, value in hardening.POD.items() if not key.startswith("fs")}}
    same("the container's security", containers["exequatur"]["securityContext"], own)
    wrong += [f"sidecar: {line}" for line in hardening.container_problems({**containers["exequatur"], "securityContext": hardening.CONTAINER})]
    same("how it is asked whether it is ready", containers["exequatur"]["readinessProbe"]["httpGet"], {"path": "/readyz", "port": "public"})
    same("time to end in", spec["terminationGracePeriodSeconds"], 30)
    data = next(found for found in objects if found["kind"] == "ConfigMap")
    same("its namespace", data["metadata"]["namespace"], NAMESPACE)
    listen = yaml.safe_load(data["data"]["configuration"])["listen"]
    same("where Envoy asks, and as whom", (listen["grpc"], listen["grpc_peers"]), ("unix:/run/exequatur-envoy/grpc.sock", [101]))
    return wrong


def missed(chart: Path) -> bool:
    """Whether this changed chart is noticed."""
    try:
        return bool(problems(chart))
    except Exception:  # noqa: BLE001 (what cannot be rendered or read any more was noticed)
        return True


def run(program: Path) -> list[str]:
    return meshes(program) + envoy(program)


def meshes(program: Path) -> list[str]:
    """What the chart renders for Istio, with its Services, and the provider that its notes tell, are clean beside the examples of who asks."""
    wrong = []
    for case, example_of in [("istio-sidecar", "sidecar"), ("istio-ambient", "waypoint")]:
        objects = [found for found in render(values(case)) if found["kind"] in {*MESH, "Service"}]
        notes = rendered_texts(values(case))["exequatur/templates/NOTES.txt"]
        mesh = yaml.safe_load(re.search(r"^meshConfig:\n(?: .*\n?)+", notes, re.MULTILINE)[0])  # type: ignore[index]
        # The mesh's own affair, and not Exequatur's provider.
        mesh["meshConfig"]["pathNormalization"] = {"normalization": "MERGE_SLASHES"}
        with tempfile.TemporaryDirectory(prefix="exequatur-mesh-") as folder:
            files = [Path(folder) / "mesh.yaml", Path(folder) / "rendered.yaml", ROOT / f"examples/istio/{example_of}.yaml"]
            files[0].write_text(yaml.safe_dump(mesh), encoding="utf-8")
            files[1].write_text(yaml.safe_dump_all(objects), encoding="utf-8")
            told = subprocess.run([program, "envoy", "lint", *files], capture_output=True, text=True, check=False)
        wrong += [] if told.returncode == 0 else [f"envoy lint of {case}: {told.stdout}{told.stderr}"]
    return wrong


def envoy(program: Path) -> list[str]:
    """Envoy's configuration for it: the hardened example with the socket as Exequatur's address is clean."""
    text = (ROOT / "envoy/hardened.yaml").read_text(encoding="utf-8")
    address = "socket_address: { address: 127.0.0.1, port_value: 9191 }"
    if text.count(address) != 1:
        return [f"envoy/hardened.yaml does not have `{address}` once"]
    with tempfile.TemporaryDirectory(prefix="exequatur-sidecar-") as folder:
        file = Path(folder) / "envoy.yaml"
        file.write_text(text.replace(address, "pipe: { path: /run/exequatur-envoy/grpc.sock }"), encoding="utf-8")
        told = subprocess.run([program, "envoy", "lint", file], capture_output=True, text=True, check=False)
    return [] if told.returncode == 0 else [f"envoy lint of a sidecar's Envoy: {told.stdout}{told.stderr}"]
