"""Archives whose bytes depend on nothing but what is put in: sorted, one time, numbers for owners."""

import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Entry(NamedTuple):
    """A file or, without content, a folder."""

    content: bytes | None
    mode: int
    owner: int = 0


def epoch() -> int:
    """The time that everything gets: SOURCE_DATE_EPOCH, which compile.sh and the Makefile take from the commit."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def packed(entries: dict[str, Entry]) -> bytes:
    """A tar archive; folders that lead to an entry are made."""
    whole = dict(entries)
    for path in entries:
        for parent in Path(path).parents:
            if str(parent) != ".":
                whole.setdefault(str(parent), Entry(None, 0o755))
    out = io.BytesIO()
    # USTAR: the other forms hold times of their own and more of the machine.
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, entry in sorted(whole.items()):
            info = tarfile.TarInfo(path)
            info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.owner, entry.owner, epoch()
            if entry.content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(entry.content)
                tar.addfile(info, io.BytesIO(entry.content))
    return out.getvalue()


def compressed(data: bytes) -> bytes:
    """As gzip, without a name or the time of compressing."""
    return gzip.compress(data, compresslevel=9, mtime=0)
