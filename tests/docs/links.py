#!/usr/bin/env python3
"""Links of Markdown files outside of docs/ (the site checks those within): the file is there, and so is the heading."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def slugs(text):
    """The anchors that a code host gives to headings."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(path, text):
    """The links of a file that lead nowhere."""
    for link in LINK.findall(CODE.sub("", FENCED.sub("", text))):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in slugs(target.read_text()):
            yield f"{link}: no such heading"


def pages(folder):
    """Markdown files of the repository, without what was installed or built there."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if not path.name.startswith(".") and path.name not in ("docs", "target", "node_modules") or path == ROOT / "tests/docs":
                yield from pages(path)
        elif path.suffix == ".md":
            yield path


def main():
    found = [f"{path.relative_to(ROOT)}: {link}" for path in pages(ROOT) for link in dead(path, path.read_text())]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
