"""What is rendered for Prometheus' operator and for Grafana."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from objects import FULL, SELECTOR, Findings, find
from rendering import CHART, ROOT, Object, changed, render, schema_problems, values, yaml

SWITCHES = ["podMonitor", "rules", "dashboards"]
KINDS = {"podMonitor": ("PodMonitor", FULL), "rules": ("PrometheusRule", FULL), "dashboards": ("ConfigMap", f"{FULL}-boards")}


def on(given: Object, *switches: str) -> Object:
    for switch in switches:
        given = changed(given, f"monitoring/{switch}/enabled", True)
    return given


def check() -> list[str]:
    findings = Findings()
    findings.case = "monitoring"
    base = values("redis")
    before = {(found["kind"], found["metadata"]["name"]) for found in render(base)}
    for switch in SWITCHES:
        after = {(found["kind"], found["metadata"]["name"]) for found in render(on(base, switch))}
        findings.same(f"what {switch} adds", after - before, {KINDS[switch]})
    rendered = render(on(base, *SWITCHES))
    scraped(findings, rendered)
    ruled(findings, rendered, base)
    shown(findings, rendered)
    return findings.wrong


def scraped(findings: Findings, rendered: list[Object]) -> None:
    spec = find(rendered, "PodMonitor")["spec"]
    findings.same("which pods are scraped", spec["selector"], {"matchLabels": SELECTOR})
    (endpoint,) = spec["podMetricsEndpoints"]
    findings.same("where", (endpoint["port"], endpoint["path"], endpoint["interval"]), ("metrics", "/metrics", "15s"))
    findings.same("the job", endpoint["relabelings"], [{"targetLabel": "job", "replacement": FULL}])


def ruled(findings: Findings, rendered: list[Object], base: Object) -> None:
    """The rules are those of the file, but for where the manual is; and promtool takes them."""
    written = yaml.safe_load((CHART / "rules/exequatur.yaml").read_text(encoding="utf-8"))
    rule = find(rendered, "PrometheusRule")
    findings.same("the rules", rule["spec"], written)
    tuned = on(base, "rules")
    tuned = changed(tuned, "monitoring/rules/runbooks", "https://runbooks.example.com/")
    tuned = changed(tuned, "monitoring/rules/disabled", ["ExequaturSlow"])
    tuned = changed(tuned, "monitoring/rules/labels", {"release": "prometheus", "app.kubernetes.io/name": "another"})
    rule = find(render(tuned), "PrometheusRule")
    labels = rule["metadata"]["labels"]
    findings.same("its labels", (labels["release"], labels["app.kubernetes.io/name"]), ("prometheus", "exequatur"))
    alerts = {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}
    named = [one["alert"] for group in written["groups"] for one in group["rules"]]
    findings.same("which alerts", sorted(alerts), sorted(set(named) - {"ExequaturSlow"}))
    links = {name: one["annotations"]["runbook_url"] for name, one in alerts.items()}
    findings.same("their runbooks", links, {name: f"https://runbooks.example.com/{name.lower()}" for name in alerts})
    fetched = subprocess.run([ROOT / "tests/tools/prometheus.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if fetched.returncode:
        print("chart: the rules were NOT judged by promtool, which could not be had", file=sys.stderr)
        return
    programs = fetched.stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.yaml"
        file.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
        judged = subprocess.run([f"{programs}/promtool", "check", "rules", file], capture_output=True, text=True, check=False)
        findings.same("what promtool says of them", judged.returncode, 0)


def shown(findings: Findings, rendered: list[Object]) -> None:
    boards = find(rendered, "ConfigMap", f"{FULL}-boards")
    findings.same("what Grafana looks for", boards["metadata"]["labels"]["grafana_dashboard"], "1")
    findings.same("what Kubernetes says of it", schema_problems(boards), [])
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (CHART / "dashboards").glob("*.json")}
    findings.same("the dashboards", {name: json.loads(text) for name, text in boards["data"].items()}, files)
    findings.same("how many", len(files), 3)
