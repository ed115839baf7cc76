#!/usr/bin/env python3
"""Changes the code in many small ways and sees whether a unit or property test notices (cargo-mutants).

    mutants.py            whatever has no result yet, survivors that are not listed, and time-outs
    mutants.py FILE …     these files, again and whole
    mutants.py --list     what would be tried, and which results are there

Files of COMPLETE are tried with every mutant, those below SAMPLED with every fifth. A mutant is first shown to the tests
of its own crate, and if it survives them to those of the crates above. One that survives all must be in
tests/mutants/survivors.txt with the reason why; a line there that no longer survives is told.

Results are kept per file in target/mutants/results as long as the file stays the same, so that a run that was stopped goes
on where it was. The work is done in a copy of the tree, target/mutants/tree. A time-out is a fixed 300 s for tests that take
seconds, so that a loaded machine kills nothing.
"""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import scratch

ROOT = scratch.ROOT
WORK = scratch.TARGET / "mutants"
TREE, RESULTS = WORK / "tree", WORK / "results"
SURVIVORS = ROOT / "tests/mutants/survivors.txt"

# Proof, binding, replay, what the policies are asked and what they answered, and the construction of a permit.
COMPLETE = [
    "crates/token/src/proof.rs",
    "crates/token/src/proof/*.rs",
    "crates/token/src/binding.rs",
    "crates/token/src/confirmation.rs",
    "crates/store/src/live.rs",
    "crates/store/src/embedded.rs",
    "crates/store/src/replay.rs",
    "crates/decide/src/admit.rs",
    "crates/decide/src/settle.rs",
    "crates/decide/src/check.rs",
    "crates/policy/src/answers.rs",
    "crates/policy/src/needs.rs",
    "crates/policy/src/slice.rs",
    "crates/policy/src/subject.rs",
    "crates/server/src/service.rs",
    "crates/server/src/wire/extract.rs",
    "crates/server/src/wire/headers.rs",
    "crates/server/src/wire/respond.rs",
    "crates/server/src/workers/budget.rs",
    "crates/server/src/workers/metered.rs",
    "crates/server/src/workers/queue.rs",
]
SAMPLED = ["crates/token/src/**/*.rs", "crates/decide/src/**/*.rs", "crates/store/src/**/*.rs"]
EVERY = 5
# The contract of stores is itself a test; testing.rs and tests.rs are compiled for tests only.
EXCEPT = re.compile(r"crates/store/src/contract\.rs|/tests?/|/tests\.rs$|/testing\.rs$")

# The tests that a mutant has to survive, one after the other: packages, and arguments to `cargo test`. First the quick ones
# of its own crate, then all of them, then those of the crates above.
QUICK = ["--lib", "--", "--skip=::flips::", "--skip=one_changed_character"]
LINE = (["exequatur-decide"], ["--lib", "--test", "line"])
CORPORA = (["exequatur-tests"], ["--test", "corpora"])
STAGES = {
    "token": [(["exequatur-token"], QUICK), (["exequatur-token"], ["--lib"]), LINE],
    "store": [(["exequatur-store"], ["--lib"]), LINE],
    "policy": [(["exequatur-policy"], ["--lib"]), LINE, CORPORA],
    "decide": [(["exequatur-decide"], ["--lib"]), LINE, CORPORA],
    "server": [(["exequatur-server"], ["--lib", "--", "wire::"]), (["exequatur-server"], ["--lib"]), CORPORA],
}
ENVIRONMENT = {
    "CARGO_TARGET_DIR": str(WORK / "build"),
    "CARGO_INCREMENTAL": "1",
    # The same cases every time: whether a mutant survives must not depend on luck.
    "PROPTEST_RNG_SEED": "20261122",
    "PROPTEST_MAX_SHRINK_ITERS": "0",
    "PROPTEST_FAILURE_PERSISTENCE": "off",
    "RUST_BACKTRACE": "0",
}
KILLED, TIMED_OUT, SURVIVED, NOT_COMPILED = "killed", "timed out", "survived", "not compiled"
SUMMARIES = {
    "CaughtMutant": KILLED,
    # A test that does not end is a test that fails, and is told apart: a machine that stood still looks the same.
    "Timeout": TIMED_OUT,
    "MissedMutant": SURVIVED,
    "Unviable": NOT_COMPILED,
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    column: int
    # As cargo-mutants names it, place included.
    name: str
    # What is changed, and the source line that it is changed in: stays the same when lines move.
    key: str


def crate(file: str) -> str:
    return file.split("/")[1]


def files() -> dict[str, bool]:
    """Each file that is looked at, and whether completely."""
    complete = {str(path.relative_to(ROOT)) for pattern in COMPLETE for path in ROOT.glob(pattern)}
    sampled = {str(path.relative_to(ROOT)) for pattern in SAMPLED for path in ROOT.glob(pattern)}
    return {file: file in complete for file in sorted(complete | sampled) if not EXCEPT.search(file)}


def cargo_mutants(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["cargo", "mutants", "--no-config", "-d", str(TREE), *arguments],
        cwd=TREE,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def mutants_of(file: str, complete: bool) -> list[Mutant]:
    listed = cargo_mutants("--list", "--json", "-f", file)
    if listed.returncode != 0:
        raise SystemExit(f"mutants.py: {file}: {listed.stderr}")
    source = (TREE / file).read_text(encoding="utf-8").splitlines()
    mutants = []
    for entry in json.loads(listed.stdout):
        start = entry["span"]["start"]
        what = entry["name"].split(": ", 1)[1]
        key = f"{what} | {source[start['line'] - 1].strip()}"
        mutants.append(Mutant(file, start["line"], start["column"], entry["name"], key))
    mutants.sort(key=lambda mutant: (mutant.line, mutant.column, mutant.name))
    return mutants if complete else mutants[::EVERY]


def test(mutants: list[Mutant], packages: list[str], arguments: list[str]) -> dict[str, str]:
    """What became of each, by name."""
    # cargo-mutants' own baseline would give these arguments to other packages.
    selected = [argument for package in packages for argument in ("-p", package)]
    baseline = subprocess.run(
        ["cargo", "test", "-q", *selected, *arguments],
        cwd=TREE,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if baseline.returncode != 0:
        raise SystemExit(f"mutants.py: the tests fail without any mutant:\n{baseline.stdout}")
    output = WORK / "output"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    chosen = [argument for mutant in mutants for argument in ("-F", f"^{re.escape(mutant.name)}$")]
    ran = cargo_mutants(
        *("--in-place", "--no-shuffle", "--colors", "never"),
        *("--baseline", "skip", "--timeout", "300", "--build-timeout", "1800", "-o", str(output)),
        *("-f", mutants[0].file, *chosen),
        *("--test-package", ",".join(packages)),
        *("--", *arguments),
    )
    outcomes = output / "mutants.out/outcomes.json"
    # 2: some survived; 3: some timed out. Anything else than 0 to 3 is no result.
    if ran.returncode not in (0, 2, 3) or not outcomes.exists():
        raise SystemExit(f"mutants.py: {mutants[0].file}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    found = {}
    for outcome in json.loads(outcomes.read_text(encoding="utf-8"))["outcomes"]:
        if outcome["scenario"] != "Baseline":
            found[outcome["scenario"]["Mutant"]["name"]] = SUMMARIES[outcome["summary"]]
    missing = [mutant.name for mutant in mutants if mutant.name not in found]
    if missing:
        raise SystemExit(f"mutants.py: no result for {missing}")
    return found


def try_file(file: str, complete: bool, digest: str, known: dict[str, str]) -> dict:
    """Tries the file's mutants, except those whose outcome is known by name."""
    mutants = mutants_of(file, complete)
    found = dict(known)
    left = [mutant for mutant in mutants if mutant.name not in found]
    for packages, arguments in STAGES[crate(file)]:
        if left:
            found.update(test(left, packages, arguments))
        left = [mutant for mutant in left if found[mutant.name] == SURVIVED]
    outcomes = [
        {"name": mutant.name, "key": mutant.key, "line": mutant.line, "outcome": found[mutant.name]}
        for mutant in mutants
    ]
    return {"file": file, "digest": digest, "complete": complete, "outcomes": outcomes}


def digest_of(file: str, complete: bool, tree: pathlib.Path = ROOT) -> str:
    plan = f"{complete} {EVERY} {STAGES[crate(file)]}"
    return hashlib.sha256((tree / file).read_bytes() + plan.encode()).hexdigest()


def kept(file: str, complete: bool) -> dict | None:
    path = RESULTS / (file.replace("/", "__") + ".json")
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result if result["digest"] == digest_of(file, complete) else None


def keep(result: dict) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / (result["file"].replace("/", "__") + ".json")
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")


def allowed() -> dict[tuple[str, str], str]:
    """The listed survivors: a block of `file:`, `mutant:` and `reason:` each."""
    survivors = {}
    text = re.sub(r"^#.*\n", "", SURVIVORS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n", text.strip()):
        if not block.strip():
            continue
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if set(fields) != {"file", "mutant", "reason"} or not fields["reason"].strip():
            raise SystemExit(f"mutants.py: {SURVIVORS.name}: not file, mutant and reason:\n{block}")
        survivors[fields["file"], fields["mutant"]] = fields["reason"]
    return survivors


def main() -> int:
    arguments = sys.argv[1:]
    plan = files()
    known = allowed()
    gone = sorted({file for file, _ in known} - set(plan))
    if gone:
        raise SystemExit(f"mutants.py: {SURVIVORS.name} names files that are not looked at: {gone}")
    unknown = [argument for argument in arguments if argument != "--list" and argument not in plan]
    if unknown:
        raise SystemExit(f"mutants.py: not looked at: {unknown}")
    if "--list" in arguments:
        for file, complete in plan.items():
            print(f"{'complete' if complete else 'sampled':<9} {'result' if kept(file, complete) else '-':<7} {file}")
        return 0
    if shutil.which("cargo-mutants") is None:
        print("mutants.py: cargo-mutants is missing: cargo install cargo-mutants --locked", file=sys.stderr)
        return 2
    TREE.mkdir(parents=True, exist_ok=True)
    scratch.synchronise(TREE)
    print(
        f"{'file':<44}{'':<9}{'mutants':>8}{'killed':>8}{'timed out':>10}"
        f"{'survived':>9}{'listed':>8}{'not compiled':>13}"
    )
    totals = {True: collections.Counter(), False: collections.Counter()}
    wrong, surviving, judged = [], set(), set()
    for file, complete in plan.items():
        if arguments and file not in arguments:
            continue
        result = kept(file, complete)
        settled = {}
        if result is not None and not arguments:
            # A survivor that is not listed may have met its test by now; a time-out may have been the machine's.
            settled = {
                each["name"]: each["outcome"]
                for each in result["outcomes"]
                if each["outcome"] in (KILLED, NOT_COMPILED)
                or (each["outcome"] == SURVIVED and (file, each["key"]) in known)
            }
        if result is None or len(settled) < len(result["outcomes"]):
            result = try_file(file, complete, digest_of(file, complete, TREE), settled)
            keep(result)
        count = collections.Counter(each["outcome"] for each in result["outcomes"])
        listed = 0
        for each in result["outcomes"]:
            judged.add((file, each["key"]))
            if each["outcome"] == SURVIVED:
                surviving.add((file, each["key"]))
                if (file, each["key"]) in known:
                    listed += 1
                else:
                    wrong.append(f"{file}:{each['line']}: {each['key']}")
        print(
            f"{file:<44}{'' if complete else 'sampled':<9}{count.total():>8}{count[KILLED]:>8}{count[TIMED_OUT]:>10}"
            f"{count[SURVIVED]:>9}{listed:>8}{count[NOT_COMPILED]:>13}",
            flush=True,
        )
        totals[complete].update(count)
    for complete, count in totals.items():
        word = "complete" if complete else "sampled"
        print(
            f"{word}: {count.total()} mutants, {count[KILLED]} killed, {count[TIMED_OUT]} timed out, "
            f"{count[SURVIVED]} survived, {count[NOT_COMPILED]} did not compile"
        )
    for file, key in sorted((known.keys() & judged) - surviving):
        print(f"no longer survives, take it from {SURVIVORS.name}: {file}: {key}")
    for line in wrong:
        print(f"mutants.py: survived, and is not listed: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
