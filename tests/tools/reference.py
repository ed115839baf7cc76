#!/usr/bin/env python3
"""Puts what the program says of itself into the pages, or with --check fails where a page says something else.

A page has generated parts between `<!-- generated: COMMAND -->` and `<!-- end -->`; the command's output stands there as it is. With
`COMMAND | keys PREFIX` (or `top level`) only those rows of the table of keys stand there that begin with the prefix and with no longer one of
the page, and their last column belongs to the page: facts are the program's, words the writer's. A new key begins with the
program's words.
"""

import argparse
import difflib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?P<begin>^<!-- generated: (?P<command>exequatur [^|>\n]+?)(?: \| (?P<rows>top level|keys [\w.]+))? -->\n)(?P<body>.*?)^<!-- end -->$", re.DOTALL | re.MULTILINE)
BEGIN = re.compile(r"<!-- generated:")
# Pages and files that are what a command prints, whole.
WHOLE = {"cli.md": "reference", "config.schema.json": "config schema", "openapi.json": "openapi"}
# What has to stand in some page.
TABLES = {"configuration", "reasons", "headers", "metrics", "context", "rules"}


class Program:
    """What it printed, by command; asked once each."""

    def __init__(self, binary: str) -> None:
        self.binary, self.said = binary, {}

    def says(self, command: str) -> str:
        if command not in self.said:
            words = [self.binary, *shlex.split(command)]
            self.said[command] = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return self.said[command]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def line(row: list[str]) -> str:
    return "| " + " | ".join(row) + " |\n"


def rows_of(table: str) -> dict[str, list[str]]:
    """By key, those that begin with one."""
    rows = [cells(row) for row in table.splitlines() if row.startswith("| `")]
    return {row[0].strip("`"): row for row in rows}


def keys(said: str, which: str, others: list[str], body: str) -> str:
    """The rows of one part, with the words that the page has for them."""
    written = {key: row[-1] for key, row in rows_of(body).items()}
    top, rest = said.split("\n\n", 1)
    if which == "top level":
        prefix, table = "", top
        mine = list(rows_of(table).items())
    else:
        prefix, table = which.removeprefix("keys ") + ".", rest
        deeper = [other for other in others if other != prefix and other.startswith(prefix)]
        mine = [(key, row) for key, row in rows_of(table).items() if key.startswith(prefix) and not any(key.startswith(other) for other in deeper)]
    # Keys are named from their section, which is what is outermost.
    section = prefix.split(".")[0] + "." if prefix else ""
    head = "".join(row + "\n" for row in table.splitlines()[:2])
    named = [(key.removeprefix(section), row) for key, row in mine]
    return head + "".join(line([f"`{key}`", *row[1:-1], written.get(key) or row[-1]]) for key, row in named)


def fresh(text: str, program: Program) -> str:
    """The page as it has to be."""
    parts = [match["rows"] for match in BLOCK.finditer(text)]
    others = [part.removeprefix("keys ") + "." for part in parts if part and part != "top level"]

    def made(match: re.Match[str]) -> str:
        said = program.says(match["command"].removeprefix("exequatur "))
        body = keys(said, match["rows"], others, match["body"]) if match["rows"] else said.strip("\n") + "\n"
        return f"{match['begin']}\n{body}\n<!-- end -->"

    return BLOCK.sub(made, text)


def lacking(texts: dict[str, str], program: Program) -> list[str]:
    """What no page has: a whole table, a key, a marker that is none."""
    matches = [match for text in texts.values() for match in BLOCK.finditer(text)]
    asked = {match["command"].removeprefix("exequatur reference ") for match in matches}
    wrong = [f"no page has `exequatur reference {table}`" for table in sorted(TABLES - asked)]
    wrong += [f"{name}: a part that does not begin or end as one" for name, text in texts.items() if len(BEGIN.findall(text)) != len(BLOCK.findall(text))]
    parts = {match["rows"] for match in matches if match["rows"]}
    top, rest = program.says("reference configuration").split("\n\n", 1)
    wrong += ["no page has the keys of the top level"] if "top level" not in parts else []
    prefixes = [part.removeprefix("keys ") + "." for part in parts if part != "top level"]
    return wrong + [f"no page has the key {key}" for key in rows_of(rest) if not any(key.startswith(prefix) for prefix in prefixes)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="change nothing; fail if something would change")
    arguments.add_argument("--pages", type=Path, default=ROOT / "docs/reference", help="the folder of the pages")
    arguments.add_argument("--program", default=os.environ.get("EXEQUATUR_BIN", str(ROOT / "target/debug/exequatur")))
    asked = arguments.parse_args()
    program, wrong, texts = Program(asked.program), [], {}
    for path in sorted(asked.pages.glob("*.*")):
        is_text = path.read_text(encoding="utf-8")
        if path.name in WHOLE:
            text = program.says(WHOLE[path.name])
        elif path.suffix == ".md":
            text, texts[path.name] = fresh(is_text, program), is_text
        else:
            continue
        if text == is_text:
            continue
        if asked.check:
            changes = list(difflib.unified_diff(is_text.splitlines(), text.splitlines(), "page", "program", lineterm="", n=0))[2:]
            wrong += [f"{path.name}: {change}" for change in changes if not change.startswith("@@")][:20]
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{path.name}: made anew")
    wrong += lacking(texts, program)
    for complaint in wrong:
        print(f"reference: {complaint}", file=sys.stderr)
    if wrong and asked.check:
        print("reference: `make reference` puts into the pages what the program says", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
