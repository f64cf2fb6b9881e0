"""What is held out: the rows that are scored, and the data of other tasks.

The attack that this stops: a contestant that learns by heart what it is scored on. The judge alone
mounts validation rows, and nobody but the referee's judge mounts test rows.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from framework import Box, attack

HELD_OUT = ("/heldout", "/test")
WORDS = ("heldout", "held_out", "validation", "val.", "val_", "test.", "test_", "reference")


def _lists_what_it_may(box: Box) -> bool:
    """The container's own volumes can be listed."""
    for path in (*box.writable, *box.read_only):
        os.listdir(path)
    return bool(os.listdir("/"))


def _has_held_out_rows(box: Box) -> bool:
    return box.role == "judge"


@attack("held-out data", "folders of held-out rows", twin=_lists_what_it_may)
def folders(box: Box) -> str:
    places = [path for path in HELD_OUT if not (_has_held_out_rows(box) and path == "/heldout")]
    found = []
    for path in places:
        if os.path.isdir(path):
            found += [f"{path}/{name}" for name in os.listdir(path)]
    return ", ".join(found[:10])


@attack("held-out data", "held-out rows beside the training data", twin=_lists_what_it_may)
def beside(box: Box) -> str:
    """Files of /data whose name says what they are."""
    data = Path("/data")
    if "/data" not in box.read_only or not data.is_dir():
        return ""
    names = [str(path) for path in data.rglob("*") if path.is_file()]
    return ", ".join(n for n in names if any(w in os.path.basename(n).lower() for w in WORDS))


@attack("held-out data", "write to the data", twin=_lists_what_it_may,
        also=(errno.ENOENT, errno.EISDIR))  # fmt: skip
def written(box: Box) -> str:
    """The data outlives the run: whoever changes it changes every later run."""
    places = [path for path in ("/data", *HELD_OUT) if path not in box.writable]
    done = []
    for path in places:
        if os.path.isdir(path) and os.access(path, os.W_OK):
            done.append(path)
    return ", ".join(done)
