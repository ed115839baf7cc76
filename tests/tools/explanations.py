#!/usr/bin/env python3
"""Holds pages of docs/explanation against the program. failures.md: each reason of a fault and each alert has its place there, and each
reason, metric, alert, key and test that is named there exists. threat-model.md: the tests that show something exist."""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference"
HEAD = ["what fails", "the caller gets", "what goes on", "what tells", "can be set to", "shown by"]
# Words in code font that are no reason though they look like one: states, words of records, columns and values.
WORDS = {"deadline", "degrade", "required", "best_effort", "workers", "keys_kept", "status_list_kept", "revocations_stale", "not_kept", "not_recorded", "failure_mode_allow", "status_on_error"}


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def reasons() -> tuple[set[str], set[str]]:
    """All, and those of faults, by the page of reasons, which the program makes."""
    page = (REFERENCE / "reasons.md").read_text(encoding="utf-8")
    of_row = re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", page, re.MULTILINE)
    return {reason for reason, _ in of_row}, {reason for reason, status in of_row if status == "503"}


def metrics() -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", (REFERENCE / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE))


def alerts() -> set[str]:
    return set(re.findall(r"alert: (\w+)", (ROOT / "charts/exequatur/rules/exequatur.yaml").read_text(encoding="utf-8")))


def keys() -> set[str]:
    """Of the configuration: `store.redis.url`."""
    found: set[str] = set()

    def walk(schema: dict, at: str) -> None:
        for key, value in schema.get("properties", {}).items():
            found.add(f"{at}{key}")
            walk(value, f"{at}{key}.")
        inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("oneOf", [])]
        for schema in inner:
            if isinstance(schema, dict):
                walk(schema, at)

    walk(json.loads((REFERENCE / "config.schema.json").read_text(encoding="utf-8")), "")
    return found


def tests() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for folder in ("crates", "tests") for path in (ROOT / folder).glob("**/*.rs")]
    return {name for source in sources for name in re.findall(r"#\[(?:\w+::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)", source)}


def judge(page: str) -> list[str]:
    wrong, (every, faults), known_alerts, known_tests = [], reasons(), alerts(), tests()
    known_metrics, known_keys = metrics(), keys()
    rows = []
    for line in page.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            row = cells(line)
            if row == HEAD:
                continue
            if len(row) != len(HEAD) or not all(row):
                wrong.append(f"a row with another form: {line[:80]}")
                continue
            rows.append(row)
    if len(rows) < 30:
        wrong.append("most of the rows are gone")
    for failure, caller, _, tells, _, shown in rows:
        named = re.findall(r"`(\w+)`", shown)
        if not named and shown not in ("–", "no test"):
            wrong.append(f"{failure}: no test, and no word why")
        wrong += [f"{failure}: there is no test {name}" for name in named if name not in known_tests]
        wrong += [f"{failure}: there is no reason {name}" for name in re.findall(r"(?:401|429|503) `([a-z_]+)`", caller) if name not in every]
        if re.search(r"503 `", caller) and not re.search(r"exequatur_|process_|record", tells):
            wrong.append(f"{failure}: nothing tells of it")
    for word in re.findall(r"`((?:exequatur|process)_\w+)`", page):
        wrong += [] if word in known_metrics else [f"there is no metric {word}"]
    for word in re.findall(r"`([a-z_]+)`", page):
        if "_" in word and not word.startswith(("exequatur_", "process_")) and word not in every | WORDS | known_keys | known_tests:
            wrong.append(f"there is no reason {word}")
    for word in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?:: [^`]*)?`", page):
        wrong += [] if word in known_keys else [f"there is no key {word}"]
    linked = {anchor.lower() for anchor in re.findall(r"alerts\.md#(\w+)", page)} | {name.lower() for name in re.findall(r"`(Exequatur\w+)`", page)}
    wrong += [f"there is no alert {anchor}" for anchor in sorted(linked - {alert.lower() for alert in known_alerts})]
    wrong += [f"{alert} has no row" for alert in sorted(known_alerts) if alert.lower() not in linked]
    wrong += [f"the reason {reason} has no row" for reason in sorted(faults) if f"`{reason}`" not in " ".join(caller + later for _, caller, _, _, later, _ in rows)]
    return wrong


def threats(page: str) -> list[str]:
    wrong, known_tests = [], tests()
    files = [str(path.relative_to(ROOT)) for folder in ("crates", "tests", "policies") for path in (ROOT / folder).glob("**/*.*")]
    rows = [cells(line) for line in page.splitlines() if line.startswith("| ")]
    for row in [row for row in rows if row[0] not in ("attack", "---")]:
        if len(row) != 4:
            wrong.append(f"a row with another form: {row[0]}")
            continue
        for name in re.findall(r"`([^`]+)`", row[2]):
            begins = name.removesuffix("*")
            if re.fullmatch(r"\w+", name):
                exists = name in known_tests
            elif begins != name:
                exists = any(test.startswith(begins) for test in known_tests)
            else:
                exists = any(name.rstrip("/") in file for file in files)
            wrong += [] if exists else [f"{row[0]}: nothing is called {name}"]
    return wrong + (["most of the rows are gone"] if len(rows) < 60 else [])


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=Path, default=ROOT / "docs/explanation", help="the folder of the pages")
    pages, wrong = arguments.parse_args().pages, []
    for name, judged in (("failures.md", judge), ("threat-model.md", threats)):
        wrong += [f"{name}: {complaint}" for complaint in judged((pages / name).read_text(encoding="utf-8"))]
    for complaint in wrong:
        print(f"explanations: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
