#!/usr/bin/env python3
"""Writes the Grafana dashboards of charts/exequatur/dashboards; `--check` says whether they are as they are written here."""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "charts/exequatur/dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
WIDTH = 24
Panel = dict[str, Any]


def query(expression: str, legend: str = "{{instance}}") -> tuple[str, str]:
    """`OF` stands for the chosen replicas, `RATE` for the span of rates."""
    return expression.replace("{OF", "{" + OF).replace("RATE", "$__rate_interval"), legend


def targets(queries: list[tuple[str, str]], instant: bool) -> list[Panel]:
    return [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
         "editorMode": "code", "instant": instant, "range": not instant}
        for number, (expr, legend) in enumerate(queries)
    ]


def over_time(title: str, unit: str, *queries: tuple[str, str], text: str = "", width: int = 8, most: float | None = None,
              stacked: bool = False) -> Panel:
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if stacked else 5, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    defaults = {"unit": unit, "min": 0, "custom": custom, "color": {"mode": "palette-classic"}, **({"max": most} if most else {})}
    return {
        "type": "timeseries", "title": title, "description": text, "datasource": SOURCE, "targets": targets(list(queries), False),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
        "gridPos": {"w": width, "h": 8},
    }


def now(title: str, unit: str, expression: str, *, bad_above: float | None = None, bad_below: float | None = None, text: str = "") -> Panel:
    """One number: green, or red when it is not well."""
    green, red = {"color": "green"}, {"color": "red"}
    if bad_below is not None:
        steps = [{**red, "value": None}, {**green, "value": bad_below}]
    else:
        steps = [{**green, "value": None}] + ([{**red, "value": bad_above}] if bad_above is not None else [])
    return {
        "type": "stat", "title": title, "description": text, "datasource": SOURCE,
        "targets": targets([query(expression, "")], True),
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "background",
                    "graphMode": "none", "justifyMode": "auto", "textMode": "auto"},
        "gridPos": {"w": 3, "h": 4},
    }


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
    links = [{"type": "dashboards", "title": "Exequatur", "tags": ["exequatur"], "asDropdown": False, "includeVars": True, "keepTime": True}]
    return {
        "uid": uid, "title": title, "description": description, "tags": ["exequatur"], "schemaVersion": 39, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "",
        "templating": {"list": variables}, "annotations": {"list": []}, "links": links, "panels": panels,
    }


def share(of: str, all_of: str = "") -> str:
    return f"sum(rate(exequatur_decisions_total{{OF,{of}}}[RATE])) / sum(rate(exequatur_decisions_total{{OF{all_of}}}[RATE]))"


def quantile(at: float, name: str, by: str = "", of: str = "") -> str:
    return f"histogram_quantile({at}, sum by (le{by}) (rate({name}_bucket{{OF{of}}}[RATE])))"


DURATION, STAGE = "exequatur_decision_duration_seconds", "exequatur_stage_duration_seconds"
NONE_IS_ZERO = "Nothing to see is 0: all is well."


def overview() -> Panel:
    return board("exequatur-overview", "Exequatur: overview", "Is it well, and if not, what is wrong. First row: all green is well.", [
        now("Replicas ready", "none", "sum(exequatur_ready{OF})", bad_below=1),
        now("Not ready", "none", "count(exequatur_ready{OF}) - sum(exequatur_ready{OF})", bad_above=1),
        now("Faults", "percentunit", share('verdict="fault"'), bad_above=0.01, text="Requests that no decision could be made about."),
        now("p99 of deadline", "percentunit", f"{quantile(0.99, DURATION)} / max(exequatur_deadline_seconds{{OF}})", bad_above=0.5),
        now("Without store", "none", "count(exequatur_store_up{OF}) - sum(exequatur_store_up{OF})", bad_above=1),
        now("Revocations heard", "s", "max(exequatur_revocations_age_seconds{OF})", bad_above=2, text="The longest silence of any replica."),
        now("Issuers without keys", "none", "count(exequatur_issuer_keys_usable{OF}) - sum(exequatur_issuer_keys_usable{OF})", bad_above=1),
        now("Reloads refused", "none", "sum(exequatur_reload_failed{OF})", bad_above=1, text="Replicas that refuse the files as they are now."),
        over_time("Decisions", "reqps", query("sum by (verdict) (rate(exequatur_decisions_total{OF}[RATE]))", "{{verdict}}"), stacked=True),
        over_time("Why denied", "reqps", query('topk(8, sum by (reason) (rate(exequatur_decisions_total{OF,verdict="deny"}[RATE])))', "{{reason}}")),
        over_time("Why no decision (faults)", "reqps", query('sum by (reason) (rate(exequatur_decisions_total{OF,verdict="fault"}[RATE]))', "{{reason}}"), text=NONE_IS_ZERO),
        over_time("Time of a decision", "s", query(quantile(0.5, DURATION), "p50"), query(quantile(0.99, DURATION), "p99"),
                  query(quantile(0.999, DURATION), "p99.9"), query("max(exequatur_deadline_seconds{OF})", "deadline")),
        over_time("p99 of each stage", "s", query(quantile(0.99, STAGE, ", stage"), "{{stage}}"), text="Which part is slow."),
        over_time("Mean time of each stage", "s", query(f"sum by (stage) (rate({STAGE}_sum{{OF}}[RATE])) / (sum by (stage) (rate({STAGE}_count{{OF}}[RATE])) > 0)", "{{stage}}"), stacked=True),
        over_time("Waiting or under way", "none", query("sum by (instance) (exequatur_queue_length{OF})")),
        over_time("Processor", "none", query("rate(process_cpu_seconds_total{OF}[RATE])"), text="In cores; `workers` is about the most."),
        over_time("Memory", "bytes", query("process_resident_memory_bytes{OF}")),
        over_time("gRPC connections", "none", query("exequatur_grpc_connections{OF}"), query("rate(exequatur_grpc_connections_refused_total{OF}[RATE])", "{{instance}} refused a second"), text="At most 1024."),
        over_time("Known tokens", "percentunit", query('sum by (instance) (rate(exequatur_token_cache_total{OF,result="hit"}[RATE])) / sum by (instance) (rate(exequatur_token_cache_total{OF}[RATE]))'), most=1),
        over_time("Rules in force", "none", query("exequatur_generation{OF}"), text="The number of the generation; it rises with each change."),
        over_time("Tenants", "reqps", query("topk(8, sum by (tenant, verdict) (rate(exequatur_tenant_decisions_total{OF}[RATE])))", "{{tenant}} {{verdict}}"), width=12),
        over_time("Clock", "s", query("exequatur_time_seconds{OF} - timestamp(exequatur_time_seconds{OF})"), text="Against that of Prometheus.", width=12),
    ])


def state() -> Panel:
    return board("exequatur-state", "Exequatur: store, revocations, limits, keys", "What decisions rest on.", [
        over_time("Store can be used", "none", query("exequatur_store_up{OF}"), most=1),
        over_time("Interruptions of the store", "none", query("increase(exequatur_store_interruptions_total{OF}[RATE])"), text=NONE_IS_ZERO),
        over_time("p99 of admission (the store's round trip)", "s", query(quantile(0.99, STAGE, ", instance", ',stage="admit"'))),
        over_time("Revocations were heard of", "s", query("exequatur_revocations_age_seconds{OF}"), text="So late is a revocation at most."),
        over_time("Changes that a replica lacks", "none", query("scalar(max(exequatur_revocations_position{OF})) - exequatur_revocations_position{OF}"), text=NONE_IS_ZERO),
        over_time("Known, degraded, not kept", "none", query("exequatur_revocations_known{OF}", "{{instance}} known"), query("exequatur_revocations_degraded{OF}", "{{instance}} degraded"),
                  query("exequatur_revocations_not_kept{OF}", "{{instance}} not kept"), most=1),
        over_time("Revocations in force", "none", query("exequatur_revocations{OF}")),
        over_time("Limits set otherwise, attributes of subjects", "none", query("exequatur_limit_overrides{OF}", "{{instance}} limits"), query("exequatur_subject_attributes{OF}", "{{instance}} attributes")),
        over_time("Limited", "reqps", query('sum(rate(exequatur_decisions_total{OF,reason="rate_limited"}[RATE])) or vector(0)', "refused"),
                  query("sum(rate(exequatur_limits_local_total{OF}[RATE]))", "counted by a replica alone"), text=NONE_IS_ZERO),
        over_time("Replays and doubt", "reqps", query('sum by (reason) (rate(exequatur_decisions_total{OF,reason=~"dpop_replay|dpop_nonce_required"}[RATE])) or vector(0)', "{{reason}}"), text=NONE_IS_ZERO),
        over_time("Age of keys", "s", query("exequatur_issuer_keys_age_seconds{OF}", "{{instance}} {{issuer}}")),
        over_time("Loads of keys", "none", query("sum by (issuer, outcome) (increase(exequatur_issuer_fetches_total{OF}[RATE]))", "{{issuer}} {{outcome}}")),
    ])


def evidence() -> Panel:
    return board("exequatur-evidence", "Exequatur: records, outcomes, orders", "Whether the evidence is whole, and what was ordered.", [
        over_time("Lines of records", "none", query("rate(exequatur_record_lines_total{OF}[RATE])"), text="A second."),
        over_time("Decisions without a record", "none", query("increase(exequatur_record_gaps_total{OF}[RATE])"), text=NONE_IS_ZERO),
        over_time("Queue of the record file", "percentunit", query("exequatur_record_queue_length{OF} / exequatur_record_queue_capacity{OF}"), most=1),
        over_time("Lines that no checkpoint sums up", "none", query("exequatur_record_lines_total{OF} - exequatur_record_lines_summed_up_total{OF}"), text="Falls to about 0 with each checkpoint."),
        over_time("Checkpoints are signed", "none", query("exequatur_record_checkpoints_signed{OF}"), most=1),
        over_time("p99 of handing in a record", "s", query(quantile(0.99, STAGE, ", instance", ',stage="record"'))),
        over_time("Outcomes", "reqps", query("sum by (result) (rate(exequatur_outcomes_total{OF}[RATE]))", "{{result}}")),
        over_time("Streams of outcomes", "none", query("exequatur_outcome_streams{OF}")),
        over_time("Permits, and outcomes kept", "reqps", query('sum(rate(exequatur_decisions_total{OF,verdict="permit"}[RATE]))', "permits"), query('sum(rate(exequatur_outcomes_total{OF,result="kept"}[RATE]))', "outcomes")),
        over_time("Orders", "none", query("sum by (action, outcome) (increase(exequatur_admin_calls_total{OF}[RATE])) or vector(0)", "{{action}} {{outcome}}"), text=f"Of the admin API. {NONE_IS_ZERO}"),
        over_time("Strangers at the admin API", "none", query("sum by (instance) (increase(exequatur_admin_strangers_total{OF}[RATE]))"), text=NONE_IS_ZERO),
        over_time("Reloads", "none", query("sum by (outcome) (increase(exequatur_reloads_total{OF}[RATE]))", "{{outcome}}")),
    ])


def main() -> int:
    wrong = []
    for made in (overview(), state(), evidence()):
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
