#!/usr/bin/env python3
"""Fails when docs/reference/reasons.md and the reason vocabulary differ."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> int:
    source = (ROOT / "crates/decide/src/reason.rs").read_text(encoding="utf-8")
    page = (ROOT / "docs/reference/reasons.md").read_text(encoding="utf-8")
    codes = set(re.findall(r'^ +[A-Z]\w+ = "([a-z_]+)",$', source, re.MULTILINE))
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    if not codes:
        print("reasons.py: no reason found in reason.rs", file=sys.stderr)
        return 1
    for code in sorted(codes - documented):
        print(f"reasons.py: docs/reference/reasons.md lacks {code}", file=sys.stderr)
    for code in sorted(documented - codes):
        print(f"reasons.py: docs/reference/reasons.md names {code}, which is no reason", file=sys.stderr)
    return 1 if codes != documented else 0


if __name__ == "__main__":
    sys.exit(main())
