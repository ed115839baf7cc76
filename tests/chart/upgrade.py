"""What an upgrade from the chart's previous version changes.

`previous/<version>` has the values of that version's cases and what it rendered of them, and its values.yaml. Its values have to be taken, but
for what `needs.yaml` says (what the refusal tells, and what has to be given then); no value that it had may be gone without being named
there; no object may be gone, nothing that Kubernetes lets nobody change may differ, and the differences are those of `previous/<version>/differences.txt`, which
somebody has read: after a change, `check.py --write-differences` writes it anew, to be reviewed with the change. Before Chart.yaml
gets another version, `check.py --keep-version` writes down what this one renders.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from objects import Findings
from page import merged
from rendering import CHART, NEWEST, Loader, Object, Refused, cases, changed, metadata, render, values, yaml

PREVIOUS = Path(__file__).resolve().parent / "previous"
# What only a new object can have otherwise, by kind.
FIXED = {
    "DaemonSet": ["spec/selector"],
    "Deployment": ["spec/selector"],
    "Job": ["spec/selector", "spec/template"],
    "PersistentVolumeClaim": ["spec"],
    "Secret": ["type"],
    "Service": ["spec/clusterIP"],
    "StatefulSet": ["spec/selector", "spec/serviceName", "spec/podManagementPolicy", "spec/volumeClaimTemplates"],
}
NONE = "nothing"


def check() -> list[str]:
    findings = Findings()
    for folder in versions():
        findings.case = f"upgrade from {folder.name}"
        written = (folder / "differences.txt").read_text(encoding="utf-8").splitlines()
        there, refused = pairs(folder)
        findings.wrong += [f"{findings.case}: {line}" for line in refused]
        told = differences(there)
        for line in sorted(set(told) ^ set(written)):
            findings.wrong.append(f"{findings.case}: {'new' if line in told else 'no longer so'}: {line}")
        for case, before, after in there:
            findings.wrong += [f"{findings.case}: {case}: {line}" for line in immutable(before, after)]
    findings.same("versions before this one", len(versions()) >= 1, True)
    base = render(values("redis"))
    for path, new in [("service/headless", False), ("replicas", 2)]:
        changing = immutable(base, render(changed(values("redis"), path, new)))
        findings.same(f"what nobody may change, after {path}", bool(changing), path == "service/headless")
    return findings.wrong + blind(versions()[0])


def blind(folder: Path) -> list[str]:
    """What would go unnoticed: each upgrade that goes wrong in one way has to be objected to."""
    before, wrong = yaml_all(folder / "redis.yaml"), []
    deployment = next(one for one in before if one["kind"] == "Deployment")
    stateful = {**deployment, "kind": "StatefulSet", "spec": {**deployment["spec"], "serviceName": "a"}}
    for path, old, new in [
        ("Deployment gone", before, [one for one in before if one is not deployment]),
        ("NetworkPolicy gone", before, [one for one in before if one["kind"] != "NetworkPolicy"]),
        ("a label of the selector", [deployment], [changed(deployment, "spec/selector/matchLabels/more", "x")]),
        ("the name of a StatefulSet's Service", [stateful], [changed(stateful, "spec/serviceName", "b")]),
        ("another kind", [deployment], [stateful]),
    ]:
        wrong += [] if immutable(old, new) else [f"upgrade: {path} goes unnoticed"]
    port = [changed(one, "spec/ports/0/port", 1) if one["kind"] == "Service" else one for one in before]
    wrong += [] if differences([("redis", before, port)]) else ["upgrade: another port goes unnoticed"]
    # A value that has another name now, in a copy of this chart.
    schema = (CHART / "values.schema.json").read_text(encoding="utf-8")
    for name, other in [("priorityClassName", "priorityClass"), ("existingClaim", "claim")]:
        with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as place:
            chart = Path(place) / "exequatur"
            shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("dashboards", "ci"))
            (chart / "values.schema.json").write_text(schema.replace(f'"{name}"', f'"{other}"'), encoding="utf-8")
            defaults = chart / "values.yaml"
            defaults.write_text(defaults.read_text(encoding="utf-8").replace(f" {name}:", f" {other}:"), encoding="utf-8")
            _, refused = pairs(folder, chart)
        wrong += [] if refused else [f"upgrade: that {name} is called {other} goes unnoticed"]
    return wrong


def versions() -> list[Path]:
    return sorted(path for path in PREVIOUS.iterdir() if path.is_dir())


def write() -> None:
    for folder in versions():
        (folder / "differences.txt").write_text("".join(f"{line}\n" for line in differences(pairs(folder)[0])), encoding="utf-8")


def keep() -> None:
    """This version's cases and what they render, for those that come after it."""
    folder = PREVIOUS / metadata()["version"]
    (folder / "values").mkdir(parents=True)
    for case in cases():
        shutil.copy(CHART / "ci" / f"{case}.yaml", folder / "values")
        rendered = sorted(render(values(case), version=NEWEST), key=lambda one: (one["kind"], one["metadata"]["name"]))
        (folder / f"{case}.yaml").write_text(yaml.safe_dump_all(rendered, width=120), encoding="utf-8")
    shutil.copy(CHART / "values.yaml", folder)
    for file, text in [("differences.txt", ""), ("needs.yaml", "[]\n")]:
        (folder / file).write_text(text, encoding="utf-8")


def yaml_all(path: Path) -> list[Object]:
    return list(yaml.load_all(path.read_text(encoding="utf-8"), Loader))


def pairs(folder: Path, chart: Path = CHART) -> tuple[list[tuple[str, list[Object], list[Object]]], list[str]]:
    """Each case of that version: what it rendered, and what this one does of the same values; and what is refused unawares."""
    (defaults,) = yaml_all(folder / "values.yaml")
    (needs,) = yaml_all(folder / "needs.yaml")
    found, wrong, needed = [], [], set()
    for file in sorted((folder / "values").glob("*.yaml")):
        (given,) = yaml_all(file)
        # With all that it had by default: a key that is not known any more is refused.
        given = merged(defaults, given)
        for place, need in enumerate(needs):
            try:
                render(given, chart=chart)
            except Refused as refused:
                if need["told"] in str(refused):
                    needed.add(place)
                    given = merged(given, need["values"])
        try:
            found.append((file.stem, yaml_all(folder / file.name), render(given, version=NEWEST, chart=chart)))
        except Refused as refused:
            wrong.append(f"{file.stem}: values are refused: {refused}")
    wrong += [f"needs.yaml: nothing needs {need}" for place, need in enumerate(needs) if place not in needed]
    return found, wrong


def immutable(before: list[Object], after: list[Object]) -> list[str]:
    """Objects that an upgrade takes away, and what Kubernetes would refuse of the others."""
    wrong = []
    for found in before:
        kind, name = found["kind"], found["metadata"]["name"]
        same = [one for one in after if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        if not same:
            wrong.append(f"{kind} {name} is gone")
        for path in FIXED.get(kind, []) if same else []:
            if at(found, path) != at(same[0], path):
                wrong.append(f"{kind} {name}: {path} differs, and Kubernetes refuses that")
    return wrong


def at(value: Any, path: str) -> Any:
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def differences(there: list[tuple[str, list[Object], list[Object]]]) -> list[str]:
    """Each leaf that differs, with the cases in which it does."""
    found: dict[str, list[str]] = {}
    for case, before, after in there:
        old, new = leaves(before), leaves(after)
        for path in sorted(old.keys() | new.keys()):
            was, now = old.get(path, NONE), new.get(path, NONE)
            if was != now:
                found.setdefault(f"{path}: {short(was)} -> {short(now)}", []).append(case)
    return sorted(f"{line} ({', '.join(where)})" for line, where in found.items())


def short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"


def leaves(objects: list[Object]) -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(f"{path}.{key}", inner)
        elif isinstance(value, list) and value:
            for place, inner in enumerate(value):
                # Named things by their names, so that a new one does not move the rest.
                named = inner.get("name", place) if isinstance(inner, dict) else place
                walk(f"{path}[{named}]", inner)
        else:
            found[path] = repr(value)

    for one in objects:
        walk(f"{one['kind']} {one['metadata']['name']}", one)
    return found
