#!/usr/bin/env python3
"""Writes the Grafana dashboards of charts/exequatur/dashboards; `--check` says whether they are as they are written here."""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "charts/exequatur/dashboards"
METRICS = ROOT / "docs/reference/metrics.md"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
# Alerts have the labels of their rules: not each has an instance, and one has none at all.
FIRING = 'ALERTS{alertname=~"Exequatur.+",alertstate="firing",namespace=~"$namespace|",job=~"$job|"}'
WIDTH = 24
Panel = dict[str, Any]
# A query, what its series are called, and whether it is a bound and no measurement.
Query = tuple[str, str, bool]


def query(expression: str, legend: str = "{{instance}}", bound: bool = False) -> Query:
    """`OF` stands for the chosen replicas, `RATE` for the span of rates."""
    return expression.replace("{OF", "{" + OF).replace("RATE", "$__rate_interval"), legend, bound


def happened(expression: str, legend: str, named: str) -> Query:
    """Only what happened, of all that can; where nothing did, a line of zeros whose label `named` says so."""
    nothing = f'label_replace(vector(0), "{named}", "nothing", "", "")'
    return query(f"({expression} > 0) or on () {nothing}", legend)


def most(count: int, by: str, name: str, of: str = "") -> Query:
    """The rates of those that came most often over the whole time that is shown, always the same ones."""
    chosen = f"topk({count}, sum by ({by}) (increase({name}{{OF{of}}}[$__range] @ end())))"
    return query(f"sum by ({by}) (rate({name}{{OF{of}}}[RATE])) and {chosen}", " ".join(f"{{{{{label}}}}}" for label in by.split(", ")))


def targets(queries: list[Query], instant: bool) -> list[Panel]:
    return [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
         "editorMode": "code", "instant": instant, "range": not instant}
        for number, (expr, legend, _) in enumerate(queries)
    ]


def steps(*colours: tuple[str, float | None]) -> Panel:
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in colours]}


def dashed(name: str) -> Panel:
    """A bound, by the name of its series."""
    properties = {"color": {"mode": "fixed", "fixedColor": "red"}, "custom.lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom.fillOpacity": 0}
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": id, "value": value} for id, value in properties.items()]}


def over_time(title: str, unit: str, *queries: Query, text: str = "", width: int = 8, top: float | None = None,
              stacked: bool = False, line: float | None = None, least: float | None = 0) -> Panel:
    """`line` is where an alert begins."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if stacked else 5, "showPoints": "auto", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
              "thresholdsStyle": {"mode": "off" if line is None else "dashed"}}
    thresholds = steps(("transparent", None), *([] if line is None else [("red", line)]))
    defaults = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}, "thresholds": thresholds}
    defaults |= {name: value for name, value in (("min", least), ("max", top)) if value is not None}
    return {
        "type": "timeseries", "title": title, "description": text, "datasource": SOURCE, "targets": targets(list(queries), False),
        "fieldConfig": {"defaults": defaults, "overrides": [dashed(legend) for _, legend, bound in queries if bound]},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": True},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
        "gridPos": {"w": width, "h": 8},
    }


def now(title: str, unit: str, expression: str, *, bad_above: float | None = None, bad_below: float | None = None, text: str = "") -> Panel:
    """One number: green, or red when it is not well (from `bad_above` on, below `bad_below`)."""
    if bad_below is not None:
        thresholds = steps(("red", None), ("green", bad_below))
    else:
        thresholds = steps(("green", None), *([] if bad_above is None else [("red", bad_above)]))
    return {
        "type": "stat", "title": title, "description": text, "datasource": SOURCE,
        "targets": targets([query(expression, "")], True),
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": thresholds}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "background",
                    "graphMode": "none", "justifyMode": "auto", "textMode": "auto"},
        "gridPos": {"w": 4, "h": 3},
    }


def states(title: str, text: str, *queries: Query, height: int = 7) -> Panel:
    """A bar for each series, while it is there; red from 1 on."""
    return {
        "type": "state-timeline", "title": title, "description": text, "datasource": SOURCE, "targets": targets(list(queries), False),
        "fieldConfig": {"defaults": {"unit": "none", "thresholds": steps(("green", None), ("red", 1)), "color": {"mode": "thresholds"},
                                     "custom": {"fillOpacity": 80, "lineWidth": 0}}, "overrides": []},
        "options": {"mergeValues": True, "showValue": "never", "rowHeight": 0.85, "alignValue": "left",
                    "legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": False},
                    "tooltip": {"mode": "single", "sort": "none"}},
        "gridPos": {"w": WIDTH, "h": height},
    }


def row(title: str) -> Panel:
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": WIDTH, "h": 1}}


def board(uid: str, title: str, description: str, panels: list[Panel]) -> Panel:
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        place = panel["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        place |= {"x": x, "y": y}
        panel["id"] = number
        x, height = x + place["w"], max(height, place["h"])
    chosen = [("namespace", "exequatur_build_info"), ("job", 'exequatur_build_info{namespace=~"$namespace"}'),
              ("instance", 'exequatur_build_info{namespace=~"$namespace",job=~"$job"}')]
    variables = [{"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "hide": 0, "refresh": 1}]
    variables += [
        {"type": "query", "name": name, "label": name, "datasource": SOURCE, "query": f"label_values({asked}, {name})", "refresh": 2,
         "includeAll": True, "allValue": ".*", "multi": True, "sort": 1, "hide": 0,
         "current": {"text": ["All"], "value": ["$__all"]}}
        for name, asked in chosen
    ]
    links = [{"type": "dashboards", "title": "Exequatur", "tags": ["exequatur"], "asDropdown": False, "includeVars": True, "keepTime": True,
              "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}]
    return {
        "uid": uid, "title": title, "description": description, "tags": ["exequatur"], "schemaVersion": 39, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "",
        "templating": {"list": variables}, "annotations": {"list": []}, "links": links, "panels": panels,
    }


def share(of: str, all_of: str = "") -> str:
    return f"sum(rate(exequatur_decisions_total{{OF,{of}}}[RATE])) / sum(rate(exequatur_decisions_total{{OF{all_of}}}[RATE]))"


def quantile(at: float, name: str, by: str = "", of: str = "") -> str:
    return f"histogram_quantile({at}, sum by (le{by}) (rate({name}_bucket{{OF{of}}}[RATE])))"


def missing(gauge: str) -> str:
    """How many are 0 that are to be 1."""
    return f"count({gauge}{{OF}}) - sum({gauge}{{OF}})"


DURATION, STAGE = "exequatur_decision_duration_seconds", "exequatur_stage_duration_seconds"
ASKED = "exequatur_introspection_duration_seconds"
NONE_IS_ZERO = "Nothing to see is 0: all is well."
# A replica that does not know what is revoked denies everybody, and has no position to compare.
BEHIND = ("(max by (namespace, job) (exequatur_revocations_position{OF}) - on (namespace, job) group_right () exequatur_revocations_position{OF}) "
          "and on (namespace, job, instance) exequatur_revocations_known{OF} == 1")


def overview() -> Panel:
    return board("exequatur-overview", "Exequatur: overview", "Is it well, and if not, what is wrong. First rows: all green is well.", [
        now("Alerts", "none", f"count({FIRING}) or vector(0)", bad_above=1, text="That fire now, of the rules of the chart."),
        now("Replicas ready", "none", "sum(exequatur_ready{OF})", bad_below=1),
        now("Replicas not ready", "none", missing("exequatur_ready"), bad_above=1, text="Of those that are scraped: one that is gone is not among them."),
        now("Faults", "percentunit", share('verdict="fault"'), bad_above=0.01, text="Requests that no decision could be made about."),
        now("Denied", "percentunit", share('verdict="deny"'), bad_above=0.5),
        now("p99 of the deadline", "percentunit", f"{quantile(0.99, DURATION)} / max(exequatur_deadline_seconds{{OF}})", bad_above=0.5,
            text="How much of its time the slowest of a hundred decisions takes."),
        now("Without store", "none", missing("exequatur_store_up"), bad_above=1),
        now("Revocations heard", "s", "max(exequatur_revocations_age_seconds{OF})", bad_above=2, text="The longest silence of any replica."),
        now("Issuers without keys", "none", missing("exequatur_issuer_keys_usable"), bad_above=1, text="Counted at each replica."),
        now("Reloads refused", "none", "sum(exequatur_reload_failed{OF})", bad_above=1, text="Replicas that refuse the files as they are now."),
        now("Sets of rules", "none", 'max(count by (namespace, job) (count_values by (namespace, job) ("rules", exequatur_generation_fingerprint{OF})))', bad_above=2,
            text="By which replicas of one installation decide: 1 is well."),
        now("Without a record", "none", "sum(increase(exequatur_record_gaps_total{OF}[5m]))", bad_above=1, text="Decisions of the last five minutes."),
        states("Alerts", "What fires, of the rules of the chart. Each has a section in docs/reference/alerts.md.",
               query(f"max by (alertname, severity, instance, issuer, stream) ({FIRING})", "{{alertname}} {{instance}} {{issuer}} {{stream}}"),
               query(f"vector(0) unless on () {FIRING}", "nothing fires")),
        over_time("Decisions", "reqps", query("sum by (verdict) (rate(exequatur_decisions_total{OF}[RATE]))", "{{verdict}}"), stacked=True),
        over_time("Why denied", "reqps", most(10, "reason", "exequatur_decisions_total", ',verdict="deny"'), text="The ten reasons that are given most often in this time."),
        over_time("Why no decision (faults)", "reqps", happened('sum by (reason) (rate(exequatur_decisions_total{OF,verdict="fault"}[RATE]))', "{{reason}}", "reason"), text=NONE_IS_ZERO),
        over_time("Time of a decision", "s", query(quantile(0.5, DURATION), "p50"), query(quantile(0.99, DURATION), "p99"),
                  query(quantile(0.999, DURATION), "p99.9"), query("max(exequatur_deadline_seconds{OF})", "deadline", True), text="Up to 0.2 s, the last bucket."),
        over_time("p99 of each stage", "s", query(quantile(0.99, STAGE, ", stage"), "{{stage}}"), text="Which part is slow."),
        over_time("Mean time of each stage", "s", query(f"sum by (stage) (rate({STAGE}_sum{{OF}}[RATE])) / (sum by (stage) (rate({STAGE}_count{{OF}}[RATE])) > 0)", "{{stage}}"), stacked=True),
        over_time("Waiting or under way", "none", query("sum by (instance) (exequatur_queue_length{OF})")),
        over_time("Processor", "none", query("rate(process_cpu_seconds_total{OF}[RATE])"), text="In cores; `workers` is about the most."),
        over_time("Memory", "bytes", query("process_resident_memory_bytes{OF}")),
        over_time("gRPC connections", "none", query("exequatur_grpc_connections{OF}"), line=820, text="At most 1024."),
        over_time("Answers that are none; connections refused", "cps",
                  happened('sum by (service, code) (rate(exequatur_grpc_failures_total{OF}[RATE]))', "{{service}} {{code}}", "code"),
                  query("sum(rate(exequatur_grpc_connections_refused_total{OF}[RATE]))", "no room"),
                  query("sum by (kind) (rate(exequatur_grpc_strangers_total{OF}[RATE]))", "stranger: {{kind}}"), text="Envoy takes them for errors, and denies."),
        over_time("File descriptors in use", "percentunit", query("process_open_fds{OF} / process_max_fds{OF}"), top=1, line=0.8),
        over_time("Known tokens", "percentunit", query('sum by (instance) (rate(exequatur_token_cache_total{OF,result="hit"}[RATE])) / sum by (instance) (rate(exequatur_token_cache_total{OF}[RATE]))'), top=1),
        over_time("Rules in force", "none", query("exequatur_generation{OF}"), text="The number of the generation; it rises with each change, and begins at 1 with each process."),
        over_time("Running for", "s", query("exequatur_time_seconds{OF} - process_start_time_seconds{OF}"), text="Falls to 0 with each start."),
        over_time("Tenants", "reqps", most(10, "tenant, verdict", "exequatur_tenant_decisions_total"), width=12),
        over_time("Clock", "s", query("exequatur_time_seconds{OF} - timestamp(exequatur_time_seconds{OF})"), text="Against that of Prometheus; from 2 s on, either way, it is off.", width=12, line=2, least=None),
    ])


def state() -> Panel:
    return board("exequatur-state", "Exequatur: store, revocations, limits, issuers", "What decisions rest on.", [
        row("Store"),
        over_time("Store can be used", "none", query("exequatur_store_up{OF}"), top=1),
        over_time("Interruptions of the store", "none", query("increase(exequatur_store_interruptions_total{OF}[RATE])"), text=NONE_IS_ZERO),
        over_time("p99 of admission (the store's round trip)", "s", query(quantile(0.99, STAGE, ", instance", ',stage="admit"'))),
        over_time("Limited", "reqps", query('sum(rate(exequatur_decisions_total{OF,reason="rate_limited"}[RATE])) or vector(0)', "refused"),
                  query("sum(rate(exequatur_limits_local_total{OF}[RATE]))", "counted by a replica alone"), text=NONE_IS_ZERO),
        over_time("Replays and doubt", "reqps", happened('sum by (reason) (rate(exequatur_decisions_total{OF,reason=~"dpop_replay|dpop_nonce_required"}[RATE]))', "{{reason}}", "reason"), text=NONE_IS_ZERO),
        over_time("Proofs that the embedded store remembers", "none", query("exequatur_store_live_proofs{OF}"), text="Of replicas without Redis."),
        row("Revocations and limits"),
        over_time("Revocations were heard of", "s", query("exequatur_revocations_age_seconds{OF}"), line=2, text="So late is a revocation at most."),
        over_time("Changes that a replica lacks", "none", query(BEHIND), text=f"Of those that know what is revoked. {NONE_IS_ZERO}"),
        over_time("Not known, degraded, not kept", "none", query("1 - exequatur_revocations_known{OF}", "{{instance}} not known"), query("exequatur_revocations_degraded{OF}", "{{instance}} degraded"),
                  query("exequatur_revocations_not_kept{OF}", "{{instance}} not kept"), top=1, text=NONE_IS_ZERO),
        over_time("Revocations in force", "none", query("exequatur_revocations{OF}"), width=12),
        over_time("Limits set otherwise, attributes of subjects", "none", query("exequatur_limit_overrides{OF}", "{{instance}} limits"), query("exequatur_subject_attributes{OF}", "{{instance}} attributes"), width=12),
        row("Issuers"),
        over_time("Keys can be used", "none", query("exequatur_issuer_keys_usable{OF}", "{{instance}} {{issuer}}"), top=1),
        over_time("Age of keys", "s", query("exequatur_issuer_keys_age_seconds{OF}", "{{instance}} {{issuer}}"), text="Loaded anew every `refresh`; not used from `max_stale` on."),
        over_time("Loads of keys", "none", happened("sum by (issuer, outcome) (increase(exequatur_issuer_fetches_total{OF}[RATE]))", "{{issuer}} {{outcome}}", "outcome")),
        over_time("Status lists", "none", query("sum by (issuer, state) (exequatur_status_lists{OF})", "{{issuer}} {{state}}"), text="`missing`: their holders are answered 503."),
        over_time("Age of the oldest status list", "s", query("exequatur_status_list_age_seconds{OF}", "{{instance}} {{issuer}}")),
        over_time("Loads of status lists", "none", happened("sum by (issuer, outcome) (increase(exequatur_status_list_fetches_total{OF}[RATE]))", "{{issuer}} {{outcome}}", "outcome")),
        over_time("Introspection", "reqps", happened("sum by (issuer, outcome) (rate(exequatur_introspections_total{OF}[RATE]))", "{{issuer}} {{outcome}}", "outcome")),
        over_time("p99 of introspection", "s", query(quantile(0.99, ASKED, ", issuer"), "{{issuer}}")),
        over_time("Introspections under way", "none", query("exequatur_introspections_in_flight{OF}", "{{instance}} {{issuer}}")),
        row("Security events"),
        over_time("Streams that are on", "none", query("exequatur_signals_stream_enabled{OF}", "{{instance}} {{stream}}"), top=1),
        over_time("Events", "none", happened("sum by (stream, event, outcome) (increase(exequatur_signals_events_total{OF}[RATE]))", "{{stream}} {{event}} {{outcome}}", "outcome"),
                  happened("sum by (stream, error) (increase(exequatur_signals_refused_total{OF}[RATE]))", "{{stream}} refused: {{error}}", "error")),
        over_time("Polls", "cps", query("sum by (stream, outcome) (rate(exequatur_signals_polls_total{OF}[RATE]))", "{{stream}} {{outcome}}")),
    ])


def evidence() -> Panel:
    return board("exequatur-evidence", "Exequatur: records, outcomes, traces, orders", "Whether the evidence is whole, and what was ordered.", [
        row("Records"),
        over_time("Lines of records, and writes to the disk", "cps", query("rate(exequatur_record_lines_total{OF}[RATE])"),
                  query("rate(exequatur_record_commits_total{OF}[RATE])", "{{instance}} commits"), text="Commits are for `mode: required`: many lines in one."),
        over_time("Decisions without a record", "none", query("increase(exequatur_record_gaps_total{OF}[RATE])"), text=NONE_IS_ZERO),
        over_time("Queue of the record file", "percentunit", query("exequatur_record_queue_length{OF} / exequatur_record_queue_capacity{OF}"), top=1, line=0.5),
        over_time("Lines that no checkpoint sums up", "none", query("exequatur_record_lines_total{OF} - exequatur_record_lines_summed_up_total{OF}"), text="Falls to about 0 with each checkpoint."),
        over_time("Checkpoints are signed", "none", query("exequatur_record_checkpoints_signed{OF}"), top=1),
        over_time("p99 of handing in a record", "s", query(quantile(0.99, STAGE, ", instance", ',stage="record"'))),
        row("Sinks of records"),
        over_time("Sinks that take lines", "none", query("exequatur_record_sink_up{OF}", "{{instance}} {{sink}}"), top=1, width=6),
        over_time("Lines that sinks took", "cps", query("rate(exequatur_record_sink_lines_total{OF}[RATE])", "{{instance}} {{sink}}"), width=6),
        over_time("Lines that wait for sinks", "none", query("exequatur_record_sink_waiting_lines{OF}", "{{instance}} {{sink}}"), width=6, text="Up to `queue` of the sink; beyond that, and after some 25 s, they are missing there."),
        over_time("Lines that sinks miss", "none", query("increase(exequatur_record_sink_gaps_total{OF}[RATE])", "{{instance}} {{sink}}"), width=6, text=NONE_IS_ZERO),
        row("Outcomes and traces"),
        over_time("Outcomes", "reqps", happened("sum by (result) (rate(exequatur_outcomes_total{OF}[RATE]))", "{{result}}", "result")),
        over_time("Streams of outcomes", "none", query("exequatur_outcome_streams{OF}")),
        over_time("Permits, and outcomes kept", "reqps", query('sum(rate(exequatur_decisions_total{OF,verdict="permit"}[RATE]))', "permits"), query('sum(rate(exequatur_outcomes_total{OF,result="kept"}[RATE]))', "outcomes")),
        over_time("Spans", "cps", query("sum(rate(exequatur_spans_exported_total{OF}[RATE])) or vector(0)", "exported"), width=12),
        over_time("Spans that did not arrive", "cps", happened("sum by (cause) (rate(exequatur_spans_dropped_total{OF}[RATE]))", "{{cause}}", "cause"), width=12,
                  text="`rate`: more than `traces.max_per_second`; the others: the collector."),
        row("Orders"),
        over_time("Orders", "none", happened("sum by (action, outcome) (increase(exequatur_admin_calls_total{OF}[RATE]))", "{{action}} {{outcome}}", "outcome"), text=f"Of the admin API. {NONE_IS_ZERO}"),
        over_time("Strangers at the admin API", "none", query("sum by (instance) (increase(exequatur_admin_strangers_total{OF}[RATE]))"), text=NONE_IS_ZERO),
        over_time("Reloads", "none", query("sum by (outcome) (increase(exequatur_reloads_total{OF}[RATE]))", "{{outcome}}")),
    ])


# Metrics of docs/reference/metrics.md that no panel shows, and why.
UNSHOWN = {
    "exequatur_build_info": "the replicas to choose from are those that have it",
    "exequatur_certificate_expires_timestamp_seconds": "an alert says it in time; none where no listener has TLS",
    "exequatur_certificate_lifetime_seconds": "as above",
    "exequatur_certificate_refused": "an alert says it",
    "exequatur_duties_lost_total": "the process ends with it",
    "exequatur_store_nodes": "of a cluster alone",
    "exequatur_store_uncovered_slots": "of a cluster alone",
    "exequatur_signals_last_event_timestamp_seconds": "events come when they come",
    "exequatur_signals_last_verification_timestamp_seconds": "as above",
    "exequatur_signals_keys_age_seconds": "polls that fail say it",
    "exequatur_signals_keys_failed_loads_total": "polls that fail say it",
}


def unseen(boards: list[Panel]) -> list[str]:
    """Whatever is counted, and judged by an alert, can be seen. (That nothing else is asked for is checked by metrics.py.)"""
    asked = json.dumps([panel.get("targets") for made in boards for panel in made["panels"]])
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\b(?:exequatur|process)_[a-z_]+", asked)}
    documented = set(re.findall(r"^\| `([a-z_]+)`", METRICS.read_text(encoding="utf-8"), re.M))
    wrong = [f"{name} of docs/reference/metrics.md is on no dashboard" for name in sorted(documented - shown - UNSHOWN.keys())]
    return wrong + [f"{name} is said not to be shown, and is, or is no metric" for name in sorted(UNSHOWN.keys() & shown | UNSHOWN.keys() - documented)]


def main() -> int:
    boards = [overview(), state(), evidence()]
    wrong = [f"dashboards: {line}" for line in unseen(boards)]
    for made in boards:
        file = FOLDER / f"{made['uid']}.json"
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                wrong.append(f"dashboards: {file.name} is not as tests/tools/dashboards.py writes it; run that")
        else:
            file.write_text(text, encoding="utf-8")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
