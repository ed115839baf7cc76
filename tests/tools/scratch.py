"""A copy of the tree to break things in."""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def synchronise(tree: pathlib.Path) -> None:
    """Makes `tree` a copy of the work tree, touching only what differs, so that little is compiled again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    wanted = {name.decode() for name in listed.split(b"\0") if name}
    wanted = {name for name in wanted if (ROOT / name).is_file()}
    for name in wanted:
        source, copy = ROOT / name, tree / name
        contents = source.read_bytes()
        if copy.is_file() and copy.read_bytes() == contents:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(contents)
        shutil.copymode(source, copy)
    for copy in tree.rglob("*"):
        if copy.is_file() and str(copy.relative_to(tree)) not in wanted:
            copy.unlink()
