"""Ends a turn that takes too much of the disk, and says what lies on the agent's volumes then.

Invariant: while a turn runs, the volumes grow little past their bound: by what is written in half a
second and one walk. Nothing of them is removed, because it is the agent's work. The attack that
this stops: an agent that fills the disk of the engine, on which other runs and the host may live.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import pid1
import workspace
from disk_use import BLOCK_BYTES, DiskBound, DiskUse, Exceeded, limit_files
from disk_watch import DiskWatch
from messages import MAX_PHRASE_CHARS, DiskExceeded
from places import HOME, WORKSPACE

LARGEST = 3
MANY_FILES = 1_000  # in one folder, which is named then


@dataclass
class TurnDisk:
    """Watches the agent's two volumes, turn by turn.

    Args:
        loop: what else this process does; turns begin and end there.
        bound: what the volumes may take together; None: they are not watched.
        say: prints one short line for a person.
    """

    loop: asyncio.AbstractEventLoop
    bound: DiskBound | None
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self._running = False
        self._cut: DiskUse | None = None
        self._left = DiskUse()
        self._watch: DiskWatch | None = None
        if self.bound is not None:
            self._watch = DiskWatch((WORKSPACE, HOME), self.bound, self._passed)
            limit_files(self.bound.max_bytes)

    async def begin(self) -> None:
        """A turn begins."""
        self._cut, self._running = None, True
        if self._watch is not None:
            await asyncio.to_thread(self._watch.arm)

    def go_on(self) -> None:
        """A turn has ended, and what follows is watched as well: `end` is called once more."""
        self._cut, self._running = None, True
        if self._watch is not None:
            self._watch.arm(self._left)

    async def end(self, turn: int) -> DiskExceeded | None:
        """A turn has ended, and nothing of it runs; what the runner must know of the disk."""
        self._running = False
        if self._watch is None or self.bound is None:
            return None
        self._watch.disarm()
        left = self._left = await asyncio.to_thread(self._watch.at_rest)
        if self._cut is None and not left.passes(self.bound):
            return None
        seen = self._cut or left
        found = Exceeded(
            seen.path, seen.bytes, seen.files, self.bound.max_bytes, self.bound.max_files,
            left.bytes, left.files, turn, cut=self._cut is not None,
            largest=tuple(await asyncio.to_thread(largest)),
        )  # fmt: skip
        return DiskExceeded(vars(found))

    def rest(self) -> None:
        """A turn has ended, and no other follows: nothing is measured for the runner any more."""
        self._running = False
        if self._watch is not None:
            self._watch.disarm()

    def _passed(self, use: DiskUse) -> None:
        """The bound is passed; the thread that watches calls this."""
        self.loop.call_soon_threadsafe(self._end_turn, use)

    def _end_turn(self, use: DiskUse) -> None:
        """Kill all that the turn started. Asking first would let it write for seconds more."""
        if self._running and self._cut is None:
            self._cut = use
            self.say(f"too much disk: {use.bytes >> 20} MB, {use.files} files, most in {use.path}")
            pid1.kill_others()


def largest() -> list[str]:
    """The largest files of the volumes, and the folders with many files, a phrase each.

    Only as many names are looked at as `workspace.walked` takes.
    """
    sizes: list[tuple[int, str]] = []
    folders: collections.Counter[str] = collections.Counter()
    for place in (WORKSPACE, HOME):
        for entry in workspace.walked(place):
            folders[str(PurePosixPath(entry.path).parent)] += 1
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                sizes.append((found.st_blocks * BLOCK_BYTES, entry.path))
    said = [f"{path} ({size >> 20} MB)" for size, path in sorted(sizes, reverse=True)[:LARGEST]]
    said += [
        f"{path} ({count} files or more)"
        for path, count in folders.most_common(LARGEST)
        if count >= MANY_FILES
    ]
    clean = (phrase.encode("utf-8", "replace").decode() for phrase in said)
    return [phrase[:MAX_PHRASE_CHARS] for phrase in clean]
