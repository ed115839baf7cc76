#!/usr/bin/env python3
"""Fails when a crate depends on a sibling that the layering does not allow."""

import json
import subprocess
import sys

ALLOWED = {
    "proto": set(),
    "token": set(),
    "policy": set(),
    "store": set(),
    "audit": set(),
    "lint": set(),
    "issuers": {"token"},
    "decide": {"token", "policy", "store", "issuers"},
    "admin": {"decide", "store", "policy", "audit", "token", "issuers"},
    "signals": {"token", "issuers", "store", "decide", "audit"},
    "server": {"admin", "signals", "proto", "decide", "issuers", "store", "policy", "token", "audit"},
    "cli": {"server", "proto", "signals", "admin", "decide", "policy", "token", "store", "audit", "lint"},
    "tests": {"proto", "token", "policy", "store", "audit", "lint", "issuers", "decide", "admin", "signals", "server", "cli"},
}
PREFIX = "exequatur-"


def main() -> int:
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )
    wrong = []
    for package in metadata["packages"]:
        crate = package["name"].removeprefix(PREFIX)
        if crate not in ALLOWED:
            wrong.append(f"{crate}: not in the layering of tests/tools/arrows.py")
            continue
        for dependency in package["dependencies"]:
            name = dependency["name"]
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in ALLOWED[crate]:
                wrong.append(f"{crate} -> {name.removeprefix(PREFIX)}")
    for line in wrong:
        print(f"arrows.py: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
