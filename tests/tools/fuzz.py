#!/usr/bin/env python3
"""Runs the fuzz targets and prints what came of each.

    fuzz.py [target …]           fuzz these, or all
    fuzz.py --keep [target …]    afterwards add to fuzz/corpus the few inputs that reach most

FUZZ_SECONDS (600) is the time for each target, FUZZ_JOBS (1) how many run at once, FUZZ_SANITIZER (none) what they are
built with: no crate here has unsafe code, so that `address` finds only what dependencies do, at half the speed. Working
corpora, findings and logs are in target/fuzz-runs, and the results too: with FUZZ_RESUME=1 a run that was stopped goes on
with the targets that are left.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "fuzz/corpus"
TRIPLE = "x86_64-unknown-linux-gnu"
# What is kept of a corpus: small inputs, few of them. The whole repository's corpora stay below 400 KB.
KEEP_BYTES, KEEP_TOTAL = 2048, 24 * 1024


def missing() -> str | None:
    if shutil.which("rustup") is None:
        return "rustup is missing: fuzzing needs a nightly toolchain beside the pinned one (https://rustup.rs)"
    toolchains = subprocess.run(["rustup", "toolchain", "list"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if "nightly" not in toolchains:
        return "the nightly toolchain is missing: rustup toolchain install nightly --profile minimal"
    if shutil.which("cargo-fuzz") is None:
        return "cargo-fuzz is missing: cargo install cargo-fuzz --locked"
    return None


def build(sanitizer: str) -> pathlib.Path:
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz"
    command = ["cargo", "+nightly", "fuzz", "build", "-s", sanitizer, "--fuzz-dir", "fuzz", "--target", TRIPLE]
    # The folder where cargo-fuzz and this script look for the binaries.
    subprocess.run([*command, "--target-dir", str(target)], cwd=ROOT, check=True)
    return target / TRIPLE / "release"


def fuzz(name: str, binaries: pathlib.Path, runs: pathlib.Path, seconds: int) -> dict:
    corpus, findings, log = runs / "corpus" / name, runs / "findings" / name, runs / f"{name}.log"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    for finding in findings.iterdir():
        finding.unlink()
    command = [
        str(binaries / name),
        str(corpus),
        str(CORPUS / name),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
        # Seconds by the clock: the first input starts a service, on a machine that may do much else.
        "-timeout=120",
        "-rss_limit_mb=2048",
        "-max_len=8192",
        "-use_value_profile=1",
    ]
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = code = os.waitstatus_to_exitcode(status)
    text = log.read_text(encoding="utf-8", errors="replace")
    executions = re.search(r"stat::number_of_executed_units:\s+(\d+)", text)
    coverage = re.findall(r"cov: (\d+)", text)
    return {
        "target": name,
        "executions": int(executions[1]) if executions else 0,
        "seconds": round(time.monotonic() - began),
        # What a loaded machine left of them.
        "cpu": round(usage.ru_utime + usage.ru_stime),
        "coverage": int(coverage[-1]) if coverage else 0,
        "findings": sorted(finding.name for finding in findings.iterdir()),
        # libFuzzer ends with 0 unless it found something; without a statistic it never ran.
        "whole": code == 0 and executions is not None,
    }


def keep(name: str, binaries: pathlib.Path, runs: pathlib.Path) -> None:
    """Lets libFuzzer choose the inputs that add coverage, and keeps the smallest."""
    merged = runs / "merged" / name
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    command = [str(binaries / name), "-merge=1", str(merged), str(CORPUS / name), str(runs / "corpus" / name)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    total = sum(path.stat().st_size for path in (CORPUS / name).iterdir())
    for path in sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        size = path.stat().st_size
        if size <= KEEP_BYTES and total + size <= KEEP_TOTAL:
            shutil.copy(path, CORPUS / name / path.name)
            total += size


def main() -> int:
    lacking = missing()
    if lacking:
        print(f"fuzz.py: {lacking}", file=sys.stderr)
        return 2
    arguments = sys.argv[1:]
    keeping = "--keep" in arguments
    known = sorted(path.stem for path in (ROOT / "fuzz/fuzz_targets").glob("*.rs"))
    targets = [argument for argument in arguments if argument != "--keep"] or known
    unknown = sorted(set(targets) - set(known))
    if unknown:
        print(f"fuzz.py: no target {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    seconds = int(os.environ.get("FUZZ_SECONDS", "600"))
    jobs = int(os.environ.get("FUZZ_JOBS", "1"))
    runs = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz-runs"
    runs.mkdir(parents=True, exist_ok=True)
    kept = runs / "results.json"
    done = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if not os.environ.get("FUZZ_RESUME"):
        done = {name: result for name, result in done.items() if name not in targets}
    binaries = build(os.environ.get("FUZZ_SANITIZER", "none"))
    head = f"{'target':<26}{'executions':>13}{'seconds':>9}{'of CPU':>8}{'coverage':>10}  findings"
    print(head, flush=True)

    def left(name: str) -> bool:
        before = done.get(name)
        return not (before and before["whole"] and before["seconds"] >= seconds)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(fuzz, name, binaries, runs, seconds): name for name in targets if left(name)}
        for result in [done[name] for name in targets if not left(name)]:
            print_row(result)
        for future in concurrent.futures.as_completed(running):
            result = future.result()
            done[result["target"]] = result
            kept.write_text(json.dumps(done, indent=1), encoding="utf-8")
            print_row(result)
    if keeping:
        for name in targets:
            keep(name, binaries, runs)
    wrong = [name for name in targets if not done[name]["whole"]]
    executions = sum(done[name]["executions"] for name in targets)
    cpu = sum(done[name]["cpu"] for name in targets)
    print(f"{len(targets)} targets, {executions} executions, {cpu} s of CPU, {len(wrong)} with findings or broken", flush=True)
    for name in wrong:
        print(f"fuzz.py: {name}: see {runs / 'findings' / name} and {runs / name}.log", file=sys.stderr)
    return 1 if wrong else 0


def print_row(result: dict) -> None:
    findings = ", ".join(result["findings"]) or ("none" if result["whole"] else "did not run to its end")
    print(
        f"{result['target']:<26}{result['executions']:>13}{result['seconds']:>9}{result['cpu']:>8}{result['coverage']:>10}  {findings}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
