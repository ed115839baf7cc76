#!/usr/bin/env python3
"""Fails when docs/requirements.md misses a requirement, or names a test that does not exist.

Tests are named as `cargo nextest list` prints them. Where cargo-nextest is missing, the test programs are asked
themselves, through cargo.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "requirements.md"
# Both ends included; where there are several, what is between them is no requirement.
REQUIREMENTS = {
    "D": [(1, 30)],
    "T": [(1, 5)],
    "M": [(1, 6)],
    "J": [(1, 19)],
    "E": [(1, 8)],
    "X": [(4, 6)],
    "P": [(1, 3), (5, 5)],
    "S": [(1, 4), (6, 6)],
    "L": [(1, 8)],
    "N": [(1, 9)],
    "G": [(1, 33)],
    "A-": [(1, 14), (16, 22), (30, 35), (38, 43)],
    "B-": [(1, 3), (5, 11), (13, 18)],
    "C-": [(1, 7), (9, 24), (26, 28)],
    "D-": [(2, 3), (5, 7), (20, 20)],
    "E-": [(1, 5), (7, 10)],
    "V": [(1, 11)],
}
TEST = re.compile(r"`(exequatur-[a-z]+(?:::(?:bin/)?[\w-]+)? \w+(?:::\w+)*)`")


def wanted() -> list[str]:
    return [
        f"{letter}{n:02}"
        for letter, ranges in REQUIREMENTS.items()
        for first, last in ranges
        for n in range(first, last + 1)
    ]


def rows() -> dict[str, tuple[str, str]]:
    """What each requirement means here, and what shows it."""
    known = set(wanted())
    found: dict[str, tuple[str, str]] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|") or re.match(r"\| (ID|---) \|", line):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3:
            sys.exit(f"requirements.py: three cells expected: {line}")
        if cells[0] not in known:
            sys.exit(f"requirements.py: {cells[0]} is no requirement")
        if cells[0] in found:
            sys.exit(f"requirements.py: {cells[0]} has two lines")
        found[cells[0]] = (cells[1], cells[2])
    return found


def tests_of_nextest() -> set[str]:
    command = ["cargo", "nextest", "list", "--locked", "--workspace", "--message-format", "json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    suites = json.loads(output)["rust-suites"]
    return {f"{binary} {test}" for binary, suite in suites.items() for test in suite["testcases"]}


def tests_of_cargo() -> set[str]:
    command = ["cargo", "test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-run"]
    command += ["--message-format", "json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    found = set()
    for line in output.decode().splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message.get("executable"):
            continue
        if not message["profile"]["test"]:
            continue
        package = Path(message["manifest_path"]).parent.name
        package = f"exequatur-{package}"
        target = message["target"]
        kind = target["kind"][0]
        binary = {"lib": package, "bin": f"{package}::bin/{target['name']}"}.get(
            kind, f"{package}::{target['name']}"
        )
        listed = subprocess.run(
            [message["executable"], "--list", "--format", "terse"], check=True, stdout=subprocess.PIPE, cwd=ROOT
        ).stdout.decode()
        for test in listed.splitlines():
            if test.endswith(": test"):
                found.add(f"{binary} {test.removesuffix(': test')}")
    return found


def main() -> int:
    table = rows()
    wrong = [f"{name} has no line" for name in wanted() if name not in table]
    tests = tests_of_nextest() if shutil.which("cargo-nextest") else tests_of_cargo()
    for name, (meaning, shown) in table.items():
        named = TEST.findall(shown)
        if not meaning or not shown:
            wrong.append(f"{name} says nothing")
        if not named and not shown.startswith("Not "):
            wrong.append(f"{name} names neither a test nor a reason that begins with `Not`")
        wrong += [f"{name}: there is no test `{test}`" for test in named if test not in tests]
        if shown.count("`exequatur-") != len(named):
            wrong.append(f"{name}: a test's name is not in the form `package::binary test::path`")
    for line in wrong:
        print(f"requirements.py: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
