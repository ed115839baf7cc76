#!/usr/bin/env python3
"""Judges the alert rules of charts/exequatur/rules with promtool: each fires when it should, and does not just below that.

A case gives each series twice: as it is for 20 minutes, in which the alert must not fire, and as it is for the 20 minutes after
them, at the end of which it must. Besides: what each rule says of itself, and that docs/reference/alerts.md has its section.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts/exequatur/rules/exequatur.yaml"
MANUAL = ROOT / "docs/reference/alerts.md"
SEVERITIES = {"critical", "warning", "info"}
# What each section of the manual has.
PARTS = ["**Means**", "**Confirm**", "**Do**", "**Over**"]
MINUTES = 20
REPLICA = 'namespace="edge",job="gate",instance="a"'
OTHER = 'namespace="edge",job="gate",instance="b"'


def steady(value: float) -> str:
    """A gauge."""
    return f"{value}+0x{MINUTES}"


def growing(a_minute: float, start: float = 0) -> str:
    """A counter."""
    return f"{start}+{a_minute}x{MINUTES}"


def series(name: str, labels: str, below: str, above: str, replica: str = REPLICA) -> tuple[str, str]:
    return f"{name}{{{replica}{',' if labels else ''}{labels}}}", f"{below} {above}"


def gauge(name: str, below: float, above: float, labels: str = "", replica: str = REPLICA) -> tuple[str, str]:
    return series(name, labels, steady(below), steady(above), replica)


def counter(name: str, below: float, above: float, labels: str = "") -> tuple[str, str]:
    """So many a minute, and then so many."""
    return series(name, labels, growing(below), growing(above, below * MINUTES + above))


def decisions(below: float, above: float, verdict: str, reason: str) -> tuple[str, str]:
    return counter("exequatur_decisions_total", below, above, f'verdict="{verdict}",reason="{reason}"')


HERE = gauge("exequatur_build_info", 1, 1, 'version="1"')


def slow() -> list[tuple[str, str]]:
    """Of a hundred decisions one, and then two, take more than half of the deadline: 75 ms."""
    named = "exequatur_decision_duration_seconds_bucket"
    buckets = [counter(named, fast, slow, f'verdict="permit",le="{le}"') for le, fast, slow in
               [("0.01", 991, 980), ("0.05", 991, 980), ("0.1", 1000, 981), ("0.2", 1000, 1000), ("+Inf", 1000, 1000)]]
    return [*buckets, gauge("exequatur_deadline_seconds", 0.15, 0.15)]


CASES = {
    "ExequaturAbsent": [series("exequatur_build_info", 'version="1"', steady(1), f"stale _x{MINUTES}")],
    "ExequaturNotReady": [gauge("exequatur_ready", 1, 0)],
    "ExequaturFaults": [
        decisions(991, 989, "permit", "permitted"),
        decisions(9, 11, "fault", "replay_store_unavailable"),
        # Refused for want of time: another alert.
        decisions(50, 50, "fault", "overloaded"),
    ],
    "ExequaturMostDenied": [decisions(51, 49, "permit", "permitted"), decisions(50, 51, "deny", "policy_forbid")],
    "ExequaturOverloaded": [decisions(5, 7, "fault", "overloaded")],
    "ExequaturSlow": slow(),
    "ExequaturUnanswered": [
        counter("exequatur_grpc_failures_total", 0, 1, 'service="envoy.service.auth.v3.Authorization",code="Internal"'),
        counter("exequatur_grpc_failures_total", 9, 9, 'service="grpc.health.v1.Health",code="Internal"'),
    ],
    "ExequaturReloadFailed": [gauge("exequatur_reload_failed", 0, 1)],
    "ExequaturCertificateRefused": [gauge("exequatur_certificate_refused", 0, 1, 'listener="grpc"')],
    # The clock of promtool begins at 0: 40 minutes later a week is left, or a second less.
    "ExequaturCertificateEnds": [
        gauge("exequatur_certificate_expires_timestamp_seconds", 7 * 86400 + 1201, 7 * 86400 + 1200, 'listener="grpc"'),
        gauge("exequatur_certificate_lifetime_seconds", 90 * 86400, 90 * 86400, 'listener="grpc"'),
    ],
    # One that is given out for a day is renewed in time with less than a week left.
    "ExequaturCertificateEnds brief": [
        gauge("exequatur_certificate_expires_timestamp_seconds", 4320 * 4 + 1201, 4320 * 4 + 1200, 'listener="admin"'),
        gauge("exequatur_certificate_lifetime_seconds", 86400, 86400, 'listener="admin"'),
    ],
    "ExequaturGenerationsDiffer": [
        gauge("exequatur_generation_fingerprint", 17, 17),
        gauge("exequatur_generation_fingerprint", 17, 18, replica=OTHER),
        # Another installation has other rules.
        gauge("exequatur_generation_fingerprint", 9, 9, replica='namespace="test",job="gate",instance="c"'),
    ],
    # The clock of promtool begins at 0.
    "ExequaturClockOff": [("exequatur_time_seconds{" + REPLICA + "}", f"1.9+60x{MINUTES} 1262.1+60x{MINUTES}")],
    "ExequaturRestarts": [
        # Two within 20 minutes, and then a third one.
        series("process_start_time_seconds", "", "1 1 2 2 3" + " 3" * (MINUTES - 4), steady(4)),
        HERE,
        series("process_start_time_seconds", "", growing(1), growing(1), 'namespace="edge",job="other",instance="o"'),
    ],
    "ExequaturConnections": [gauge("exequatur_grpc_connections", 820, 821), counter("exequatur_grpc_connections_refused_total", 0, 0)],
    "ExequaturConnections refused": [gauge("exequatur_grpc_connections", 3, 3), counter("exequatur_grpc_connections_refused_total", 0, 1)],
    "ExequaturDescriptors": [gauge("process_open_fds", 80, 81), gauge("process_max_fds", 100, 100), HERE],
    "ExequaturKeysUnusable": [gauge("exequatur_issuer_keys_usable", 1, 0, 'issuer="corp"')],
    "ExequaturKeysOld": [gauge("exequatur_issuer_keys_age_seconds", 1800, 1801, 'issuer="corp"')],
    "ExequaturStatusListMissing": [gauge("exequatur_status_lists", 0, 1, 'issuer="corp",state="missing"')],
    "ExequaturStoreLost": [gauge("exequatur_store_up", 1, 0)],
    # Of two interruptions promtool sees 2 in 15 minutes, of three 3.
    "ExequaturReplayDoubt": [series("exequatur_store_interruptions_total", "", "0 0 0 0 0 0 0 0 1" + " 1" * 12, f"1 1 1 1 1 1 1 2 3 4 4 4 4 4 4 4 4 4 4 4 4")],
    "ExequaturLimitsLocal": [counter("exequatur_limits_local_total", 0, 1)],
    "ExequaturStateStale": [gauge("exequatur_revocations_known", 1, 0)],
    "ExequaturRevocationLag": [gauge("exequatur_revocations_age_seconds", 2, 2.1)],
    "ExequaturRevocationsBehind": [
        gauge("exequatur_revocations_position", 7, 8),
        gauge("exequatur_revocations_position", 7, 7, replica=OTHER),
        gauge("exequatur_revocations_known", 1, 1),
        gauge("exequatur_revocations_known", 1, 1, replica=OTHER),
    ],
    "ExequaturRevocationsDegraded": [gauge("exequatur_revocations_degraded", 0, 1)],
    "ExequaturRevocationsNotKept": [gauge("exequatur_revocations_not_kept", 0, 1)],
    "ExequaturSignalsStreamOff": [gauge("exequatur_signals_stream_enabled", 1, 0, 'stream="idp"')],
    "ExequaturSignalsPollsFail": [
        counter("exequatur_signals_polls_total", 5, 5, 'stream="idp",outcome="failed"'),
        counter("exequatur_signals_polls_total", 1, 0, 'stream="idp",outcome="answered"'),
    ],
    "ExequaturRecordGaps": [counter("exequatur_record_gaps_total", 0, 1)],
    "ExequaturRecordQueue": [gauge("exequatur_record_queue_length", 50, 51), gauge("exequatur_record_queue_capacity", 100, 100)],
    "ExequaturRecordSinkDown": [gauge("exequatur_record_sink_up", 1, 0, 'sink="siem"')],
    "ExequaturRecordSinkGaps": [counter("exequatur_record_sink_gaps_total", 0, 1, 'sink="siem"')],
    "ExequaturCheckpointsLate": [
        counter("exequatur_record_lines_total", 10, 10),
        counter("exequatur_record_lines_summed_up_total", 1, 0),
    ],
    "ExequaturCheckpointsLate idle": [
        # The last checkpoint sums up the last line: nothing to do.
        counter("exequatur_record_lines_total", 0, 10),
        counter("exequatur_record_lines_summed_up_total", 0, 0),
    ],
    "ExequaturCheckpointsUnsigned": [gauge("exequatur_record_checkpoints_signed", 1, 0)],
    "ExequaturOutcomesMissing": [
        decisions(60, 60, "permit", "permitted"),
        counter("exequatur_outcomes_total", 1, 0, 'result="kept"'),
        gauge("exequatur_outcome_streams", 2, 0),
    ],
    "ExequaturOutcomesLost": [
        counter("exequatur_outcomes_total", 0, 1, 'result="queue_full"'),
        counter("exequatur_outcomes_total", 9, 9, 'result="denied"'),
    ],
    "ExequaturSpansDropped": [
        counter("exequatur_spans_dropped_total", 0, 1, 'cause="failed"'),
        # More than are made in a second, as configured.
        counter("exequatur_spans_dropped_total", 9, 9, 'cause="rate"'),
    ],
    "ExequaturAdminStrangers": [counter("exequatur_admin_strangers_total", 2, 2.2)],
}
# Never: who has no outcomes, and who is asked next to nothing, is not called.
QUIET = {
    # It does not know what is revoked, denies everybody, and is called for that.
    "ExequaturRevocationsBehind": [
        gauge("exequatur_revocations_position", 1_800_000_000_000_000, 1_800_000_000_000_000),
        gauge("exequatur_revocations_position", 0, 0, replica=OTHER),
        gauge("exequatur_revocations_known", 1, 1),
        gauge("exequatur_revocations_known", 0, 0, replica=OTHER),
    ],
    "ExequaturOutcomesMissing": [
        decisions(60, 60, "permit", "permitted"),
        counter("exequatur_outcomes_total", 0, 0, 'result="kept"'),
        gauge("exequatur_outcome_streams", 0, 0),
    ],
    "ExequaturFaults": [decisions(9, 9, "permit", "permitted"), decisions(0, 1, "fault", "state_stale")],
    # What is extrapolated of two is more than 2.
    "ExequaturReplayDoubt": [series("exequatur_store_interruptions_total", "", steady(0), "0 0 0 1 2" + " 2" * (MINUTES - 4))],
    "ExequaturMostDenied": [decisions(0, 0, "permit", "permitted"), decisions(1, 59, "deny", "credentials_missing")],
    "ExequaturRestarts": [series("process_start_time_seconds", "", growing(1), growing(1, 100))],
}


def test(alert: str, given: list[tuple[str, str]], fires: bool) -> dict:
    def firing(minutes: int, count: int) -> dict:
        expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
        return {"expr": expr, "eval_time": f"{minutes}m", "exp_samples": [{"labels": "{}", "value": count}]}

    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in given],
        "promql_expr_test": [firing(MINUTES, 0), firing(2 * MINUTES + 1, int(fires))],
    }


def stated(text: str) -> tuple[list[str], list[str]]:
    """The alerts, and what is wrong with what they say. (The file is plain enough to be read without a YAML library.)"""
    wrong, names = [], []
    manual = MANUAL.read_text(encoding="utf-8")
    for rule in text.split("      - alert: ")[1:]:
        name = rule.split("\n", 1)[0]
        names.append(name)
        severity = re.search(r"severity: (\w+) ", rule)
        if severity is None or severity.group(1) not in SEVERITIES:
            wrong.append(f"{name}: no severity of {sorted(SEVERITIES)}")
        wrong += [f"{name}: no {part}" for part in ("summary", "description") if not re.search(rf"^          {part}: \S", rule, re.M)]
        if f"          runbook_url: docs/reference/alerts.md#{name.lower()}\n" not in rule:
            wrong.append(f"{name}: runbook_url is not docs/reference/alerts.md#{name.lower()}")
        section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", manual, re.M | re.S)
        missing = PARTS if section is None else [part for part in PARTS if part not in section.group(1)]
        wrong += [f"docs/reference/alerts.md: {name} has no {part}" for part in missing]
    wrong += [f"docs/reference/alerts.md has {name}, which is no alert" for name in re.findall(r"^### (\w+)$", manual, re.M) if name not in names]
    return names, wrong


def main() -> int:
    names, wrong = stated(RULES.read_text(encoding="utf-8"))
    tested = {case.split()[0] for case in CASES}
    wrong += [f"{name} has no case" for name in sorted(set(names) ^ tested)]
    tests = [test(case.split()[0], given, True) for case, given in CASES.items()]
    tests += [test(alert, given, False) for alert, given in QUIET.items()]
    wrong += promtool(tests)
    for line in wrong:
        print(f"alerts: {line}", file=sys.stderr)
    return 1 if wrong else 0


def promtool(tests: list[dict]) -> list[str]:
    """What promtool finds wrong. A machine that cannot have it is told so, and checks the rest."""
    fetched = subprocess.run([ROOT / "tests/tools/prometheus.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if fetched.returncode:
        print("alerts: NOT judged by promtool, which could not be had", file=sys.stderr)
        return []
    programs, wrong = fetched.stdout.strip(), []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.yaml"
        # JSON is YAML.
        whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
        file.write_text(json.dumps(whole), encoding="utf-8")
        for command in (["check", "rules", str(RULES)], ["test", "rules", str(file)]):
            judged = subprocess.run([f"{programs}/promtool", *command], capture_output=True, text=True, check=False)
            if judged.returncode:
                wrong.append(f"promtool {' '.join(command[:2])}:\n{judged.stdout}{judged.stderr}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
