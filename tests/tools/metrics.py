#!/usr/bin/env python3
"""docs/reference/metrics.md names each metric of the code with its type and its labels, and the alerts and dashboards ask for no other."""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# Another page than ours, for the test of this program.
DOCUMENT = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/reference/metrics.md"
ALERTS = ROOT / "docs/reference/alerts.md"
CHART = ROOT / "charts/exequatur"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (\d+)(?: × (issuers|streams|sinks))? \| (.+) \|$")
# What the program says of itself, further down the page.
DESCRIBED = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| [^|]+ \|$", re.MULTILINE)
CALL = re.compile(r"\bmetrics::(counter|gauge|histogram)!\(\s*")
CONSTANT = re.compile(r'const (\w+): &str =\s*"(\w+)";')
# What Prometheus makes of a histogram, and what it adds to whatever it scrapes.
SUFFIX = re.compile(r"_(bucket|sum|count)$")
SCRAPED = {"job", "instance", "namespace", "pod", "le", "fingerprint", "alertname", "alertstate"}


class Metric(NamedTuple):
    kind: str
    labels: frozenset[str]


def of_code() -> tuple[dict[str, Metric], list[str]]:
    """What the macros are called with, and the lines that the process writes itself."""
    found, wrong = {}, []
    for path in sorted((ROOT / "crates").glob("*/src/**/*.rs")):
        text = path.read_text(encoding="utf-8")
        constants = dict(CONSTANT.findall(text))
        for call in CALL.finditer(text):
            arguments = inside(text, call.end())
            named = re.match(r'(?:"(\w+)"|(\w+))', arguments)
            name = named.group(1) or constants.get(named.group(2))
            if name is None:
                wrong.append(f"{path.relative_to(ROOT)}: `{arguments}` does not name its metric by a constant of its file")
                continue
            metric = Metric(call.group(1), frozenset(re.findall(r'"(\w+)" =>', arguments)))
            if found.setdefault(name, metric) != metric:
                wrong.append(f"{name} is used in two ways: {found[name]} and {metric}")
    written = (ROOT / "crates/server/src/metrics/process.rs").read_text(encoding="utf-8")
    for name, kind in re.findall(r'\(\s*"(\w+)",\s*"(counter|gauge)"', written):
        found[name] = Metric(kind, frozenset())
    return found, wrong


def inside(text: str, at: int) -> str:
    """From `at` to the parenthesis that closes the one before it."""
    depth, end = 1, at
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[at : end - 1]


def of_document() -> tuple[dict[str, Metric], list[str]]:
    found, wrong, series = {}, [], {"": 0, "issuers": 0, "streams": 0, "sinks": 0}
    anchors = headings(ALERTS)
    text, _, described = DOCUMENT.read_text(encoding="utf-8").partition("<!-- generated: exequatur reference metrics -->")
    for line in text.splitlines():
        row = ROW.match(line)
        if row is None:
            if line.startswith("| `"):
                wrong.append(f"a row that cannot be read: {line}")
            continue
        name, kind, labels, count, per, rest = row.groups()
        if name in found:
            wrong.append(f"{name} has two rows")
        found[name] = Metric(kind, frozenset(re.findall(r"`(\w+)` (?:\d+|issuers|streams|sinks)", labels)))
        series[per or ""] += int(count)
        wrong += [f"{name}: there is no alerts.md#{a}" for a in re.findall(r"alerts\.md#([\w-]+)", rest) if a not in anchors]
        wrong += named_badly(name, kind)
    told = dict(DESCRIBED.findall(described))
    for name in sorted(told.keys() | found.keys()):
        if name not in found or told.get(name) != found[name].kind:
            wrong.append(f"{name}: the tables have {found.get(name)}, and the program describes it as {told.get(name)}")
    reasons = len(re.findall(r'^ +[A-Z]\w+ = "[a-z_]+",$', (ROOT / "crates/decide/src/reason.rs").read_text(encoding="utf-8"), re.MULTILINE))
    if f"`reason` {reasons + 1}" not in text:
        wrong.append(f"exequatur_decisions_total: there are {reasons} reasons, and `permitted`")
    said = re.search(r"at most (\d+) series.*?at most (\d+), each stream (\d+), each sink (\d+)\.", text, re.DOTALL)
    if said is None or [int(number) for number in said.groups()] != list(series.values()):
        wrong.append(f"the text before the tables has other sums than they: {series}")
    return found, wrong


def named_badly(name: str, kind: str) -> list[str]:
    """https://prometheus.io/docs/practices/naming/"""
    wrong = []
    if (kind == "counter") != name.endswith("_total"):
        wrong.append(f"{name}: a counter ends in _total, and nothing else does")
    if kind == "histogram" and not name.endswith("_seconds"):
        wrong.append(f"{name}: a histogram of what?")
    if not name.startswith(("exequatur_", "process_")) or re.search(r"_(ms|us|ns|kb|mib|millis|seconds_seconds)(_|$)", name):
        wrong.append(f"{name}: another prefix, or no base unit")
    return wrong


def headings(document: Path) -> set[str]:
    if not document.exists():
        return set()
    lines = document.read_text(encoding="utf-8").splitlines()
    return {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in lines if line.startswith("#")}


def expressions() -> list[tuple[str, str]]:
    """Whatever is asked by dashboards and rules, and where that stands."""
    asked = []
    for path in sorted((CHART / "dashboards").glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            asked += [(f"{path.name}: {panel['title']}", target["expr"]) for target in panel.get("targets", [])]
        asked += [(f"{path.name}: ${one['name']}", one["query"]) for one in board["templating"]["list"] if one["type"] == "query"]
    for path in sorted((CHART / "rules").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        asked += [(path.name, line) for line in re.findall(r"expr: (?:\|-?\n)?((?:.|\n(?=            ))+)", text)]
    return asked


def asked_for(known: dict[str, Metric]) -> list[str]:
    wrong = []
    for place, expression in expressions():
        for name, selector in re.findall(r"\b((?:exequatur|process)_\w+)(?:\{([^}]*)\})?", expression):
            metric = known.get(name) or known.get(SUFFIX.sub("", name))
            if metric is None:
                wrong.append(f"{place}: there is no metric {name}")
                continue
            histogram = metric.kind == "histogram"
            if histogram == (name in known) and "label_values" not in expression:
                wrong.append(f"{place}: {name} is a {metric.kind}")
            if metric.kind == "counter" and not re.search(r"\b(rate|increase|resets|irate)\(", expression) and "_lines" not in name:
                wrong.append(f"{place}: {name} is a counter, and is asked for as it is")
            labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector or ""))
            wrong += [f"{place}: {name} has no label {label}" for label in labels - metric.labels - SCRAPED]
    return wrong


def main() -> int:
    coded, wrong = of_code()
    documented, more = of_document()
    wrong += more
    for name in sorted(coded.keys() | documented.keys()):
        if coded.get(name) != documented.get(name):
            wrong.append(f"{name}: the code has {coded.get(name)}, docs/reference/metrics.md {documented.get(name)}")
    wrong += asked_for(documented)
    for line in wrong:
        print(f"metrics: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
