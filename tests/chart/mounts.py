"""Lays volumes out as kubelet does: files in a folder of their own, behind one link that is switched."""

import itertools
import os
import shutil
from pathlib import Path

from rendering import Object

# What kubelet gives to the group of a pod with `fsGroup`, on volumes that are only read.
FOR_GROUP = 0o440
USUAL_MODE = 0o644
Payload = dict[str, tuple[str, int]]
TURNS = itertools.count(1)


def payload(volume: Object, maps: dict[str, Object], secrets: dict[str, Object], group: bool) -> Payload:
    """The files of a projected volume with their modes. Where two have one path, the later one wins."""
    projected = volume["projected"]
    mode = projected.get("defaultMode", USUAL_MODE) | (FOR_GROUP if group else 0)
    files: Payload = {}
    for source in projected["sources"]:
        ((kind, source),) = source.items()
        data = {"configMap": maps, "secret": secrets}[kind][source["name"]]
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        files |= {item["path"]: (data[item["key"]], mode) for item in items}
    return files


def mount(files: Payload, folder: Path) -> None:
    """Makes `folder` show these files, and no others of before."""
    folder.mkdir(exist_ok=True)
    data = folder / "..data"
    before = folder / os.readlink(data) if data.is_symlink() else None
    now = folder / f"..turn_{next(TURNS)}"
    now.mkdir()
    for path, (text, mode) in files.items():
        file = now / path
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
    new = folder / "..data_tmp"
    new.symlink_to(now.name)
    new.rename(data)
    for path in files:
        if not (folder / path).is_symlink():
            (folder / path).symlink_to(f"..data/{path}")
    for link in folder.iterdir():
        if link.is_symlink() and not link.name.startswith("..") and link.name not in files:
            link.unlink()
    if before:
        shutil.rmtree(before)
