"""The queue on the disk: numbered versions in a folder that all users of a machine share.

A version is never changed once it is there. Whoever changes the queue reads the newest version,
writes the next one aside, and links it to the next number; the kernel lets one only have each
number. So there is no lock, and nobody who was stopped or killed between two steps is waited for.

A number may be free again long after it was used, because old versions are cleared away. Somebody
who was stopped for that long links a version that is not the newest, and so has no effect. It is
noticed by `change`, which is done only once the newest version needs no change.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from runner.devices.queue import Queue
from runner.errors import HostError
from runner.records.files import explained

FOLDER = "bakeoff-devices"  # of the machine
KEPT = 20  # versions, for a reader that has listed them and not opened the newest yet
MOST_TRIES = 10_000
MOST_BYTES = 1 << 22
VERSION = re.compile(r"queue\.(\d{1,15})\.json", re.ASCII)


class QueueFolder:
    """The queue in this folder. Any thread of any process may call any method.

    What lies there under other names is left alone. A version that is torn or foreign is passed
    over for the one before it; none of ours is ever torn but by a crash of the machine.

    Args:
        folder: it exists, and whoever shares the queue may write there.
        kept: how many versions are kept.
    """

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self.path = folder
        self._kept = kept

    def newest(self) -> tuple[int, Queue]:
        """The newest number (0 when there is none), and the queue as it is.

        Raises:
            HostError: the folder cannot be read.
        """
        for _ in range(MOST_TRIES):
            numbers = sorted(self._numbers(), reverse=True)
            with contextlib.suppress(FileNotFoundError):  # newer ones came, and it was cleared away
                readable = (_parsed(self._file(number)) for number in numbers)
                queue = next((queue for queue in readable if queue is not None), Queue())
                return (numbers[0] if numbers else 0), queue
        raise HostError(
            f"reading the queue for devices in {self.path}: it cannot be opened",
            hint="remove that folder while no run is under way",
        )

    def is_newest(self, number: int) -> bool:
        """Whether this is still the newest version. It costs less than to look what is.

        A foreign version may pass unnoticed until the next change.
        """
        return self._file(number).exists() and not self._file(number + 1).exists()

    def read(self) -> Queue:
        """The queue as it is.

        Raises:
            HostError: the folder cannot be read.
        """
        return self.newest()[1]

    def change(self, change: Callable[[Queue], Queue]) -> Queue:
        """Change the queue, and return it as it then is.

        Args:
            change: is called until it finds nothing more to change in the newest version.

        Raises:
            HostError: the disk is full, or the folder is not writable.
        """
        for _ in range(MOST_TRIES):
            number, queue = self.newest()
            changed = change(queue)
            if changed == queue:
                return queue
            with explained(self.path):
                self._link(number + 1, changed)
        raise HostError(
            f"changing the queue for devices in {self.path}: it changes without end",
            hint="remove that folder while no run is under way",
        )

    def _numbers(self) -> list[int]:
        with explained(self.path):
            names = [path.name for path in self.path.iterdir()]
        return [int(found[1]) for name in names if (found := VERSION.fullmatch(name))]

    def _file(self, number: int) -> Path:
        return self.path / f"queue.{number}.json"

    def _link(self, number: int, queue: Queue) -> None:
        """Make this version the one of that number, unless there is one."""
        aside = self.path / f".{uuid.uuid4().hex}.part"
        try:
            with aside.open("xb") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask: others must read it
                file.write(queue.model_dump_json(exclude_defaults=True).encode())
            with contextlib.suppress(FileExistsError):
                os.link(aside, self._file(number))
        finally:
            aside.unlink(missing_ok=True)
        for old in self._numbers():
            if old <= number - self._kept:
                with contextlib.suppress(OSError):
                    self._file(old).unlink()


def _parsed(file: Path) -> Queue | None:
    """The queue in this file; None if it is torn or foreign.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        # Whatever a stranger put there: a link is not followed and a pipe not waited for.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return Queue.model_validate_json(os.read(descriptor, MOST_BYTES))
    except (ValidationError, OSError):
        return None
    finally:
        os.close(descriptor)
