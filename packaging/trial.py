#!/usr/bin/env python3
"""trial.py BINARY runs Exequatur in the root file system that the image has, as a careful host would run it.

Nobody's user, no capability, no new privileges, a root that cannot be written to, no /proc and no /dev, a few KiB for sockets. There
it says its version, serves with keys that it gets by TLS from an issuer whose authority is in the image's bundle alone, tells that it
is ready, decides a request, and stops. The same program without that authority must not get ready. A program with shared libraries
(a debug build) gets those. Needs unshare, setpriv and openssl, and the right to mount; says so and ends with 0 where it lacks that.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from archive import ROOT, Entry, packed
from rootfs import USER, asks_for_loader, filled

sys.path.insert(0, str(ROOT / "tests/chart"))
from authority import Authority

PATIENCE_S = 60
# Standard output and error stay; everything else is as the arguments of the program.
INSIDE = """
set -eu
root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
mount -t tmpfs -o size=64k,mode=700,uid=65532,gid=65532,nosuid,nodev,noexec none "$root/run/exequatur"
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid \
    chroot --userspec=65532:65532 --groups= "$root" "$@"
"""
CONFIGURATION = """\
listen: {{ grpc: "127.0.0.1:{grpc}", public: "127.0.0.1:{public}", metrics: "127.0.0.1:{metrics}", admin: "unix:/run/exequatur/admin.sock" }}
policies: ./policies
protected_resources:
  - resource: https://api.example.com
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: https://127.0.0.1:{issuer}/jwks
    audiences: [https://api.example.com]
    claims: {{ agent: client_id }}
sender_constraint: {{ require: none, dpop: {{ nonce: "off" }} }}
routes:
  - name: read-note
    match: {{ host: api.example.com, path: "/notes/{{id}}", methods: [GET] }}
    action: ReadNote
    resource: {{ type: Note, id: "{{id}}" }}
"""
POLICIES = {
    "notes.cedarschema": "entity Note;\naction ReadNote appliesTo"
    " { principal: [Exequatur::Agent], resource: [Note], context: Exequatur::Context };\n",
    "reading.cedar": '@id("read")\npermit (principal, action == Action::"ReadNote", resource == Note::"1");\n',
}


def libraries(binary: Path) -> dict[str, Entry]:
    """What a program that is not static asks for, by path."""
    if not asks_for_loader(binary.read_bytes()):
        return {}
    said = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    paths = re.findall(r"(/\S+) \(0x", said)
    return {path.lstrip("/"): Entry(Path(path).read_bytes(), 0o755) for path in paths}


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def issuer(folder: Path, authority: Authority, keys: str) -> int:
    """Serves a key set by TLS; returns the port."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(keys)))
            self.end_headers()
            self.wfile.write(keys.encode())

        def log_message(self, *_: object) -> None:
            pass

    for name, text in zip(("crt", "key"), authority.sign("issuer", "IP:127.0.0.1"), strict=True):
        (folder / f"issuer.{name}").write_text(text, encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "issuer.crt", folder / "issuer.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Image:
    """A root file system in a folder."""

    def __init__(self, folder: Path, binary: Path, authorities: str, configuration: str) -> None:
        self.root = folder
        made = filled(binary.read_bytes(), authorities.encode()) | libraries(binary)
        made["etc/exequatur/exequatur.yaml"] = Entry(configuration.encode(), 0o644)
        for name, text in POLICIES.items():
            made[f"etc/exequatur/policies/{name}"] = Entry(text.encode(), 0o644)
        archive = folder.with_suffix(".tar")
        archive.write_bytes(packed(made))
        with tarfile.open(archive) as tar:
            tar.extractall(folder)

    def command(self, *words: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(self.root), "/usr/bin/exequatur", *words]

    def say(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S, env={"PATH": os.environ["PATH"]}
        )
        return done.returncode, done.stdout

    def serve(self) -> subprocess.Popen[str]:
        words = self.command("serve", "--config", "/etc/exequatur/exequatur.yaml")
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def status(port: int, path: str) -> int:
    """The status of an answer; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def awaited(what: str, told: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until or told.poll() is not None:
            told.kill()
            raise SystemExit(f"trial.py: {what} did not come about: {(told.stdout and told.stdout.read()) or ''}")
        time.sleep(0.05)


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise SystemExit(f"trial.py: {what}: {found!r}, not {wanted!r}")
    print(f"  {what}: {found}")


def privileges(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    names = ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")
    return {name: fields[name].strip() for name in names}


def mounts(pid: int) -> set[str]:
    """How the root of a process is mounted."""
    lines = Path(f"/proc/{pid}/mountinfo").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.split()[4] == "/"]
    return set(line.split()[5].split(","))


def served(image: Image, public: int) -> None:
    """From the start to the end of a server that gets ready."""
    with image.serve() as running:
        try:
            awaited("readiness", running, lambda: status(public, "/readyz") == 200)
            nobody, none = "\t".join([str(USER)] * 4), "0" * 16
            wanted = {"Uid": nobody, "Gid": nobody, "Groups": "", "CapPrm": none, "CapEff": none, "CapAmb": none, "NoNewPrivs": "1"}
            expect("privileges", privileges(running.pid), wanted)
            expect("the root is read-only", "ro" in mounts(running.pid), True)
            expect("healthcheck", image.say("healthcheck", "--config", "/etc/exequatur/exequatur.yaml")[0], 0)
        finally:
            running.terminate()
        expect("end", running.wait(PATIENCE_S), 0)


def decided(image: Image, token: str) -> None:
    """One permit and one denial, with keys by TLS."""
    for note, wanted in (("1", 0), ("2", 1)):
        request = ["--host", "api.example.com", "--path", f"/notes/{note}", "--header", f"Authorization: Bearer {token}"]
        code, text = image.say("check", "--config", "/etc/exequatur/exequatur.yaml", *request)
        if code != wanted:
            raise SystemExit(f"trial.py: a decision of note {note}: {code}: {text}")
        print(f"  decision of note {note}: {text.splitlines()[0]}")


def may_mount() -> bool:
    """Whether this user may have a mount of its own here."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "mount", "--bind", "/etc", "/etc"], stderr=subprocess.DEVNULL).returncode == 0


def main() -> None:
    """Runs all of it."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: trial.py BINARY")
    if not may_mount():
        print("trial.py: NOT RUN: nobody here may mount (root, unshare)")
        return
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="exequatur-image-") as at:
        folder = Path(at)
        folder.chmod(0o755)
        authority, others = Authority(), Authority()
        call = [binary, "dev", "token", "--issuer", "https://sts.example.com", "--audience", "https://api.example.com", "--agent", "crm-bot"]
        token = subprocess.run(call, check=True, capture_output=True, text=True, cwd=folder).stdout.strip()
        keys = subprocess.run([binary, "dev", "issuer", "--print"], check=True, capture_output=True, text=True, cwd=folder, timeout=PATIENCE_S).stdout
        grpc, public, metrics = free_ports(3)
        configuration = CONFIGURATION.format(grpc=grpc, public=public, metrics=metrics, issuer=issuer(folder, authority, keys))
        image = Image(folder / "image", binary, others.certificate + authority.certificate, configuration)
        code, said = image.say("--version")
        expect("version", (code, said.split()[0]), (0, "exequatur"))
        decided(image, token)
        served(image, public)
        stranger = Image(folder / "stranger", binary, others.certificate, configuration)
        with stranger.serve() as running:
            awaited("an answer", running, lambda: status(public, "/healthz") == 200)
            expect("readiness without the issuer's authority", status(public, "/readyz"), 503)
            expect("healthcheck of one that is not ready", stranger.say("healthcheck", "--config", "/etc/exequatur/exequatur.yaml")[0], 1)
            running.terminate()
    print(json.dumps({"trial": "passed", "static": not asks_for_loader(binary.read_bytes())}))


if __name__ == "__main__":
    main()
