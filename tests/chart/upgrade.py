"""What an upgrade from the chart's previous version changes.

`previous/<version>` has the values of that version's cases and what it rendered of them. Its values have to be taken, nothing
that Kubernetes lets nobody change may differ, and the differences are those of `previous/<version>/differences.txt`, which
somebody has read: after a change, `check.py --write-differences` writes it anew, to be reviewed with the change. Before Chart.yaml
gets another version, `check.py --keep-version` writes down what this one renders.
"""

import shutil
from pathlib import Path
from typing import Any

from objects import Findings
from rendering import CHART, NEWEST, Loader, Object, cases, changed, metadata, render, values, yaml

PREVIOUS = Path(__file__).resolve().parent / "previous"
# What only a new object can have otherwise, by kind.
FIXED = {
    "Deployment": ["spec/selector"],
    "Service": ["spec/clusterIP"],
    "PersistentVolumeClaim": ["spec"],
}
NONE = "nothing"


def check() -> list[str]:
    findings = Findings()
    for folder in versions():
        findings.case = f"upgrade from {folder.name}"
        written = (folder / "differences.txt").read_text(encoding="utf-8").splitlines()
        told = differences(folder)
        for line in sorted(set(told) ^ set(written)):
            findings.wrong.append(f"{findings.case}: {'new' if line in told else 'no longer so'}: {line}")
        for case, before, after in pairs(folder):
            findings.wrong += [f"{findings.case}: {case}: {line}" for line in immutable(before, after)]
    findings.same("versions before this one", len(versions()) >= 1, True)
    base = render(values("redis"))
    for path, new in [("service/headless", False), ("replicas", 2)]:
        changing = immutable(base, render(changed(values("redis"), path, new)))
        findings.same(f"what nobody may change, after {path}", bool(changing), path == "service/headless")
    return findings.wrong


def versions() -> list[Path]:
    return sorted(path for path in PREVIOUS.iterdir() if path.is_dir())


def write() -> None:
    for folder in versions():
        (folder / "differences.txt").write_text("".join(f"{line}\n" for line in differences(folder)), encoding="utf-8")


def keep() -> None:
    """This version's cases and what they render, for those that come after it."""
    folder = PREVIOUS / metadata()["version"]
    (folder / "values").mkdir(parents=True)
    for case in cases():
        shutil.copy(CHART / "ci" / f"{case}.yaml", folder / "values")
        rendered = sorted(render(values(case), version=NEWEST), key=lambda one: (one["kind"], one["metadata"]["name"]))
        (folder / f"{case}.yaml").write_text(yaml.safe_dump_all(rendered, width=120), encoding="utf-8")
    (folder / "differences.txt").write_text("", encoding="utf-8")


def pairs(folder: Path) -> list[tuple[str, list[Object], list[Object]]]:
    """Each case of that version: what it rendered, and what this one does of the same values."""
    found = []
    for file in sorted((folder / "values").glob("*.yaml")):
        before = list(yaml.load_all((folder / file.name).read_text(encoding="utf-8"), Loader))
        given = yaml.load(file.read_text(encoding="utf-8"), Loader)
        found.append((file.stem, before, render(given, version=NEWEST)))
    return found


def immutable(before: list[Object], after: list[Object]) -> list[str]:
    wrong = []
    for found in before:
        kind, name = found["kind"], found["metadata"]["name"]
        same = [one for one in after if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        for path in FIXED.get(kind, []) if same else []:
            if at(found, path) != at(same[0], path):
                wrong.append(f"{kind} {name}: {path} differs, and Kubernetes refuses that")
    return wrong


def at(value: Any, path: str) -> Any:
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def differences(folder: Path) -> list[str]:
    """Each leaf that differs, with the cases in which it does."""
    found: dict[str, list[str]] = {}
    for case, before, after in pairs(folder):
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
