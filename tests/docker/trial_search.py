"""What a trial of `test_held_out.py` runs after `needles.py`: it looks for needles in all it sees.

It reads every file of its file system and all memory of every process, and prints where a window
of a needle is, with the bytes around it.
"""
# ruff: noqa: F821 - the names of needles.py, which stands before this text in the trial
# mypy: disable-error-code="name-defined"

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

KEYS = ""  # the test puts the keys here
AROUND = 600
MAX_SHOWN = 3000
MAX_MAP = 1 << 30


def files() -> Iterator[tuple[str, bytes]]:
    """Every regular file that can be read, but for the kernel's own."""
    for here, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if str(Path(here, name)) not in ("/proc", "/sys")]
        for path in (Path(here, name) for name in names):
            try:
                if stat.S_ISREG(path.lstat().st_mode):
                    yield str(path), path.read_bytes()
            except OSError:
                continue


def memory() -> Iterator[tuple[str, bytes]]:
    """The memory of every process whose memory can be read, mapped files included."""
    for process in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            maps = (process / "maps").read_text().splitlines()
            with (process / "mem").open("rb", buffering=0) as file:
                for line in maps:
                    yield from region(file.fileno(), process.name, line)
        except OSError:
            continue


def region(file: int, process: str, line: str) -> Iterator[tuple[str, bytes]]:
    """One line of a process's maps."""
    start, end, rights = re.findall(r"^(\w+)-(\w+) (\S+)", line)[0]
    begin, size = int(start, 16), int(end, 16) - int(start, 16)
    if "r" not in rights or size > MAX_MAP or begin >= 1 << 63:
        return
    try:
        yield f"memory of {process}: {line}", os.pread(file, size, begin)
    except OSError:
        return


def counted(kind: str, source: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """What is searched, with how many there were and how large."""
    for where, content in source:
        counts[kind] += 1
        sizes[kind] += len(content)
        yield where, content


search = Search(np.frombuffer(base64.b85decode(KEYS), "<u8"))
shown_before: set[int] = set()  # hashes, not copies that would be found in memory again
shown, counts, sizes = 0, {"files": 0, "memory": 0}, {"files": 0, "memory": 0}
for kind, source in (("files", files()), ("memory", memory())):
    for where, content, place in search.in_files(counted(kind, source)):
        first = max(0, place - AROUND)
        around = content[first : place + AROUND]
        if kind == "memory" and hash(around) in shown_before:
            continue  # a copy of what was read from a file
        shown_before.add(hash(around))
        shown += 1
        if shown <= MAX_SHOWN:
            print("found:", json.dumps([where, place - first, around.hex()]), flush=True)
print("searched:", json.dumps({"shown": shown, "counts": counts, "sizes": sizes}), flush=True)
