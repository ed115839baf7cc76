#!/usr/bin/env python3
"""repeat.py BINARY packs a release twice, in two folders, hours and languages, and compares the bytes.

The program within is a stand-in: that compile.sh gives the same twice takes two builds of a release (docs/how-to/release.md).
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from archive import ROOT

SURROUNDINGS: list[tuple[int, dict[str, str]]] = [
    (0o022, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
    (0o077, {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}),
]
PACK = """
import sys
from pathlib import Path
import dist, rootfs, sums
from archive import packed
elf = b"\\x7fELF\\x02" + bytes(59)
for name, content in dist.release({"amd64": elf, "arm64": elf + b"2"}, [Path(sys.argv[1])]).items():
    Path(name).write_bytes(content)
system = packed(rootfs.rootfs(elf, b"-----BEGIN CERTIFICATE-----"))
Path("rootfs.tar").write_bytes(system)
Path("sums").write_text(sums.sums({"amd64": elf}, {"amd64": system}))
try:
    sums.sums({"amd64": elf + b"2"}, {"amd64": system})
except SystemExit:
    pass
else:
    raise SystemExit("repeat.py: a root file system with another program goes unnoticed")
"""


def main() -> None:
    """Ends with 1 if a file differs."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: repeat.py BINARY")
    made = []
    for umask, variables in SURROUNDINGS:
        with tempfile.TemporaryDirectory(prefix="exequatur-packed-") as folder:
            environment = {**os.environ, **variables, "SOURCE_DATE_EPOCH": "1790000000", "PYTHONPATH": str(ROOT / "packaging")}
            words = [sys.executable, "-c", PACK, str(Path(sys.argv[1]).resolve())]
            subprocess.run(words, cwd=folder, env=environment, check=True, umask=umask)
            made.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).iterdir()})
            listed = subprocess.run(["tar", "-tzf", *Path(folder).glob("*-amd64.tar.gz")], check=True, capture_output=True, text=True).stdout
    differ = [name for name in made[0] if made[0][name] != made[1].get(name)]
    if differ or made[0].keys() != made[1].keys() or len(made[0]) != 6:
        raise SystemExit(f"repeat.py: not the same twice: {differ or [each.keys() for each in made]}")
    for wanted in ("exequatur", "LICENSE", "man/man1/exequatur-serve.1", "completions/_exequatur", "systemd/exequatur.service", "policies/reading.cedar"):
        if not any(line.endswith(f"/{wanted}") for line in listed.splitlines()):
            raise SystemExit(f"repeat.py: the archive has no {wanted}")
    print(f"packaging: {len(made[0])} files are the same twice")


if __name__ == "__main__":
    main()
