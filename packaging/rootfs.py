#!/usr/bin/env python3
"""rootfs.py BINARY rootfs.tar makes the root file system of the image.

The program, the certificates of public authorities, a user, places to mount something, the licence, and nothing else: no shell, no
library. The Containerfile runs this, and trial.py runs what this has made. CA_BUNDLE names the certificates (those of Debian's
ca-certificates). As an archive, so that owners do not depend on who makes it.
"""

import os
import struct
import sys
from pathlib import Path

from archive import ROOT, Entry, packed

# As in the Containerfile and the chart; check.py compares.
USER = 65532


def rootfs(binary: bytes, authorities: bytes) -> dict[str, Entry]:
    """What is in the image, by path; refuses a program that would not start there."""
    if asks_for_loader(binary):
        raise SystemExit("rootfs.py: the program is not static, and there will be no loader for it")
    return filled(binary, authorities)


def asks_for_loader(binary: bytes) -> bool:
    """Whether this ELF file of 64 bits has a PT_INTERP."""
    if binary[:5] != b"\x7fELF\x02":
        raise SystemExit("rootfs.py: the program is not an ELF file of 64 bits")
    (table,) = struct.unpack_from("<Q", binary, 32)
    size, count = struct.unpack_from("<HH", binary, 54)
    return any(struct.unpack_from("<I", binary, table + size * at)[0] == 3 for at in range(count))


def filled(binary: bytes, authorities: bytes) -> dict[str, Entry]:
    """The same for any program."""
    if b"-----BEGIN CERTIFICATE-----" not in authorities:
        raise SystemExit("rootfs.py: no certificates of public authorities")
    return {
        "usr/bin/exequatur": Entry(binary, 0o755),
        "usr/share/doc/exequatur/LICENSE": Entry((ROOT / "LICENSE").read_bytes(), 0o644),
        # Where rustls looks; an issuer whose configuration has no `ca_file` is trusted by these.
        "etc/ssl/certs/ca-certificates.crt": Entry(authorities, 0o644),
        # For what wants a name for the number; nobody logs in.
        "etc/passwd": Entry(f"exequatur:x:{USER}:{USER}::/nonexistent:/nonexistent\n".encode(), 0o644),
        "etc/group": Entry(f"exequatur:x:{USER}:\n".encode(), 0o644),
        "etc/exequatur": Entry(None, 0o755),
        # Mount points for sockets, and for records and the embedded store. A new volume takes their owner.
        "run/exequatur": Entry(None, 0o700, USER),
        "var/lib/exequatur": Entry(None, 0o700, USER),
    }


def main() -> None:
    """Writes the archive."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: rootfs.py BINARY rootfs.tar")
    authorities = Path(os.environ.get("CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt"))
    made = packed(rootfs(Path(sys.argv[1]).read_bytes(), authorities.read_bytes()))
    Path(sys.argv[2]).write_bytes(made)


if __name__ == "__main__":
    main()
