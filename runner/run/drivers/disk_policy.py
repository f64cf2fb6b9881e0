"""What follows where a contestant's volumes pass their bound on the disk.

An agent is told in its next turn what happened and what it could delete. After some turns in a row
that took too much, its run is suspended, because each of them costs money and none gets on. An
optimiser has nothing to delete, so its run is suspended at once.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from runner.agents import phrases
from runner.records.journal import Journal
from runner.run.drivers.driver import GaveUp
from runner.wire.config_reader import ConfigError, read_config
from runner.wire.disk_use import Exceeded
from runner.wire.messages import DiskExceeded

EXCEEDED = "disk.exceeded"
DISK = "disk"  # the cause of a suspension, as the journal has it
MAX_TURNS = 3


class DiskPolicy:
    """Counts in a row how often a contestant's volumes passed their bound.

    Args:
        journal: gets each time as `disk.exceeded`.
        role: the table in `runner/limits.toml` that has the bound.
        times: after so many the run is suspended.
        resumed: the last turn of an earlier life may have passed it, of which the next one is told.
    """

    def __init__(
        self, journal: Journal, role: str, times: int = MAX_TURNS, *, resumed: bool = False
    ) -> None:
        self._journal = journal
        self._role = role
        self._times = times
        self._count = 0
        self._told_now = False
        self._last = _last_of(journal) if resumed else None

    def exceeded(self, message: DiskExceeded) -> None:
        """Take the word of PID 1 that the bound is passed. It comes before that of a turn's end."""
        try:
            self._last = _bounded(read_config(Exceeded, message.found))
        except ConfigError as error:
            self._journal.write("container.problem", role=self._role, during=EXCEEDED,
                                message=str(error))  # fmt: skip
            return
        self._told_now = True
        self._count += 1
        self._journal.write(EXCEEDED, **asdict(self._last))

    def turn_begins(self) -> None:
        """A turn begins; the one before may have been lost without an end."""
        self._told_now = False

    def turn_ended(self) -> None:
        """A turn has ended: within the bound, unless `exceeded` was called since it began."""
        if not self._told_now:
            self._last, self._count = None, 0

    def gave_up(self) -> GaveUp | None:
        """Why the run should be suspended, or None."""
        if self._count < self._times or self._last is None:
            return None
        turns = f" after {self._count} turns in a row" if self._times > 1 else ""
        ways = f"a higher bound is disk_mb and disk_files of [{self._role}] in runner/limits.toml"
        return GaveUp(f"{_words(self._last)}{turns}; {ways}", by=DISK, why=DISK)

    def remark(self) -> str:
        """What the next turn must know; empty where the last one kept within the bound."""
        last = self._last
        if last is None:
            return ""
        ended = "Your last turn was ended: " if last.cut else "After your last turn, "
        now = ""
        if last.cut and last.left_files:
            now = f" Now there are {_amount(last.left_bytes, last.left_files)}."
        listed = "".join(f"\n- {phrase}" for phrase in last.largest)
        named = f"\nThe largest are:{listed}" if listed else ""
        return (
            f"{ended}{_words(last)}.{now} Nothing was deleted. Delete what you do not need before "
            f"anything else: {self._times} such turns in a row suspend the run.{named}"
        )


def _words(last: Exceeded) -> str:
    most = _amount(last.max_bytes, last.max_files)
    return (
        f"the volumes held {_amount(last.bytes, last.files)}, most of it in {last.path}, and may "
        f"hold {most}"
    )


def _amount(in_bytes: int, files: int) -> str:
    return f"{in_bytes >> 20} MB in {files} files"


def _bounded(said: Exceeded) -> Exceeded:
    """The same with each text on one line, bounded: file names are the agent's own words."""
    named = tuple(phrases(said.largest))
    return replace(said, path=phrases([said.path])[0], largest=named)


def _last_of(journal: Journal) -> Exceeded | None:
    """What the last turn of an earlier life passed, None where it did not."""
    known = (EXCEEDED, "turn.started")
    last = next((one for one in reversed(journal.events()) if one.event in known), None)
    if last is None or last.event != EXCEEDED:
        return None
    try:
        return read_config(Exceeded, last.fields)
    except ConfigError:
        return None
