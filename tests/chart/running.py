"""Whether Exequatur accepts what is mounted, and goes over to what is mounted anew."""

import fcntl
import json
import os
import queue
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

import mounts
import sidecar
from authority import Authority
from objects import find, pod
from rendering import Object, cases, changed, render, values

PATIENCE_S = 30
# Of blocks of ports, until this process ends.
HELD: list[IO[str]] = []
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
CLUSTER, OPERATORS = Authority(), Authority()
TLS_CRT, TLS_KEY = CLUSTER.sign("listener", "DNS:localhost")
# The key of RFC 8410 section 10.3.
CLIENT_KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
SECRETS = {
    "gate-exequatur-grpc-tls": {"tls.crt": TLS_CRT, "tls.key": TLS_KEY},
    "gate-exequatur-admin-tls": {"tls.crt": TLS_CRT, "tls.key": TLS_KEY},
    "envoys-ca": {"ca.crt": CLUSTER.certificate},
    "exequatur-admin-tls": {"tls.crt": TLS_CRT, "tls.key": TLS_KEY, "ca.crt": CLUSTER.certificate},
    "exequatur-grpc-tls": {"tls.crt": TLS_CRT, "tls.key": TLS_KEY, "ca.crt": CLUSTER.certificate},
    "operators-ca": {"ca.crt": OPERATORS.certificate},
    "corp": {"jwks.json": json.dumps(KEYS), "proxy": "gate:password\n", "introspection": CLIENT_KEY},
    "exequatur-nonce": {"secret": "s" * 32, "previous": "p" * 32},
    "exequatur-redis": {"url": "rediss://gate:password@redis.example.com:6379\n"},
}
# The policies of the cases that take them from a ConfigMap of its own. The file called `configuration` must not be read.
ELSEWHERE = {**values("embedded")["policies"]["files"], "configuration": "routes: []\n"}
# What is on volumes that neither this chart nor a Secret fills, by their names.
OTHERS = {
    "vault": {"nonce": ("n" * 32, 0o440)},
    "authorities": {"ca.crt": (CLUSTER.certificate, 0o644)},
    "policies": {name: (text, 0o644) for name, text in ELSEWHERE.items() if name != "configuration"},
}


class Pod:
    """A pod's files, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, given: Object, group: bool = True, usual: bool = False) -> None:
        """As the volumes of the rendered pod say, or with the usual mode of files in its place."""
        rendered = render(given)
        self.mount_all(rendered, pod(rendered), group, usual)

    def mount_all(self, rendered: list[Object], spec: Object, group: bool = True, usual: bool = False) -> None:
        maps = {"notes-policies": ELSEWHERE, "notes-schema": ELSEWHERE, "gate-exequatur": find(rendered, "ConfigMap")["data"]}
        paths = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        for volume in spec["volumes"]:
            if volume["name"] not in paths:
                continue
            target = self.folder / paths[volume["name"]].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if "projected" not in volume:
                mounts.mount(OTHERS.get(volume["name"], {}), target)
                continue
            if usual:
                volume["projected"].pop("defaultMode", None)
            files = mounts.payload(volume, maps, SECRETS, group)
            mounts.mount({path: (self.here(text), mode) for path, (text, mode) in files.items()}, target)

    def here(self, text: str) -> str:
        """The text, with absolute paths of the pod as paths in the folder."""
        return re.sub(r"(: |unix:)/(etc|run|var|mnt)/", rf"\1{self.folder}/\2/", text)

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
    with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
        there, beside = Pod(Path(folder)), sidecar.rendered(sidecar.example())
        there.mount_all(beside, sidecar.spec_of(beside))
        code, said = there.judge(program)
        if code != 0:
            wrong.append(f"the sidecar: config check ended with {code}: {said}")
    wrong += readable_by_all(program)
    wrong += switched(program)
    wrong += operated(program)
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


def operated(program: Path) -> list[str]:
    """E-02: operators are heard at the socket in the pod and at their own port, and at no port of another Service."""
    given = values("operators")
    for path, new in [
        ("replicas", 1),
        ("config/store", {"embedded": {}}),
        ("config/issuers/0/jwks", {"file": "/run/secrets/exequatur/corp-keys"}),
        ("secrets/corp-keys", {"existingSecret": "corp", "key": "jwks.json"}),
    ]:
        given = changed(given, path, new)
    ports = dict(zip((9191, 9192, 9193, 9194), free_ports(4)))
    # Not those of operators.
    data = [port for name, port in targets(render(given)) if not name.endswith("-admin")] + [9193]
    with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as name:
        folder = Path(name)
        there, here = Pod(folder), Pod(folder).here
        there.here = lambda text: re.sub(  # type: ignore[method-assign]
            r"0\.0\.0\.0:(\d+)", lambda found: f"127.0.0.1:{ports[int(found[1])]}", here(text)
        )
        there.mount(given)
        operator = Operator(program, folder)
        with Serving(program, there.configuration) as serving:
            wrong = serving.expect("listening", tls=True) + serving.expect("ready")
            for port in data:
                wrong += operator.expect_refused(f"http://127.0.0.1:{ports[port]}", "not an answer of Exequatur|no server answers")
                wrong += operator.expect_refused(f"https://localhost:{ports[port]}", "no server answers")
            own = f"https://localhost:{ports[9194]}"
            wrong += operator.expect_refused(own, "a bearer token, or a client certificate, is needed", shown=False)
            wrong += operator.expect(["revoke", "list"], "nothing is revoked", folder / "run/exequatur/admin.sock")
            # What a replica says of itself is as of its last report.
            wrong += operator.expect_soon(["status"], "all is well", folder / "run/exequatur/admin.sock")
            wrong += operator.expect(operator.order, "revoked user corp:alice", own)
            wrong += operator.expect(["revoke", "list"], "certificate:spiffe://example.com/oncall", own)
            wrong += operator.expect(["revoke", "list"], "corp:alice", folder / "run/exequatur/admin.sock")
            # As when cert-manager renews it.
            SECRETS["exequatur-admin-tls"] |= dict(zip(("tls.crt", "tls.key"), CLUSTER.sign("renewed", "DNS:localhost")))
            there.mount(given)
            wrong += serving.expect("a listener's certificate was renewed")
            wrong += operator.expect(["revoke", "list"], "corp:alice", own)
            return wrong + serving.stop()


def targets(rendered: list[Object]) -> list[tuple[str, int]]:
    """Each Service's name with the pod's ports that it leads to."""
    (container,) = pod(rendered)["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    services = [found for found in rendered if found["kind"] == "Service"]
    return [(one["metadata"]["name"], named[port["targetPort"]]) for one in services for port in one["spec"]["ports"]]


def free_ports(count: int) -> list[int]:
    """As tests/support/ports.rs: from below what the system hands out, eight at a time, with a locked file that says whose."""
    folder = Path(tempfile.gettempdir()) / f"exequatur-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for block in range(1500):
        lock = (folder / str(block)).open("w", encoding="utf-8")
        ports = [20_000 + block * 8 + place for place in range(8)]
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in ports:
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            lock.close()
            continue
        HELD.append(lock)
        return ports[:count]
    raise OSError("no block of ports is free")


class Operator:
    """Somebody with a certificate that the values name."""

    order = ["revoke", "user", "corp:alice", "--reason", "a test"]

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.identity, self.authority = folder / "operator.pem", folder / "cluster.crt"
        self.identity.write_text("".join(OPERATORS.sign("oncall", "URI:spiffe://example.com/oncall")), encoding="utf-8")
        self.authority.write_text(CLUSTER.certificate, encoding="utf-8")

    def say(self, words: list[str], place: str | Path, shown: bool = True) -> tuple[int, str]:
        where = ["--socket", place]
        if isinstance(place, str):
            where = ["--server", place, "--ca-file", self.authority]
            where += ["--identity-file", self.identity] if shown else []
        command = [self.program, *words, *where]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stdout

    def expect(self, words: list[str], said: str, place: str | Path) -> list[str]:
        code, text = self.say(words, place)
        return [] if code == 0 and said in text else [f"{' '.join(words)} at {place}: {code}: {text}"]

    def expect_soon(self, words: list[str], said: str, place: str | Path) -> list[str]:
        until = time.monotonic() + PATIENCE_S
        while (wrong := self.expect(words, said, place)) and time.monotonic() < until:
            pass
        return wrong

    def expect_refused(self, place: str, said: str, shown: bool = True) -> list[str]:
        code, text = self.say(self.order, place, shown)
        return [] if code != 0 and re.search(said, text) else [f"an order at {place}: {code}: {text}"]


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
            if not line.startswith("{"):
                return [f"serve: {line}"]
            logged = json.loads(line)
            if logged["level"] == "ERROR":
                return [f"serve: {line}"]
            if logged["fields"]["message"] == message and fields.items() <= logged["fields"].items():
                return []

    def stop(self) -> list[str]:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        return [] if code == 0 else [f"serve: ended with {code}: {''.join(self.told)}"]
