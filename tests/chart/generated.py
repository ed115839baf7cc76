"""What is made from other files: the table of charts/exequatur/README.md from the comments of values.yaml, its list of examples
from theirs, and what values.schema.json says of `config` from docs/reference/config.schema.json. `check.py --write` makes them.
"""

import json
import re
from typing import Any

from rendering import CHART, ROOT, Object, yaml

README, VALUES, SCHEMA = CHART / "README.md", CHART / "values.yaml", CHART / "values.schema.json"
DEFAULTS = CHART / "templates/_defaults.tpl"
# Values that only one of the two modes reads; the rest of values.yaml is read by both.
ONLY: dict[str, list[str]] = {
    "central": [
        *("admin", "autoscaling", "certManager", "grpc", "istio", "monitoring.podMonitor", "monitoring.serviceMonitor", "networkPolicy"),
        *("pod", "podDisruptionBudget", "podSecurityContext", "replicas", "service", "serviceAccount", "storage", "tests"),
    ],
    "sidecar": ["sidecar"],
}
BOTH = {
    *("mode", "fullnameOverride", "image", "config", "policies", "secrets", "listenAddress", "monitoring", "log", "resources", "commonLabels"),
    *("extraEnv", "extraEnvFrom", "extraVolumes", "extraVolumeMounts"),
}
CONFIG = ROOT / "docs/reference/config.schema.json"
BEGIN, END = "<!-- made by tests/chart/check.py --write: {} -->", "<!-- end -->"
# The chart sets these, and says so itself.
OURS = ["policies", "admin"]
OUR_LISTENERS = ["grpc", "public", "metrics", "admin"]
WIDTH = 120


def check() -> list[str]:
    wrong = []
    for path, text in made().items():
        if path.read_text(encoding="utf-8") != text:
            wrong.append(f"{path.relative_to(ROOT)} is not what is made of the other files: tests/chart/check.py --write")
    known = {path.partition(".")[0] for paths in ONLY.values() for path in paths} | BOTH
    there = set(yaml.safe_load(VALUES.read_text(encoding="utf-8")))
    wrong += [f"nobody says which mode reads `{key}`" for key in sorted(known ^ there)]
    wrong += [f"values.yaml says nothing of `{path}`" for path, _, meaning in keys() if not meaning]
    return wrong


def write() -> None:
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")


def made() -> dict[Any, str]:
    text = README.read_text(encoding="utf-8")
    for name, body in [("values", table()), ("examples", examples())]:
        begin = BEGIN.format(name)
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}\n\n{body}\n\n{END}{rest.split(END, 1)[1]}"
    return {README: text, SCHEMA: schema(), DEFAULTS: defaults()}


def defaults() -> str:
    """The part of values.yaml that only one mode reads: a template cannot see what is given and what is default."""
    whole = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    found: Object = {}
    for mode, paths in ONLY.items():
        for path in paths:
            key, _, inner = path.partition(".")
            part = {key: {inner: whole[key][inner]} if inner else whole[key]}
            found[mode] = {**found.get(mode, {}), key: {**found.get(mode, {}).get(key, {}), **part[key]} if inner else part[key]}
    body = yaml.safe_dump(found, width=120, sort_keys=True)
    head = "{{- /* Made from values.yaml by tests/chart/check.py --write: what only one mode reads, as it is by default. */ -}}\n"
    return f'{head}{{{{- define "exequatur.defaults" -}}}}\n{body}{{{{- end -}}}}\n'


def table() -> str:
    rows = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, default, meaning in keys():
        shown = f"`{default}`" if default else ""
        rows.append(f"| `{path}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def keys() -> list[tuple[str, str, str]]:
    """Each key of values.yaml with a comment, and each without keys below it: its path, what stands there, and the comment."""
    found: list[tuple[str, str, str]] = []
    open_at: list[tuple[int, str]] = []
    said: list[str] = []
    for line in VALUES.read_text(encoding="utf-8").splitlines():
        comment = re.match(r" *# (.*)$", line)
        key = re.match(r"( *)([A-Za-z]\w*):(?: (.*))?$", line)
        if comment:
            said.append(comment[1])
        elif key:
            while open_at and open_at[-1][0] >= len(key[1]):
                open_at.pop()
            path = ".".join([*(name for _, name in open_at), key[2]])
            if said or key[3]:
                found.append((path, (key[3] or "").strip(), " ".join(said)))
            open_at.append((len(key[1]), key[2]))
            said = []
        elif line.strip():
            raise ValueError(f"values.yaml: not understood: {line}")
        else:
            said = []
    return found


def examples() -> str:
    lines = []
    for path in sorted((CHART / "ci").glob("*.yaml")):
        said = re.match(r"(?:# .*\n)+", path.read_text(encoding="utf-8"))
        words = " ".join(line.removeprefix("# ") for line in said[0].splitlines()) if said else ""
        lines.append(f"- [{path.name}](ci/{path.name}): {words}")
    return "\n".join(lines)


def schema() -> str:
    """values.schema.json with `config` closed as Exequatur closes it: a typing error is refused before a pod is replaced."""
    whole = json.loads(SCHEMA.read_text(encoding="utf-8"))
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    definitions = {name: body for name, body in whole["definitions"].items() if not name.startswith("config:")}
    for name, body in config.pop("$defs").items():
        definitions[f"config:{name}"] = body
    for key in ("$schema", "title", "required"):
        config.pop(key)
    for key in OURS:
        config["properties"][key] = {}
    for key in OUR_LISTENERS:
        config["properties"]["listen"]["properties"][key] = {}
    config["description"] = "Exequatur's own configuration; `exequatur config check` judges it further."
    whole["properties"]["config"] = config
    whole["definitions"] = definitions
    return f"{compact(moved(whole))}\n"


def moved(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: moved(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [moved(inner) for inner in value]
    return value.replace("#/$defs/", "#/definitions/config:") if isinstance(value, str) else value


def compact(value: Any, indent: int = 0, lead: int = 0, whole: bool = False) -> str:
    """JSON, with each object and array on one line that fits there."""
    if not isinstance(value, (dict, list)) or not value:
        return json.dumps(value, ensure_ascii=False)
    keyed = isinstance(value, dict)
    parts: Object | list[Any] = value
    names = [f"{json.dumps(key)}: " for key in parts] if keyed else [""] * len(parts)
    items = list(value.values()) if isinstance(value, dict) else value
    one = ", ".join(name + compact(item, whole=True) for name, item in zip(names, items))
    line = f"{{ {one} }}" if keyed else f"[{one}]"
    if whole or (indent and indent + lead + len(line) <= WIDTH):
        return line
    pad = " " * (indent + 2)
    body = ",\n".join(pad + name + compact(item, indent + 2, len(name)) for name, item in zip(names, items))
    ends = "{}" if keyed else "[]"
    return f"{ends[0]}\n{body}\n{' ' * indent}{ends[1]}"
