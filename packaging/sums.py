#!/usr/bin/env python3
"""sums.py IMAGES ARCH=BINARY … writes IMAGES/SHA256SUMS, of the root file systems that the image is made of (rootfs-ARCH.tar).

Refuses one whose program is not the one that is packed into the archives: the image would run something else than they have.
"""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

PROGRAM = "usr/bin/exequatur"


def sums(programs: dict[str, bytes], systems: dict[str, bytes]) -> str:
    """What `sha256sum --check` reads; both by architecture."""
    lines = []
    for architecture, program in sorted(programs.items()):
        with tarfile.open(fileobj=io.BytesIO(systems[architecture])) as tar:
            held = tar.extractfile(PROGRAM)
            if held is None or held.read() != program:
                raise SystemExit(f"sums.py: rootfs-{architecture}.tar has another program than the archive")
        lines.append(f"{hashlib.sha256(systems[architecture]).hexdigest()}  rootfs-{architecture}.tar\n")
    return "".join(lines)


def main() -> None:
    """Writes the file."""
    if len(sys.argv) < 3 or not all("=" in word for word in sys.argv[2:]):
        raise SystemExit("usage: sums.py IMAGES ARCH=BINARY …")
    folder = Path(sys.argv[1])
    programs = {architecture: Path(path).read_bytes() for architecture, path in (word.split("=", 1) for word in sys.argv[2:])}
    systems = {architecture: (folder / f"rootfs-{architecture}.tar").read_bytes() for architecture in programs}
    made = sums(programs, systems)
    (folder / "SHA256SUMS").write_text(made, encoding="utf-8")
    print(made, end="")


if __name__ == "__main__":
    main()
