#!/usr/bin/env python3
"""Does what the pages of docs/tutorial and docs/how-to, and README.md, say, and compares what they show with what came. tests/docs/README.md says how
pages are written for it.

    tests/docs/run.py [--list] [PAGE.md …]

The how-tos are played one after another in one folder, as somebody does who reads several, in three such rows at once.
"""

import argparse
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# For `git ls-files`, where `*` takes folders below too.
PAGES = ("README.md", "docs/tutorial/*.md", "docs/how-to/*.md", "examples/*/README.md")
# Of these none may leave anything behind.
TIDY = ("docs/tutorial/", "docs/how-to/")
# What a page's folder has: a clone as it is after `make build tools`.
CLONE = ("charts", "docs", "envoy", "examples", "packaging", "policies", "tests/authorization-server", "tests/docs/bin", "tests/tools", "Makefile", "README.md")
COMMANDS = {"console", "sh", "bash", "shell"}
SET_UP = "set up"
TEXTS = {"", "text"}
# Of these a block with a name is a file that is written, and one without an excerpt.
FILES = {"cedar", "ini", "js", "json", "python", "typescript", "yaml"}
DRAWN = {"mermaid"}
PATIENCE = 60.0
# Pages wait more than they work: for a drain, a refresh, an alert.
ROWS = 3
# What was sent its end may take a while to come to it.
TIME_TO_END = 10.0
USUAL_PATH = "/usr/local/bin:/usr/bin:/bin"
FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")
# What readers' programs take for a fence as well, and this one does not: in a quotation, or behind the sign of a list.
OTHER_FENCE = re.compile(r"^[ \t>*+-]*(\d+[.)][ \t]+)?[ \t>*+-]*(```+|~~~+)[^`]*$")
TYPED_OUTSIDE = re.compile(r"^[ \t>]*\$ \S")
MARK = re.compile(r"<!-- not executed: (.+?) -->")
NEEDS_MARK = re.compile(r"<!-- needs: (\S+) -->")
FILE_MARK = re.compile(r"<!-- file: (\S+) -->")
PAGE_MARK = re.compile(r"<!-- nothing of this page is executed: (.+?) -->")
LOOKS_TYPED = re.compile(r"^\s*(\$ |(sudo |make |exequatur |kubectl |helm |curl |cargo |git clone ))", re.MULTILINE)


class Wrong(Exception):
    """A page that is not as it says; begins with page and line."""


@dataclass
class Block:
    line: int
    kind: str
    name: str
    lines: list
    mark: str | None
    before: str
    "The paragraph before it, which has to name the file: what stands behind the first word of a fence is not shown to readers."


@dataclass
class Step:
    line: int
    command: str
    shown: list | None = field(default=None)
    "Lines that are shown; None where nothing is compared."


def tracked(root):
    """The pages of the repository. One that nobody has added yet is an error: it would be tested here and nowhere else."""
    def listed(*flags):
        said = subprocess.run(["git", "-C", root, "ls-files", "-z", *flags, "--", *PAGES], capture_output=True, text=True)
        if said.returncode != 0:
            raise Wrong(f"which pages there are is asked of git: {said.stderr.strip()}")
        return sorted(filter(None, said.stdout.split("\0")))

    if others := listed("--others", "--exclude-standard"):
        raise Wrong(f"not known to git, so not in a clone (git add): {', '.join(others)}")
    return listed()


def blocks(page, text):
    found, lines, mark, file = [], text.splitlines(), None, None
    marked_page = PAGE_MARK.search(text)
    number = 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        if lines[number].strip() == f"<!-- {SET_UP}":
            start, body = number + 1, []
            number += 1
            while number < len(lines) and lines[number].strip() != "-->":
                body.append(lines[number])
                number += 1
            number += 1
            found.append(Block(start, SET_UP, "", body, None, ""))
            continue
        if not opened:
            if marked := MARK.search(lines[number]):
                mark = marked[1]
            elif needed := NEEDS_MARK.search(lines[number]):
                mark = None if shutil.which(needed[1], path=USUAL_PATH) else f"there is no {needed[1]} on this machine"
            elif named := FILE_MARK.search(lines[number]):
                file = named[1]
            elif lines[number].strip():
                mark = file = None
                stray(page, number + 1, lines[number])
            number += 1
            continue
        indent, fence, info = opened.groups()
        start, body = number + 1, []
        number += 1
        while number < len(lines) and lines[number].strip() != fence:
            line = lines[number]
            if line.lstrip().startswith(fence):
                raise Wrong(f"{page}:{number + 1}: the block of line {start} does not end with {fence}: {line.strip()}")
            body.append(line[len(indent):] if line.startswith(indent) else line.lstrip())
            number += 1
        if number == len(lines):
            raise Wrong(f"{page}:{start}: the block has no end")
        number += 1
        kind, _, name = info.strip().partition(" ")
        if marked_page and (kind in COMMANDS or kind in TEXTS and LOOKS_TYPED.search("\n".join(body))):
            kind, mark = "sh", mark or marked_page[1]
        found.append(Block(start, kind, name.strip() or file or "", body, mark, paragraph(lines[:start - 1])))
        mark = file = None
    return found


def stray(page, number, line):
    """Commands that a reader sees and `blocks` does not."""
    if OTHER_FENCE.match(line):
        raise Wrong(f"{page}:{number}: a fence stands at the beginning of its line: {line.strip()}")
    if TYPED_OUTSIDE.match(line):
        raise Wrong(f"{page}:{number}: commands stand in a block `console` or `sh`: {line.strip()}")


def paragraph(lines):
    words = []
    for line in reversed(lines):
        if FILE_MARK.search(line):
            continue
        if line.strip():
            words.append(line)
        elif words:
            break
    return "\n".join(reversed(words))


def judge(page, block):
    """Whether a block is one that the rules know."""
    if block.kind == SET_UP:
        return
    if block.kind not in COMMANDS | TEXTS | FILES | DRAWN:
        raise Wrong(f"{page}:{block.line}: no kind of block that is known: ```{block.kind}")
    typed = LOOKS_TYPED.search("\n".join(block.lines))
    if block.kind in COMMANDS:
        if block.name:
            raise Wrong(f"{page}:{block.line}: commands are not a file: ```{block.kind} {block.name}")
        if block.kind == "console" and block.mark is None and not (block.lines and block.lines[0].startswith("$ ")):
            raise Wrong(f"{page}:{block.line}: a console block begins with `$ `")
    elif block.mark is not None:
        raise Wrong(f"{page}:{block.line}: only commands are marked as not executed")
    elif typed and not block.name and block.kind in TEXTS:
        raise Wrong(f"{page}:{block.line}: commands stand in a block `console` or `sh`")
    if block.name and f"`{block.name}`" not in block.before:
        raise Wrong(f"{page}:{block.line}: the paragraph before does not tell the reader to write `{block.name}`")
    if block.name and (Path(block.name).is_absolute() or ".." in Path(block.name).parts):
        raise Wrong(f"{page}:{block.line}: {block.name} is outside of the page's folder")


def steps(block):
    """The commands of a block, each with what is shown of it. A command goes on in the next line after a backslash, in a here
    document, in a quotation, and up to the `done`, `fi` or `}` of its own, as bash says."""
    found, open_step = [], False
    for offset, line in enumerate(block.lines):
        if open_step:
            found[-1].command += "\n" + line
        elif block.kind != "console":
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            found.append(Step(block.line + 1 + offset, line))
        elif line.startswith("$ "):
            found.append(Step(block.line + 1 + offset, line[2:], []))
        else:
            found[-1].shown.append(line)
            continue
        open_step = unfinished(found[-1].command)
    return found


def unfinished(command):
    if command.endswith("\\"):
        return True
    said = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
    # Of a here document without an end it only warns.
    return "here-document" in said.stderr or "unexpected EOF" in said.stderr or "unexpected end of file" in said.stderr


def pattern(shown):
    """`…` stands for anything within a line, and alone in a line for any lines."""
    parts = []
    for line in shown:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n")
    return re.compile("".join(parts))


def agrees(shown, came):
    return pattern(shown).fullmatch(came) is not None


def first_difference(shown, came):
    """The first shown line after which nothing that came agrees any more."""
    for count in range(1, len(shown) + 1):
        if not pattern(shown[:count]).match(came):
            return f"line {count} of what is shown: {shown[count - 1]}"
    return "more came than is shown"


def tidy(text):
    text = re.sub(r"\x1b\[[0-9;]*m", "", text.replace("\r", ""))
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


FIRST_FAILURE = "trap '_failed=$?; trap - ERR; return $_failed' ERR"
# `cd missing && make` trips no trap, but is what the last command ended with.
AND_ITS_OWN = "_failed=$?; trap - ERR; return $_failed"


class Shell:
    """One bash for a whole page. Each command is a file that it reads, so that none eats the next one from standard input."""

    def __init__(self, folder, environment):
        self.folder = Path(folder)
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self.folder / "clone", env=environment, start_new_session=True,
        )
        self.count = 0
        self.scripts = self.folder / "commands"
        self.scripts.mkdir(exist_ok=True)

    def run(self, command, to_the_end=True):
        """What came, and how it ended. Unless it is `to_the_end`, it ends where the first of several commands fails, as `set -e` would
        end, which would end the shell too."""
        self.count += 1
        script = self.scripts / f"{self.process.pid}-{self.count}"
        script.write_text(command + "\n" if to_the_end else f"{FIRST_FAILURE}\n{command}\n{AND_ITS_OWN}\n")
        end = f"end of command {self.count}, {os.urandom(8).hex()}"
        self.process.stdin.write(f". {script} </dev/null; _ended=$?; printf '\\n%s %s\\n' '{end}' $_ended; (exit $_ended)\n".encode())
        self.process.stdin.flush()
        came, until = b"", time.monotonic() + PATIENCE
        while end.encode() not in came or not came.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                why = "the shell ended" if ready else f"no end after {PATIENCE:.0f} s"
                raise Wrong(f"{why}; until then:\n{came.decode(errors='replace')}")
            came += chunk
        text, _, status = came.decode(errors="replace").rpartition(end)
        return tidy(text), int(status.split()[0])

    def started(self):
        """The processes that were started in it and have not ended."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                # Of what stands behind the name: state, parent, group, session.
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if session == str(self.process.pid) and entry.name != session and state != "Z":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or entry.name)
            except (OSError, ValueError):
                continue
        return found

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        with self.process:
            pass


def lay_out(folder):
    """A clone as it is after `make build tools`, and a home with nothing in it."""
    clone = Path(folder) / "clone"
    for name in CLONE:
        source, target = ROOT / name, clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif source.exists():
            shutil.copy(source, target)
    binary = Path(os.environ.get("EXEQUATUR_BIN") or
                  Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/exequatur").resolve()
    if not binary.exists():
        raise Wrong(f"{binary} is missing: make build")
    (clone / "target/debug").mkdir(parents=True)
    (clone / "target/debug/exequatur").symlink_to(binary)
    (clone / ".tools").symlink_to((ROOT / ".tools").resolve())
    (clone / "tests/authorization-server/node_modules").symlink_to((ROOT / "tests/authorization-server/node_modules").resolve())
    (Path(folder) / "home").mkdir()


def environment(folder):
    """What a reader's shell has who did nothing yet."""
    path = USUAL_PATH
    if not shutil.which("python3", path=path):
        path = f"{Path(sys.executable).parent}:{path}"
    return {"HOME": str(Path(folder) / "home"), "PATH": path, "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb"}


def lying_about(folder):
    """Every file and folder that a page can have made, with what tells whether it was changed."""
    found = {}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        # The home holds what programs keep for themselves, the other one our scripts.
        folders[:] = [each for each in folders if each != "__pycache__" and here / each not in (Path(folder) / "home", Path(folder) / "commands")]
        for name in folders:
            found[str((here / name).relative_to(folder))] = None
        for name in files:
            path = here / name
            about = path.lstat()
            found[str(path.relative_to(folder))] = (about.st_size, about.st_mtime_ns, about.st_mode)
    return found


def left(page, shell, folder, before):
    """Complains of what a page has started and not stopped, or made and not removed: it would spoil the next."""
    until = time.monotonic() + TIME_TO_END
    while (running := shell.started()) and time.monotonic() < until:
        select.select([], [], [], 0.05)
    after = lying_about(folder)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name, "") != after.get(name, ""))
    if running:
        raise Wrong(f"{page}: still runs at its end: {'; '.join(running)}")
    if changed:
        raise Wrong(f"{page}: left behind or changed at its end: {', '.join(changed[:10])}")


def play(page, text, folder, tidy=False):
    """Does what the page says in the folder. Gives how many commands were executed."""
    found = blocks(page, text)
    for block in found:
        judge(page, block)
    shell, count, before = Shell(folder, environment(folder)), 0, lying_about(folder)
    try:
        for block in found:
            if block.kind in COMMANDS | {SET_UP} and block.mark is None:
                for step in steps(block):
                    execute(page, shell, step)
                    count += 1
            elif block.name:
                target = Path(shell.run("pwd")[0].strip()) / block.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("".join(f"{line}\n" for line in block.lines))
        if tidy:
            left(page, shell, folder, before)
    finally:
        shell.close()
    return count


def execute(page, shell, step):
    where = f"{page}:{step.line}: $ {step.command}"
    try:
        came, status = shell.run(step.command, to_the_end=step.shown is not None)
    except Wrong as wrong:
        raise Wrong(f"{where}\n{wrong}") from None
    if not step.shown and status != 0:
        raise Wrong(f"{where}\nends with {status}, and the page shows nothing of that:\n{came}")
    if step.shown is not None and not agrees(step.shown, came):
        raise Wrong(f"{where}\nnot as shown: {first_difference(step.shown, came)}\ncame:\n{came}")


# Envoy has a place of a fixed name there.
OWN_SHM = ["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
ISOLATED = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def isolation():
    """A network and a table of processes of its own for each page, where the system lets us: all pages use the same ports, and
    nothing of a page outlives it."""
    for command in (ISOLATED, [ISOLATED[0], "--user", "--map-root-user", *ISOLATED[1:]]):
        try:
            if subprocess.run([*command, *OWN_SHM], capture_output=True).returncode == 0:
                return command
        except FileNotFoundError:
            break
    return []


def loopback_up():
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running


def alone(pages, isolated):
    """Plays pages in this process, which is alone in its namespaces if they could be had, one after another in one folder."""
    if isolated:
        loopback_up()
        subprocess.run(OWN_SHM, check=True)
    failed, before = False, []
    folder = None
    for page in pages:
        began, fresh = time.monotonic(), folder is None
        if fresh:
            folder = tempfile.TemporaryDirectory(prefix="exequatur-page-")
        try:
            if fresh:
                lay_out(folder.name)
            count = play(page, (ROOT / page).read_text(), folder.name, page.startswith(TIDY))
            say(f"ok    {page}  {count} commands, {time.monotonic() - began:.1f} s")
            before.append(page)
        except (Wrong, BrokenPipeError) as wrong:
            after = f"\n(after {', '.join(before)} in the same folder)" if before else ""
            say(f"FAIL  {page}  {time.monotonic() - began:.1f} s\n{wrong or 'the shell ended'}{after}")
            # The next ones are not to suffer from it.
            folder.cleanup()
            failed, before, folder = True, [], None
    if folder is not None:
        folder.cleanup()
    return 1 if failed else 0


def say(text):
    """In one piece: two rows write to one place."""
    os.write(1, f"{text}\n".encode())


def report(pages, command):
    """Plays pages in turn, in a process of their own."""
    inner = [sys.executable, __file__, "--alone", "isolated" if command else "shared", *pages]
    if command:
        # The first process of a table is left with those whose parents ended; bash takes them off the table.
        inner = [*command, "bash", "-c", '"$@"; exit $?', "bash", *inner]
    return subprocess.run(inner).returncode == 0


def rows(pages, together):
    """Tidy pages in as many rows as are played at once; each of the others by itself, since it may leave what it has made."""
    tidy = [page for page in pages if page.startswith(TIDY)]
    return [row for row in (tidy[first::together] for first in range(together)) if row] + [[page] for page in pages if page not in tidy]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only show what is not executed")
    parser.add_argument("--alone", choices=("isolated", "shared"), help=argparse.SUPPRESS)
    parser.add_argument("pages", nargs="*")
    arguments = parser.parse_args()
    if arguments.alone:
        return alone(arguments.pages, arguments.alone == "isolated")
    skipped, failed = {}, False
    try:
        pages = [str(Path(page).resolve().relative_to(ROOT)) for page in arguments.pages] or tracked(ROOT)
    except Wrong as wrong:
        print(f"FAIL  {wrong}")
        return 1
    for page in pages:
        try:
            for block in blocks(page, (ROOT / page).read_text()):
                judge(page, block)
                if block.mark is not None:
                    skipped.setdefault((page, block.mark), []).append(str(block.line))
        except Wrong as wrong:
            print(f"FAIL  {wrong}")
            failed = True
    if not arguments.list and not failed:
        command = isolation()
        if not command:
            print("no namespaces of their own: pages one after the other, on the ports of this machine")
        # Pages that are named are played in the order that they are named in.
        together = ROWS if command and not arguments.pages else 1
        with ThreadPoolExecutor(max_workers=together) as pool:
            failed = not all(list(pool.map(lambda row: report(row, command), rows(pages, together))))
    print(f"{len(pages)} pages; not executed: {sum(len(lines) for lines in skipped.values())} blocks")
    for (page, reason), lines in skipped.items():
        print(f"  {page}:{','.join(lines)}: {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
