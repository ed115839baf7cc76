#!/usr/bin/env python3
"""check.py [--release TAG] holds what cannot run where the tests run to what it promises.

The container build file, the systemd unit, the release workflow, and that they agree with the chart and with each other. Each rule is
also tried: a text is changed so that the rule is broken, and the check has to say so (BROKEN). Then hadolint reads the build file,
zizmor the workflows, systemd-analyze the unit (where there is one), CycloneDX's schema the bill of materials; and what is packed
twice, in two folders, has to be the same. `--release` asks for what only a release needs.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from archive import ROOT

sys.path.insert(0, subprocess.run([ROOT / "tests/tools/helm.sh"], check=True, capture_output=True, text=True).stdout.strip())
import yaml

from readers import read_by_tools

CONTAINERFILE = "packaging/Containerfile"
UNIT = "packaging/systemd/exequatur.service"
# All of them as one text: which of them has what is the chart's affair.
TEMPLATES = "charts/exequatur/templates"
CHART = "charts/exequatur/Chart.yaml"
RELEASE = ".github/workflows/release.yml"
PINNED_ACTION = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
PINNED_IMAGE = re.compile(r"^rust:(\d+\.\d+\.\d+)-\w+@sha256:[0-9a-f]{64}$")
USER = "65532"
PROGRAM = "/usr/bin/exequatur"
CONFIGURATION = "/etc/exequatur/exequatur.yaml"
# Each line has to stand in the unit; what a service must not have lost when it is changed.
HARDENED = """
DynamicUser=yes NoNewPrivileges=yes CapabilityBoundingSet= AmbientCapabilities= ProtectSystem=strict ProtectHome=yes PrivateTmp=yes
PrivateDevices=yes PrivateIPC=yes ProtectProc=invisible ProtectClock=yes ProtectHostname=yes ProtectKernelLogs=yes
ProtectKernelModules=yes ProtectKernelTunables=yes ProtectControlGroups=yes RestrictNamespaces=yes RestrictRealtime=yes
RestrictSUIDSGID=yes LockPersonality=yes MemoryDenyWriteExecute=yes SystemCallArchitectures=native SystemCallFilter=@system-service
UMask=0077 RuntimeDirectoryMode=0700 StateDirectoryMode=0700 Restart=on-failure DevicePolicy=closed
""".split() + [
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter=~@privileged @resources",
    f"ExecStart={PROGRAM} serve --config {CONFIGURATION}",
    "ExecReload=/bin/sh -c 'kill -HUP ${MAINPID}'",
    "RestartPreventExitStatus=2 3",
]
# A stop takes 14 s, or 18 where a thread, a task or the disk hangs; the chart gives 30 s.
LEAST_STOP_S = 20
Texts = dict[str, str]


def instructions(text: str) -> list[tuple[str, str]]:
    """Of a container build file: each instruction with its arguments on one line."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [(line.split(None, 1)[0].upper(), " ".join(line.split()[1:])) for line in lines]


def containerfile(texts: Texts) -> list[str]:
    said = instructions(texts[CONTAINERFILE])
    found = []
    stages = {"scratch"}
    for name, arguments in said:
        if name == "FROM":
            words = [word for word in arguments.split() if not word.startswith("--")]
            if words[0] not in stages | {"${RUST_IMAGE}"}:
                found.append(f"the image `{words[0]}` is neither scratch, nor a stage, nor RUST_IMAGE")
            stages.add(words[-1])
        if name == "ADD" and not re.fullmatch(r"rootfs-\$\{TARGETARCH\}\.tar /", arguments):
            found.append(f"ADD {arguments}: only the root file system is added")
    images = [arguments.split("=", 1)[1] for name, arguments in said if name == "ARG" and arguments.startswith("RUST_IMAGE=")]
    pinned = [PINNED_IMAGE.match(image) for image in images]
    channel = tomllib.loads(texts["rust-toolchain.toml"])["toolchain"]["channel"]
    if len(pinned) != 1 or not pinned[0]:
        found.append("RUST_IMAGE is not pinned by a digest")
    elif pinned[0][1] != channel:
        found.append(f"RUST_IMAGE has Rust {pinned[0][1]}, rust-toolchain.toml {channel}")
    if "latest" in "".join(arguments for _, arguments in said):
        found.append("`latest` is whatever somebody makes of it")
    once = {
        "USER": f"{USER}:{USER}",
        "ENV": "PATH=/usr/bin",
        "ENTRYPOINT": f'["{PROGRAM}"]',
        "CMD": f'["serve", "--config", "{CONFIGURATION}"]',
        "EXPOSE": " ".join(ports(texts)),
    }
    for name, wanted in once.items():
        given = [arguments for each, arguments in said if each == name]
        if given != [wanted]:
            found.append(f"{name}: {given}, not `{wanted}`")
    health = [arguments for name, arguments in said if name == "HEALTHCHECK"]
    if len(health) != 1 or not health[0].endswith(f'CMD ["{PROGRAM}", "healthcheck", "--config", "{CONFIGURATION}"]'):
        found.append(f"HEALTHCHECK: {health}")
    finals = [arguments.split()[0] for name, arguments in said if name == "FROM" and arguments.split()[-1] in ("prebuilt", "exequatur")]
    if finals != ["described", "described"] or said[-2] != ("FROM", "described AS exequatur"):
        found.append("the images are not those that are described, or `exequatur` is not the last")
    return found


def ports(texts: Texts) -> list[str]:
    """Of the chart's pod, without that for orders."""
    return re.findall(r"name: (?:grpc|public|metrics), containerPort: (\d+)", texts[TEMPLATES])


def chart(texts: Texts) -> list[str]:
    text = texts[TEMPLATES]
    users = re.findall(r"(runAsUser|runAsGroup|fsGroup): (\S+)", text)
    found = [f"the chart has {key}: {value}, the image {USER}" for key, value in users if value != USER]
    if {key for key, _ in users} != {"runAsUser", "runAsGroup", "fsGroup"}:
        found.append("the chart does not set user and groups")
    commands = re.findall(r"\bcommand: (.*)$", text, re.MULTILINE)
    if not commands or not all(re.match(r"\[exequatur[],]", command) for command in commands):
        found.append(f"the chart runs {commands}: the image has `exequatur` in its PATH, and nothing else")
    if f"USER = {USER}\n" not in texts["packaging/rootfs.py"]:
        found.append("rootfs.py gives the folders to another user")
    return found


def versions(texts: Texts, tag: str | None = None) -> list[str]:
    version = tomllib.loads(texts["Cargo.toml"])["workspace"]["package"]["version"]
    # The chart has a version of its own: it changes without the program, too.
    app = str(yaml.safe_load(texts[CHART])["appVersion"])
    found = [f"Chart.yaml has appVersion {app}, Cargo.toml {version}"] if app != version else []
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"the tag {tag} is not that of version {version}")
        if not re.search(rf"^## \[?{re.escape(version)}\b", texts["CHANGELOG.md"], re.MULTILINE):
            found.append(f"CHANGELOG.md has no section {version}")
    return found


def unit(texts: Texts) -> list[str]:
    lines = [line.strip() for line in texts[UNIT].splitlines()]
    found = [f"the unit lacks `{line}`" for line in HARDENED if line not in lines]
    # The last of several wins, or an empty one takes all back.
    keys = [line.split("=", 1)[0] for line in HARDENED]
    for key in set(keys):
        if sum(line.startswith(f"{key}=") for line in lines) != keys.count(key):
            found.append(f"the unit says {key} more often than it is checked")
    if any(line.startswith("PrivateUsers=") for line in lines):
        found.append("PrivateUsers makes every user nobody, who would be one of `grpc_peers`")
    stops = re.findall(r"^TimeoutStopSec=(\d+)$", texts[UNIT], re.MULTILINE)
    if len(stops) != 1 or int(stops[0]) < LEAST_STOP_S:
        found.append(f"TimeoutStopSec {stops}: a drain needs {LEAST_STOP_S} s")
    return found


def workflow(name: str, text: str) -> list[str]:
    said: dict[str, Any] = yaml.safe_load(text)
    found = []
    for action in re.findall(r"uses:\s*(.*)$", text, re.MULTILINE):
        if not PINNED_ACTION.match(action):
            found.append(f"{name}: `{action}` is not pinned by commit, with its version")
    # YAML 1.1 reads `on` as true.
    if set(said[True]) - {"push", "pull_request"}:
        found.append(f"{name}: started by {sorted(said[True])}")
    if said.get("permissions") != {}:
        found.append(f"{name}: rights for every job")
    for job, body in said["jobs"].items():
        writes = {right for right, how in body.get("permissions", {"": "write"}).items() if how == "write"}
        if writes - ({"contents", "packages", "id-token", "attestations"} if job == "publish" else set()):
            found.append(f"{name}: {job} may write {sorted(writes)}")
        if "timeout-minutes" not in body:
            found.append(f"{name}: {job} has no time-out")
        for step in body["steps"]:
            if "${{" in str(step.get("run", "")):
                found.append(f"{name}: {job} puts an expression into a script")
            if str(step.get("uses", "")).startswith("actions/checkout@") and step.get("with", {}).get("persist-credentials") is not False:
                found.append(f"{name}: {job} leaves credentials in the checkout")
        if job != "publish" and re.search(r"secrets\.|github\.token", str(body)):
            found.append(f"{name}: {job} sees a secret")
    if re.search(r"\bsecrets\.", text):
        found.append(f"{name}: a secret of the repository")
    return found


def release(texts: Texts) -> list[str]:
    said = yaml.safe_load(texts[RELEASE])
    found = workflow(RELEASE, texts[RELEASE])
    if said[True] != {"push": {"tags": ["v*"]}}:
        found.append(f"a release is started by {said[True]}")
    if set(said["jobs"].get("publish", {}).get("needs", [])) != {"check", "build"}:
        found.append("publish does not wait for check and build")
    if "packaging/check.py --release" not in texts[RELEASE] or ".ci/run" not in texts[RELEASE]:
        found.append("a release does not run the checks")
    sums = "(cd target/{} && sha256sum --check --strict SHA256SUMS)"
    listed = texts["packaging/publish.sh"]
    pushed = listed.find("docker buildx build")
    compared = [listed.find(f"        {what}\n") for what in (sums.format("dist"), sums.format("image"), '[[ $BUILT =~ ^[0-9a-f]{64}$ && ${built%% *} == "$BUILT" ]]')]
    if not all(0 <= place < pushed for place in compared):
        found.append("publish.sh does not compare archives, root file systems and lists before it pushes")
    build, publish = said["jobs"].get("build", {}), said["jobs"].get("publish", {})
    steps = {step.get("id"): step for step in [*build.get("steps", []), *publish.get("steps", [])]}
    wanted = 'echo "built=$(cat target/dist/SHA256SUMS target/image/SHA256SUMS | sha256sum | cut -c -64)" >>"$GITHUB_OUTPUT"'
    handed = (build.get("outputs"), steps.get("built", {}).get("run"), steps.get("image", {}).get("env"))
    if handed != ({"built": "${{ steps.built.outputs.built }}"}, wanted, {"BUILT": "${{ needs.build.outputs.built }}"}):
        found.append("the job that publishes is not told what the other has built")
    if "packaging/sums.py target/image" not in texts["Makefile"]:
        found.append("`make dist` writes no checksums of the root file systems")
    for what in ("cosign sign --yes \"$IMAGE\"", "cosign sign --yes \"$CHART\"", "cosign sign-blob"):
        if what not in texts["packaging/publish.sh"]:
            found.append(f"publish.sh does not `{what}`")
    if texts[RELEASE].count("actions/attest@") != 3:
        found.append("archives, image and its bill of materials are not all attested")
    return found


def findings(texts: Texts) -> list[str]:
    return containerfile(texts) + chart(texts) + versions(texts) + unit(texts) + release(texts)


# File, what is changed, to what. `findings` has to object to each.
BROKEN = [
    (CONTAINERFILE, "USER 65532:65532", "USER 0:0"),
    (CONTAINERFILE, "USER 65532:65532", "USER exequatur"),
    (CONTAINERFILE, "USER 65532:65532\n", ""),
    (CONTAINERFILE, "EXPOSE 9191", "USER 0\nEXPOSE 9191"),
    (CONTAINERFILE, "FROM scratch AS described", "FROM debian:bookworm AS described"),
    (CONTAINERFILE, "FROM described AS exequatur", "FROM scratch AS exequatur"),
    (CONTAINERFILE, "FROM described AS prebuilt", "FROM scratch AS prebuilt"),
    (CONTAINERFILE, "ADD rootfs-", "ADD https://example.com/rootfs-"),
    (CONTAINERFILE, "@sha256:", "@sha256:0"),
    (CONTAINERFILE, "rust:1.95.0-bookworm", "rust:1.94.0-bookworm"),
    (CONTAINERFILE, "rust:1.95.0-bookworm", "rust:latest"),
    (CONTAINERFILE, 'ENTRYPOINT ["/usr/bin/exequatur"]', "ENTRYPOINT exequatur"),
    (CONTAINERFILE, '"healthcheck"', '"--version"'),
    (CONTAINERFILE, "HEALTHCHECK", "# HEALTHCHECK"),
    (CONTAINERFILE, "ENV PATH=/usr/bin", "ENV PATH=/bin"),
    (CONTAINERFILE, "EXPOSE 9191 9192 9193", "EXPOSE 9191 9192"),
    (TEMPLATES, "runAsUser: 65532", "runAsUser: 1000"),
    (TEMPLATES, "fsGroup: 65532", "fsGroup: 0"),
    (TEMPLATES, "command: [exequatur]", "command: [/exequatur]"),
    (TEMPLATES, "containerPort: 9193", "containerPort: 9190"),
    ("packaging/rootfs.py", "USER = 65532", "USER = 0"),
    (CHART, "appVersion: ", "appVersion: 9"),
    (UNIT, "TimeoutStopSec=30", "TimeoutStopSec=10"),
    *((UNIT, f"{line}\n", "") for line in HARDENED),
    (UNIT, "CapabilityBoundingSet=\n", "CapabilityBoundingSet=CAP_NET_ADMIN\n"),
    (UNIT, "RemoveIPC=yes", "PrivateUsers=yes"),
    (UNIT, "NoNewPrivileges=yes", "NoNewPrivileges=yes\nNoNewPrivileges=no"),
    (UNIT, "SystemCallFilter=~@privileged @resources", "SystemCallFilter=~@privileged @resources\nSystemCallFilter="),
    (RELEASE, "permissions: {}", "permissions: write-all"),
    (RELEASE, "      contents: read\n", "      contents: write\n"),
    (RELEASE, "persist-credentials: false", "persist-credentials: true"),
    (RELEASE, "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
    (RELEASE, "run: make dist", "run: make dist ${{ github.ref_name }}"),
    (RELEASE, "run: make dist", "run: make dist\n        env:\n          TOKEN: ${{ secrets.TOKEN }}"),
    (RELEASE, 'tags: ["v*"]', 'branches: ["main"]'),
    (RELEASE, "needs: [check, build]", "needs: [build]"),
    (RELEASE, "timeout-minutes: 30", "continue-on-error: true"),
    (RELEASE, "run: packaging/check.py --release", "run: echo"),
    (RELEASE, "run: .ci/run", "run: make lint"),
    (RELEASE, "actions/attest@", "actions/checkout@"),
    ("packaging/publish.sh", "(cd target/dist && sha256sum --check --strict SHA256SUMS)", "true"),
    ("packaging/publish.sh", "(cd target/image && sha256sum --check --strict SHA256SUMS)", "true"),
    ("packaging/publish.sh", '== "$BUILT" ]]', '== "$BUILT" ]] || true'),
    (RELEASE, "BUILT: ${{ needs.build.outputs.built }}", "BUILT: none"),
    (RELEASE, "built: ${{ steps.built.outputs.built }}", "built: none"),
    ("Makefile", "packaging/sums.py target/image", "true"),
    ("packaging/publish.sh", 'cosign sign --yes "$IMAGE"', "true"),
    ("packaging/publish.sh", 'cosign sign --yes "$CHART"', "true"),
    ("packaging/publish.sh", "cosign sign-blob", "true"),
]


def unnoticed(texts: Texts) -> list[str]:
    """Which changes of BROKEN no rule objects to."""
    silent = []
    for name, old, new in BROKEN:
        changed = texts[name].replace(old, new, 1)
        if changed == texts[name]:
            silent.append(f"BROKEN: {name} has no `{old}`")
        elif not findings({**texts, name: changed}):
            silent.append(f"BROKEN: {name}: `{old}` became `{new}`, and nothing was said")
    return silent


def main() -> None:
    """Ends with 1 if something is wrong."""
    names = [CONTAINERFILE, UNIT, CHART, RELEASE]
    names += ["Makefile", "Cargo.toml", "CHANGELOG.md", "rust-toolchain.toml", "packaging/rootfs.py", "packaging/publish.sh"]
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    texts[TEMPLATES] = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / TEMPLATES).iterdir()))
    found = findings(texts)
    if sys.argv[1:2] == ["--release"] and len(sys.argv) == 3:
        found += versions(texts, sys.argv[2])
    elif len(sys.argv) > 1:
        raise SystemExit("usage: check.py [--release TAG]")
    else:
        found = found or unnoticed(texts)
        others = sorted((ROOT / ".github/workflows").glob("*.yml"))
        for other in others:
            found += workflow(other.name, other.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory(prefix="exequatur-packaging-") as folder:
            found += read_by_tools(Path(folder))
    for line in found:
        print(line)
    if found:
        raise SystemExit(1)
    print(f"packaging: as it should be; {len(BROKEN)} ways to break it are noticed")


if __name__ == "__main__":
    main()
