#!/usr/bin/env python3
"""dist.py FOLDER ARCH=BINARY … packs the archives of a release into a folder, with what is linked (sbom.py) and SHA256SUMS.

An archive has the program, its man pages and completions, the systemd unit, the example policies, licence and changes. The same
inputs give the same bytes. Pages are made by a program of this machine: the first that runs here.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import sbom
from archive import ROOT, Entry, compressed, packed

SHELLS = {"bash": "exequatur", "zsh": "_exequatur", "fish": "exequatur.fish"}


def pages(programs: list[Path]) -> dict[str, Entry]:
    """Man pages and completions."""
    for program in programs:
        try:
            subprocess.run([program, "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        made: dict[str, Entry] = {}
        for shell, name in SHELLS.items():
            script = subprocess.run([program, "completions", shell], check=True, capture_output=True).stdout
            made[f"completions/{name}"] = Entry(script, 0o644)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([program, "man", folder], check=True)
            for page in Path(folder).iterdir():
                made[f"man/man1/{page.name}"] = Entry(page.read_bytes(), 0o644)
        return made
    raise SystemExit("dist.py: none of the programs runs here, which its man pages need")


def committed(*folders: str) -> dict[str, Entry]:
    """Files of the repository, those that git knows; with the mode that git knows."""
    listed = subprocess.run(["git", "ls-files", "--stage", "-z", "--", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    made = {}
    for line in listed.stdout.split("\0"):
        if line:
            (mode, *_), name = line.split("\t")[0].split(), line.split("\t")[1]
            made[name.removeprefix("packaging/")] = Entry((ROOT / name).read_bytes(), 0o755 if mode == "100755" else 0o644)
    return made


def release(programs: dict[str, bytes], runnable: list[Path]) -> dict[str, bytes]:
    """Every file of a release, by name; `programs` by architecture."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    bill = (json.dumps(sbom.bill(), indent=1, sort_keys=True) + "\n").encode()
    same = pages(runnable) | committed("LICENSE", "CHANGELOG.md", "policies", "packaging/systemd")
    same["exequatur.cdx.json"] = Entry(bill, 0o644)
    made = {f"exequatur-{version}.cdx.json": bill}
    for architecture, program in programs.items():
        name = f"exequatur-{version}-linux-{architecture}"
        entries = same | {"exequatur": Entry(program, 0o755)}
        made[f"{name}.tar.gz"] = compressed(packed({f"{name}/{path}": entry for path, entry in entries.items()}))
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(made.items())]
    return made | {"SHA256SUMS": "".join(sums).encode()}


def main() -> None:
    """Packs everything."""
    if len(sys.argv) < 3 or not all("=" in word for word in sys.argv[2:]):
        raise SystemExit("usage: dist.py FOLDER ARCH=BINARY …")
    folder = Path(sys.argv[1])
    programs = {architecture: Path(path).resolve() for architecture, path in (word.split("=", 1) for word in sys.argv[2:])}
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(f"dist.py: {folder} is not empty")
    made = release({architecture: path.read_bytes() for architecture, path in programs.items()}, list(programs.values()))
    for name, content in made.items():
        (folder / name).write_bytes(content)
    print(made["SHA256SUMS"].decode(), end="")


if __name__ == "__main__":
    main()
