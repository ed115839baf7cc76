#!/usr/bin/env python3
"""Takes one check out of the code after the other and looks at the tour: exactly the row of that check must change.

    demo_mutants.py             every patch of tests/mutants
    demo_mutants.py NAME …      these
    demo_mutants.py --check     only whether every patch still applies (in `make lint`)

A patch says before its diff which check it removes and what becomes of which rows:

    check: a proof names the method (D10)
    row: proof for another method -> 200

What follows the arrow is the answer, and after `; upstream: ` what the upstream's own record shows that it should not. Every
row that is not named must come out as the tour expects it; but where a check is about every permitted request, `row: * -> TEXT`
lets any other row change to what has the text in it. A tour in which something was too slow to be answered (503) says
nothing of the check and is made again, three times in all.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

import scratch

ROOT = scratch.ROOT
PATCHES = ROOT / "tests/mutants"
WORK = scratch.TARGET / "demo-mutants"
TREE, BUILD = WORK / "tree", WORK / "build"


def head(patch: pathlib.Path) -> tuple[str, dict[str, str]]:
    """The check, and the rows that change."""
    check, rows = "", {}
    for line in patch.read_text(encoding="utf-8").splitlines():
        if line.startswith("diff "):
            break
        if line.startswith("check: "):
            check = line.removeprefix("check: ")
        elif line.startswith("row: "):
            row, _, outcome = line.removeprefix("row: ").partition(" -> ")
            rows[row] = outcome
        elif line.strip():
            raise SystemExit(f"demo_mutants.py: {patch.name}: neither check nor row: {line}")
    if not check or not rows or not all(rows.values()):
        raise SystemExit(f"demo_mutants.py: {patch.name} names no check, or no row with its outcome")
    return check, rows


def apply(patch: pathlib.Path, *options: str, folder: pathlib.Path = ROOT) -> str | None:
    """Applies the patch; what is wrong if it does not apply."""
    # Below this folder there is no repository: paths are those of the copy.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command = ["git", "apply", *options, str(patch)]
    ran = subprocess.run(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    return ran.stderr.strip() if ran.returncode else None


def check_all(patches: list[pathlib.Path]) -> int:
    stale = 0
    for patch in patches:
        head(patch)
        wrong = apply(patch, "--check")
        if wrong:
            print(f"demo_mutants.py: {patch.name} is stale: {wrong}", file=sys.stderr)
            stale += 1
    return 1 if stale else 0


def build(what: list[str]) -> str | None:
    command = ["cargo", "build", "--locked", "-q", *what]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(BUILD)}
    ran = subprocess.run(command, cwd=TREE, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    return ran.stderr if ran.returncode else None


@dataclasses.dataclass(frozen=True)
class Outcome:
    got: str
    as_expected: bool


def tour() -> dict[str, Outcome]:
    """What became of each row. A tour that does not come to its end has no rows."""
    rows = {}
    for _ in range(3):
        rows = tour_once()
        if rows and not any(outcome.got.startswith("503") for outcome in rows.values()):
            break
    return rows


def tour_once() -> dict[str, Outcome]:
    envoy = os.environ.get("ENVOY_BIN", str(ROOT / ".tools/envoy/envoy/_bin/envoy"))
    environment = {**os.environ, "EXEQUATUR_BIN": str(BUILD / "debug/exequatur"), "ENVOY_BIN": envoy}
    ran = subprocess.run(
        [str(BUILD / "debug/tour"), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    rows = {}
    for line in ran.stdout.splitlines():
        row = json.loads(line)
        upstream = f"; upstream: {'; '.join(row['upstream'])}" if row["upstream"] else ""
        rows[row["row"]] = Outcome(row["got"] + upstream, row["as_expected"])
    if not rows:
        print(f"demo_mutants.py: the tour did not come to its end: {ran.stderr.strip()}", file=sys.stderr)
    return rows


def judge(rows: dict[str, Outcome], changed: dict[str, str]) -> list[str]:
    everywhere = changed.get("*")
    wrong = [f"no row `{row}` in the tour" for row in changed if row not in rows and row != "*"]
    for row, outcome in rows.items():
        if row in changed and outcome.got != changed[row]:
            wrong.append(f"`{row}`: {outcome.got}, not {changed[row]}")
        if row not in changed and not outcome.as_expected and not (everywhere and everywhere in outcome.got):
            wrong.append(f"`{row}` changed too: {outcome.got}")
    return wrong


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    patches = sorted(PATCHES.glob("*.patch"))
    if arguments:
        patches = [patch for patch in patches if patch.stem in arguments]
    if not patches:
        print("demo_mutants.py: no such patch", file=sys.stderr)
        return 2
    if "--check" in sys.argv[1:]:
        return check_all(patches)
    TREE.mkdir(parents=True, exist_ok=True)
    scratch.synchronise(TREE)
    broken = build(["-p", "exequatur-cli"]) or build(["-p", "exequatur-tests", "--bin", "tour"])
    if broken:
        print(f"demo_mutants.py: the tree does not build:\n{broken}", file=sys.stderr)
        return 1
    usual = tour()
    surprises = [f"{row}: {outcome.got}" for row, outcome in usual.items() if not outcome.as_expected]
    if surprises or not usual:
        print(f"demo_mutants.py: the tour fails without any patch: {'; '.join(surprises)}", file=sys.stderr)
        return 1
    print(f"{'check removed':<28}{'row':<60}{'without the patch':<40}{'with it':<40}{'s':>5}")
    failures, nothing = [], Outcome("nothing", False)
    for patch in patches:
        began = time.monotonic()
        _, changed = head(patch)
        scratch.synchronise(TREE)
        wrong = apply(patch, folder=TREE)
        problem = f"stale: {wrong}" if wrong else build(["-p", "exequatur-cli"])
        rows = {} if problem else tour()
        wrongs = [problem] if problem else judge(rows, changed)
        seconds = f"{time.monotonic() - began:>5.0f}"
        for number, row in enumerate(changed):
            name = patch.stem if number == 0 else ""
            got = rows.get(row, nothing).got.partition("; upstream: ")
            shown = f"{got[0]}, upstream sees" if got[1] else got[0]
            print(f"{name:<28}{row:<60}{usual.get(row, nothing).got:<40}{shown:<40}{seconds}", flush=True)
            if got[1]:
                print(f"{'':<28}    {got[2]}", flush=True)
        failures.extend(f"{patch.stem}: {wrong}" for wrong in wrongs)
        for wrong in wrongs:
            print(f"{'':<28}NOT AS THE PATCH SAYS: {wrong}", flush=True)
    scratch.synchronise(TREE)
    named = {row for patch in patches for row in head(patch)[1]}
    if not arguments:
        refused = {row for row, outcome in usual.items() if not outcome.got.startswith("200")}
        failures.extend(f"no patch for the row `{row}`" for row in sorted(refused - named))
    print(f"{len(patches)} patches, {len(failures)} surprises")
    for failure in failures:
        print(f"demo_mutants.py: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
