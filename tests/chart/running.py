"""Whether Exequatur accepts what is mounted, and goes over to what is mounted anew."""

import json
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import mounts
from objects import find, pod
from rendering import Object, cases, changed, render, values

PATIENCE_S = 30
# A public key of ES256, that of RFC 7517, appendix A.1.
KEYS = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            "kid": "1",
            "alg": "ES256",
        }
    ]
}
SECRETS = {
    "corp": {"jwks.json": json.dumps(KEYS), "proxy": "gate:password\n"},
    "exequatur-nonce": {"secret": "s" * 32, "previous": "p" * 32},
    "exequatur-redis": {"url": "rediss://gate:password@redis.example.com:6379\n"},
}
# The policies of the cases that take them from a ConfigMap of its own. The file called `configuration` must not be read.
ELSEWHERE = {**values("embedded")["policies"]["files"], "configuration": "routes: []\n"}


class Pod:
    """A pod's files, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, given: Object, group: bool = True, usual: bool = False) -> None:
        """As the volumes of the rendered pod say, or with the usual mode of files in its place."""
        rendered = render(given)
        spec = pod(rendered)
        maps = {"notes-policies": ELSEWHERE, "gate-exequatur": find(rendered, "ConfigMap")["data"]}
        paths = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        for volume in spec["volumes"]:
            target = self.folder / paths[volume["name"]].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if "projected" not in volume:
                target.mkdir(exist_ok=True)
                continue
            if usual:
                volume["projected"].pop("defaultMode", None)
            files = mounts.payload(volume, maps, SECRETS, group)
            mounts.mount({path: (self.here(text), mode) for path, (text, mode) in files.items()}, target)

    def here(self, text: str) -> str:
        """The text, with absolute paths of the pod as paths in the folder."""
        return re.sub(r"(?<=: )/(etc|run|var)/", rf"{self.folder}/\1/", text)

    @property
    def configuration(self) -> Path:
        return self.folder / "etc/exequatur/configuration"

    def judge(self, program: Path) -> tuple[int, str]:
        command = [program, "config", "check", "--config", self.configuration]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stdout


def check(program: Path) -> list[str]:
    wrong = []
    for case in cases():
        with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
            there = Pod(Path(folder))
            there.mount(values(case))
            code, said = there.judge(program)
            if code != 0:
                wrong.append(f"{case}: config check ended with {code}: {said}")
    wrong += readable_by_all(program)
    wrong += switched(program)
    return wrong


def readable_by_all(program: Path) -> list[str]:
    """C-16: with Kubernetes' usual mode of files the configuration is refused, with a group for the pod and without."""
    wrong = []
    for group in (True, False):
        with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
            there = Pod(Path(folder))
            there.mount(values("embedded"), group=group, usual=True)
            code, said = there.judge(program)
            if code == 0 or said.count("a secret that others may read") != 2:
                wrong.append(f"secrets of mode 0644, group {group}: config check ended with {code}: {said}")
    return wrong


def switched(program: Path) -> list[str]:
    """C-14: one switch of the volume brings routes and policies that fit only each other."""
    before = values("embedded")
    schema = before["policies"]["files"]["notes.cedarschema"].replace("ReadNote", "OpenNote")
    after = changed(before, "config/routes/0/action", "OpenNote")
    after = changed(after, "policies/files", {"all.cedarschema": schema, "a.cedar": OPEN, "b.cedar": CLOSED})
    with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
        there = Pod(Path(folder))
        # Any port: those of the pod may be taken here.
        here = there.here
        there.here = lambda text: re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", here(text))  # type: ignore[method-assign]
        there.mount(before)
        with Serving(program, there.configuration) as serving:
            wrong = serving.expect("generation in force", generation=1, policies=1)
            wrong += serving.expect("ready")
            there.mount(after)
            wrong += serving.expect("generation in force", generation=2, policies=2)
            return wrong + serving.stop()


OPEN = '@id("open")\npermit (principal, action == Action::"OpenNote", resource);\n'
CLOSED = '@id("closed")\nforbid (principal, action == Action::"OpenNote", resource == Note::"secret");\n'


class Serving:
    """A running Exequatur, and what it logs."""

    def __init__(self, program: Path, configuration: Path) -> None:
        command = [program, "serve", "--config", configuration, "--log", "info", "--log-format", "json"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.told: list[str] = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stderr or ():
            self.lines.put(line)
        self.lines.put(None)

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def expect(self, message: str, **fields: Any) -> list[str]:
        """Waits for a line of the log that says so; a refused generation before it is wrong too."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                return [f"serve: `{message}` with {fields} was not logged: {''.join(self.told)}"]
            self.told.append(line)
            logged = json.loads(line)
            if logged["level"] == "ERROR":
                return [f"serve: {line}"]
            if logged["fields"]["message"] == message and fields.items() <= logged["fields"].items():
                return []

    def stop(self) -> list[str]:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        return [] if code == 0 else [f"serve: ended with {code}: {''.join(self.told)}"]
