"""The restricted profile of pod security, and whether the loss of any part of it is noticed."""

import functools
import re
import shutil
import tempfile
from pathlib import Path

from rendering import CHART, Object, render, values

# The kinds of volume that the restricted profile allows, as in Kubernetes' description of it.
VOLUMES = {"configMap", "csi", "downwardAPI", "ephemeral", "persistentVolumeClaim", "projected", "secret", "emptyDir"}
POD = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
# What a pod may have beside these, and a container: anything else could loosen something.
POD_KEYS = {
    *("affinity", "automountServiceAccountToken", "containers", "enableServiceLinks", "imagePullSecrets", "nodeSelector"),
    *("priorityClassName", "restartPolicy", "securityContext", "serviceAccountName", "terminationGracePeriodSeconds"),
    *("tolerations", "topologySpreadConstraints", "volumes"),
}
CONTAINER_KEYS = {
    *("args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports"),
    *("readinessProbe", "resources", "securityContext", "volumeMounts"),
}


def problems(spec: Object) -> list[str]:
    """What a pod lacks of the restricted profile, of a root that cannot be written to, and of having no token."""
    wrong = []
    for what, got, wanted in [
        ("other keys of the pod", set(spec) - POD_KEYS, set()),
        # A token would let whoever gets into the pod ask the cluster.
        ("automountServiceAccountToken", spec.get("automountServiceAccountToken"), False),
        # Names of other Services would be read from the environment.
        ("enableServiceLinks", spec.get("enableServiceLinks"), False),
        ("the pod's security", spec.get("securityContext"), POD),
        # Five seconds before the signal, and eighteen that a stop takes at most.
        ("time to end in", spec.get("terminationGracePeriodSeconds", 0) >= 5 + 18, True),
    ]:
        if got != wanted:
            wrong.append(f"{what} is {got!r}, not {wanted!r}")
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if len(kinds) != 1 or not kinds <= VOLUMES:
            wrong.append(f"a volume is {sorted(kinds)}")
        sources = volume.get("projected", {}).get("sources", [])
        if any("serviceAccountToken" in source for source in sources):
            wrong.append("a volume has a token of the service account")
    for container in spec["containers"]:
        wrong += [f"{container.get('name')}: {line}" for line in container_problems(container)]
    return wrong


def container_problems(container: Object) -> list[str]:
    wrong = []
    if others := set(container) - CONTAINER_KEYS:
        wrong.append(f"other keys are {others}")
    if (got := container.get("securityContext")) != CONTAINER:
        wrong.append(f"its security is {got!r}, not {CONTAINER!r}")
    if "memory" not in container.get("resources", {}).get("limits", {}):
        wrong.append("there is no limit of memory")
    for port in container.get("ports", []):
        if sorted(port) != ["containerPort", "name"]:
            wrong.append(f"a port is {port}")
    return wrong


# Lines of the templates' texts that harden, each of which is taken out.
LINES = {
    "deployment.yaml": r"checksum|automountServiceAccountToken|enableServiceLinks|runAs|exequatur.ids|fsGroup|seccompProfile|terminationGrace|strategy: |maxUnavail",
    "_pod.tpl": r"allowPrivilege|readOnlyRoot|capabilities|defaultMode|readOnly: true|preStop|sizeLimit",
    "_sidecar.tpl": r"runAsNonRoot|readOnly|fsGroup",
    "tests.yaml": r"automount|enableService|runAs|exequatur.ids|fsGroup|seccomp|allowPriv|readOnlyRoot|capabilities|defaultMode|policyTypes"
    r"|port: |from:|podSelector|testSelector|namespace: |image|- name: |hook|restartPolicy|limits|terminationGrace|mountPath",
    "_names.tpl": r"set \$ids|toYaml \$ids",
    "serviceaccount.yaml": r"^automountServiceAccountToken",
    "istio.yaml": r"namespace: |matchLabels|STRICT|ALLOW|from: |to: |host: |ISTIO_MUTUAL|connectionPool",
    "networkpolicy.yaml": r"policyTypes|from: |to: |port: |matchLabels",
    "operators.yaml": r"policyTypes|from: |port: 9194|matchLabels",
    "disruptionbudget.yaml": r"unhealthyPod|max|min",
    # What listens where, with which certificate, and as whom Envoy has to ask; which changes replace a pod.
    "_configuration.tpl": r"set |:= (dict|list|merge|ternary)|toYaml|omit|^\{\{- define",
    "_certificate.tpl": r"secretName|dnsNames|duration|renewBefore|privateKey|usages|issuerRef|name: |kind: |group: ",
    "certificates.yaml": r"include",
    # Apart from each other, and without a port that is not for them.
    "services.yaml": r"type: |clusterIP|selector|port: ",
}


def check() -> list[str]:
    """Takes out one hardening line of a template after the other: each has to be missed, in one case at least."""
    import hooks
    import objects
    import sidecar

    wrong, taken = [], 0
    cases = ("istio-ambient", "scaled", "operators", "certificates", "embedded")
    with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
        for template, pattern in LINES.items():
            text = (CHART / "templates" / template).read_text(encoding="utf-8")
            for number, line in enumerate(text.splitlines(keepends=True)):
                if not re.search(pattern, line) or re.search(r"^\s*(#|\{\{-? /\*)", line) or "{{- if" in line:
                    continue
                taken += 1
                chart = Path(folder) / str(taken)
                # Without the schema of values, which are the same each time: judging them takes longer than rendering.
                shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("dashboards", "ci", "examples", "values.schema.json"))
                lines = text.splitlines(keepends=True)
                lines[number] = ""
                (chart / "templates" / template).write_text("".join(lines), encoding="utf-8")
                ways = [*(functools.partial(missed, objects, case) for case in cases), sidecar.missed]
                ways += [functools.partial(unnoticed_change, objects)]
                if not any(noticed(chart) for noticed in [hooks.missed] * (template == "tests.yaml") + ways):
                    wrong.append(f"{template}:{number + 1} can be taken out unnoticed: {line.strip()}")
    if taken < 125:
        wrong.append(f"only {taken} lines that harden were found")
    return wrong


def unnoticed_change(objects: object, chart: Path) -> bool:
    """Whether that a pod is replaced, or is not, for a change of the configuration differs in this changed chart."""
    findings = objects.Findings()  # type: ignore[attr-defined]
    try:
        objects.restarted(findings, chart)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 (what cannot be rendered or read any more was noticed)
        return True
    return bool(findings.wrong)


def missed(objects: object, case: str, chart: Path) -> bool:
    given = values(case)
    try:
        return bool(objects.judged(case, render(given, chart=chart), given))  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 (what cannot be rendered or read any more was noticed)
        return True
