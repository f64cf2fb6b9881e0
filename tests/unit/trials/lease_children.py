"""Child processes that want a device, for tests that stop and kill them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.devices.state import DeviceState, state
from runner.records.layout import ROOT

# argv: the folder of the queue, the run. A container runs while there is a file of its name beside
# the folder of the queue. Each line on stdin is a command, and each is answered.
CHILD = """
import pathlib, sys, threading
from runner.trials.lease import DeviceLease, Holder, LeaseLostError
folder, run = pathlib.Path(sys.argv[1]), sys.argv[2]
holder = Holder(run, 1, lambda container: folder.with_name(container).exists())
with DeviceLease("engine", "cpu", folder).held(threading.Event(), holder) as held:
    print("held", flush=True)
    for line in sys.stdin:
        if line == "release\\n":
            break
        try:
            held.attach_container(line.strip())
            print("attached", flush=True)
        except LeaseLostError:
            print("lost", flush=True)
print("over", flush=True)
sys.stdin.readline()
"""


class Child:
    """A process that wants the device and, once it has it, does what it is told."""

    def __init__(self, queue: Path, run: str) -> None:
        self.run = run
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(queue), run], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def answer(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def told(self, line: str) -> str:
        """Its answer to this command."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.answer()


@contextlib.contextmanager
def children(queue: Path, *runs: str) -> Iterator[list[Child]]:
    """A child for each run; the first has the device, and the others wait in this order."""
    made: list[Child] = []
    try:
        for run in runs:
            made.append(Child(queue, run))
            wait_for(lambda: run in in_queue(queue))  # noqa: B023 - it is called in this round
        assert made[0].answer() == "held"
        yield made
    finally:
        for child in made:
            child.process.kill()
            child.process.communicate()


def shown(queue: Path) -> DeviceState:
    """The one device of the tests."""
    (found,) = state(queue)
    return found


def in_queue(queue: Path) -> list[str]:
    """The runs that hold the device or wait for it, in order."""
    return [
        party.run
        for device in state(queue)
        for party in ([device.holder] if device.holder else []) + list(device.waiting)
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not within this time.
    """
    until, tick = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < until, "the condition never held"
        tick.wait(0.02)
