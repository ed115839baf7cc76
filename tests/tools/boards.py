#!/usr/bin/env python3
"""Looks at the dashboards and alerts with a real Prometheus: boards.py BENCH

Runs `BENCH boards` (two replicas behind Envoy on a Redis, load, one fault after another) under a Prometheus that scrapes them
each second and has the chart's rules as they are; then asks it every query of every panel, as Grafana would, and fails where one is
refused or has no data. Below the target folder, in `boards/`: a picture of each dashboard, `table.txt`, `alerts.txt`.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "charts/exequatur/dashboards"
RULES = ROOT / "charts/exequatur/rules/exequatur.yaml"
TOOLS = ROOT / ".tools/plot"
# Pinned; the whole of what matplotlib needs.
PLOT = ["matplotlib==3.10.8", "numpy==2.3.5", "pillow==12.0.0", "contourpy==1.3.3", "cycler==0.12.1", "fonttools==4.61.0",
        "kiwisolver==1.4.9", "packaging==25.0", "pyparsing==3.2.5", "python-dateutil==2.9.0.post0", "six==1.17.0"]
SCRAPE = 1
# What Grafana makes of `$__rate_interval`: four times the scrape interval of its data source, at least. Here somewhat
# more, since a machine that does all of this at once scrapes late now and then.
RATE = "8s"
CHOSEN = {"namespace": ".*", "job": ".*", "instance": ".*", "__rate_interval": RATE}
# Panels (dashboard, title) that have no data in such a run, and why.
EMPTY = {("exequatur-state", "Proofs that the embedded store remembers"): "the store is a Redis"}
DISK_FULL = "the disk of records is full"
# Alerts that have to fire in it, each for something that was done to the replicas.
EXPECTED = {
    "ExequaturFaults": "Redis is away",
    "ExequaturOverloaded": "one replica is overloaded",
    "ExequaturReloadFailed": "a replica refuses its files",
    "ExequaturRestarts": "a replica restarts three times",
    "ExequaturConnections": "a crowd of connections",
    "ExequaturKeysUnusable": "an issuer is away",
    "ExequaturStoreLost": "Redis is away",
    "ExequaturReplayDoubt": "Redis restarts three times",
    "ExequaturStateStale": "Redis is away",
    "ExequaturRevocationLag": "Redis is away",
    "ExequaturRecordGaps": "one replica is overloaded",
    "ExequaturOutcomesLost": DISK_FULL,
    "ExequaturAdminStrangers": "strangers at the admin API",
    "ExequaturUnanswered": "a message too long",
}
# What docs/reference/alerts.md promises to whoever is called: in which file of the run it stands.
PROMISED = [
    ("ExequaturReloadFailed", "exequatur.log", "reload refused"),
    ("ExequaturReloadFailed", "status.txt", "refused the files at"),
    ("ExequaturKeysUnusable", "exequatur.log", "partner"),
    ("ExequaturKeysUnusable", "status.txt", "has no keys of issuer partner"),
    ("ExequaturStoreLost", "status.txt", "cannot use its store"),
    ("ExequaturStateStale", "status.txt", "does not know what is revoked, and denies"),
    ("ExequaturStatusListMissing", "exequatur.log", "/lists/boards"),
    ("ExequaturSignalsPollsFail", "exequatur.log", "idp"),
    ("ExequaturSpansDropped", "exequatur.log", "the collector of traces takes no spans"),
    ("ExequaturRecordGaps", "exequatur.log", "decisions have no record"),
    ("ExequaturRecordSinkDown", "exequatur.log", "a sink of the records fails"),
]


class Prometheus:
    def __init__(self, folder: Path, targets: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        programs = subprocess.run([ROOT / "tests/tools/prometheus.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        file = folder / "prometheus.json"
        file.write_text(json.dumps({  # JSON is YAML.
            "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE}s", "evaluation_interval": "2s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "exequatur", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}],
        }), encoding="utf-8")
        command = [f"{programs}/prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
                   f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        with (folder / "prometheus.log").open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{port}/api/v1"
        for _ in range(100):
            # It says that it is not ready yet, or nothing.
            with contextlib.suppress(OSError, ValueError):
                self.ask("query", query="1")
                return
            time.sleep(0.2)
        self.end()
        raise SystemExit(f"boards: Prometheus does not answer: {folder / 'prometheus.log'}")

    def ask(self, kind: str, **parameters: Any) -> list[dict[str, Any]]:
        data = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/{kind}", data=data, timeout=30) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", "no answer")) from error

    def range(self, query: str, begun: float, ended: float) -> list[dict[str, Any]]:
        """Each series with its `values`, by seconds since `begun`; those that are no numbers are left out, as they are not drawn."""
        found = self.ask("query_range", query=query, start=begun, end=ended, step=SCRAPE)
        for one in found:
            one["values"] = [(at - begun, float(value)) for at, value in one["values"] if value not in ("NaN", "+Inf", "-Inf")]
        return [one for one in found if one["values"]]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def filled(expression: str, lasting: float) -> str:
    """With the variables that Grafana fills in."""
    values = CHOSEN | {"__range": f"{lasting:.0f}s"}
    return re.sub(r"\$(\w+)", lambda name: values[name.group(1)], expression)


def legend(form: str, labels: dict[str, str]) -> str:
    """As Grafana names a series: what is not there is nothing, and without a form it is the labels."""
    if form:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda name: labels.get(name.group(1), ""), form)
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__") + "}"


def look(prometheus: Prometheus, board: dict[str, Any], begun: float, ended: float) -> tuple[list[list[str]], list[str]]:
    """A row for each panel, whose series are put into it, and what is wrong."""
    rows, wrong = [], []
    for panel in board["panels"]:
        title, series = panel["title"], []
        if panel["type"] == "row":
            continue
        for target in panel["targets"]:
            try:
                found = prometheus.range(filled(target["expr"], ended - begun), begun, ended)
            except (ValueError, KeyError) as error:
                wrong.append(f"{board['uid']}: {title}: {error}: {target['expr']}")
                continue
            series += [(legend(target["legendFormat"], one["metric"]), one["values"]) for one in found]
        panel["series"] = series
        names = [name for name, _ in series]
        if panel["type"] != "stat":
            wrong += [f"{board['uid']}: {title}: two series are called `{name}`" for name in sorted(set(names)) if names.count(name) > 1]
            wrong += [f"{board['uid']}: {title}: a series has no name" for name in names if not name.strip()]
        values = [value for _, points in series for _, value in points]
        reason = EMPTY.get((board["uid"], title))
        if not values and reason is None:
            wrong.append(f"{board['uid']}: {title}: no data")
        if values and reason is not None:
            wrong.append(f"{board['uid']}: {title}: has data, though it is said to be empty")
        span = [f"{min(values):.4g}", f"{max(values):.4g}"] if values else ["", reason or "NO DATA"]
        rows.append([board["uid"], title, str(len(series)), str(len(values)), *span])
    return rows, wrong


def alerts(prometheus: Prometheus, scenes: list[dict[str, Any]], begun: float, ended: float) -> tuple[list[list[str]], list[str]]:
    """When each alert was pending and firing, and which did not as they should."""
    at: dict[tuple[str, str], list[float]] = {}
    for one in prometheus.range("ALERTS", begun, ended):
        key = (one["metric"]["alertname"], one["metric"]["alertstate"])
        at.setdefault(key, []).extend(second for second, _ in one["values"])
    names = sorted({name for name, _ in at})
    began = {scene["what"]: scene["from"] - begun for scene in scenes}
    rows, wrong = [], []
    for name in names:
        def span(state: str, name: str = name) -> str:
            seconds = at.get((name, state))
            return f"{min(seconds):.0f}-{max(seconds):.0f}" if seconds else "-"
        cause = EXPECTED.get(name, "")
        since = f"{cause} ({began[cause]:.0f})" if cause in began else cause
        rows.append([name, span("pending"), span("firing"), since])
    for name, cause in EXPECTED.items():
        if cause == DISK_FULL and cause not in began:
            continue
        firing = at.get((name, "firing"))
        if firing is None:
            wrong.append(f"{name} did not fire ({cause})")
        elif cause in began and max(firing) < began[cause]:
            wrong.append(f"{name} fired until {max(firing):.0f} s alone, before its cause ({cause}, {began[cause]:.0f} s)")
    return rows, wrong


def table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in [head, *rows])


# How each unit is written, and by what its values are multiplied.
UNITS = {"cps": (1, "1/s"), "s": (1, "s"), "reqps": (1, "req/s"), "percentunit": (100, "%"), "bytes": (1 / 1048576, "MiB"), "none": (1, "")}


def colour(steps: list[dict[str, Any]], value: float) -> str:
    return [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]


def with_gaps(points: list[tuple[float, float]], factor: float) -> tuple[list[float], list[float]]:
    """Where a series is not there, nothing is drawn."""
    times, values = [], []
    for at, value in points:
        if times and at - times[-1] > 2 * SCRAPE:
            times.append(at - SCRAPE)
            values.append(float("nan"))
        times.append(at)
        values.append(value * factor)
    return times, values


def draw(board: dict[str, Any], scenes: list[dict[str, Any]], begun: float, file: Path) -> None:
    """As Grafana lays it out; stats are drawn over time, in the colours that they would have had."""
    sys.path.insert(0, str(TOOLS))
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = pyplot.figure(figsize=(24, rows * 0.42))
    grid = figure.add_gridspec(rows, 24, left=0.03, right=0.99, top=0.985, bottom=0.02, wspace=4.2, hspace=6)
    for panel in panels:
        place = panel["gridPos"]
        axes = figure.add_subplot(grid[place["y"]:place["y"] + place["h"], place["x"]:place["x"] + place["w"]])
        defaults = panel["fieldConfig"]["defaults"]
        factor, unit = UNITS[defaults["unit"]]
        axes.set_title(panel["title"] + (f" [{unit}]" if unit else ""), fontsize=9, loc="left")
        axes.tick_params(labelsize=7)
        steps = defaults["thresholds"]["steps"]
        if panel["type"] == "stat":
            for _, points in panel["series"]:
                for at, value in points:
                    axes.plot([at], [value * factor], ".", color=colour(steps, value), markersize=3)
        elif panel["type"] == "state-timeline":
            for level, (_, points) in enumerate(panel["series"]):
                for at, value in points:
                    axes.barh(level, SCRAPE, left=at, height=0.85, color=colour(steps, value))
            axes.set_yticks(range(len(panel["series"])), [name for name, _ in panel["series"]], ha="left", zorder=3)
            axes.tick_params(axis="y", direction="in", pad=-4)
        elif defaults["custom"]["stacking"]["mode"] == "normal":
            times = sorted({at for _, points in panel["series"] for at, _ in points})
            heights = [[dict(points).get(at, 0) * factor for at in times] for _, points in panel["series"]]
            if times:
                axes.stackplot(times, heights, labels=[name for name, _ in panel["series"]], alpha=0.6)
        else:
            bounds = [override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]]
            for name, points in panel["series"]:
                style = {"linestyle": "--", "color": "red"} if name in bounds else {}
                axes.plot(*with_gaps(points, factor), linewidth=0.9, label=name, marker=".", markersize=1.5, **style)
            for step in steps:
                if step["value"] is not None:
                    axes.axhline(step["value"] * factor, color=step["color"], linewidth=0.8, linestyle=":")
        if panel["type"] == "timeseries" and panel["series"]:
            axes.legend(fontsize=6, ncols=3, loc="upper left", framealpha=0.5)
        low, high = axes.get_ylim()
        if defaults.get("min") == 0:
            axes.set_ylim(min(low, 0), max(high, defaults.get("max", 0) * factor, 1e-9))
        for number, scene in enumerate(scenes):
            axes.axvspan(scene["from"] - begun, scene["until"] - begun, color="grey" if number % 2 else "tan", alpha=0.12)
    figure.savefig(file, dpi=72)
    pyplot.close(figure)


@contextlib.contextmanager
def small_disk(folder: Path):
    """A file system of its own for records, which only root can have; `None` for others."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=384m", "boards", folder], capture_output=True, check=False).returncode == 0
    if not mounted:
        print("boards: no file system of its own could be mounted (not root?): no disk will be full", file=sys.stderr)
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=False)


def main() -> int:
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} BENCH", file=sys.stderr)
        return 2
    if not (TOOLS / "matplotlib").is_dir():
        subprocess.run([ROOT / "tests/tools/pip.sh", TOOLS, *PLOT], check=True)
    bench = Path(sys.argv[1]).resolve()
    folder, stage = bench.parents[1] / "boards", bench.parents[1] / "bench/boards"
    subprocess.run(["rm", "-rf", folder, stage / "targets.json"], check=True)
    folder.mkdir(parents=True)
    prometheus = Prometheus(folder, stage / "targets.json")
    try:
        with small_disk(folder / "disk") as disk:
            environment = os.environ | ({"BOARDS_DISK": str(disk)} if disk else {})
            subprocess.run([bench, "boards"], env=environment, check=True)
        scenes = json.loads((stage / "scenes.json").read_text(encoding="utf-8"))
        begun, ended = scenes[0]["from"], max(scene["until"] for scene in scenes)
        boards = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(DASHBOARDS.glob("*.json"))]
        rows, wrong = [], []
        for board in boards:
            seen, problems = look(prometheus, board, begun, ended)
            rows, wrong = rows + seen, wrong + problems
            draw(board, scenes, begun, folder / f"{board['uid']}.png")
        fired, problems = alerts(prometheus, scenes, begun, ended)
        wrong += problems
        for alert, name, promised in PROMISED:
            if promised not in (stage / name).read_text(encoding="utf-8"):
                wrong.append(f"docs/reference/alerts.md, {alert}: `{promised}` is not in {stage / name}")
    finally:
        prometheus.end()
    texts = {
        "table.txt": table(["dashboard", "panel", "series", "points", "least", "most"], rows),
        "alerts.txt": table(["alert", "pending s", "firing s", "cause (from s)"], fired),
        "scenes.txt": table(["from", "until", "what"], [[f"{one['from'] - begun:.0f}", f"{one['until'] - begun:.0f}", one["what"]] for one in scenes]),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        print(text)
    print(f"pictures: {folder}/*.png")
    for line in wrong:
        print(f"boards: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
