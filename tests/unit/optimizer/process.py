"""The optimizer's program as a process of its own, which may be killed, and the runner's end."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, TypeVar

from runner.wire.messages import (
    MESSAGES,
    Message,
    Problem,
    Ready,
    Start,
    Started,
    TrialEstimated,
    TrialRequested,
)
from runner.wire.protocol import decode, encode

ROOT = Path(__file__).parents[3]
# What the image's layout makes of the files: the program's modules and those of runner/wire.
BOOT = """
import sys
sys.path[:0] = [{images!r}, {wire!r}, {trainer!r}]
import optimizer
from models import client
from pathlib import Path
optimizer.STATE, client.SOCKET = Path({state!r}), Path({gateway!r})
optimizer.main()
"""
SECONDS = 60.0
SPACE: dict[str, Any] = {
    "RATE": {"type": "float", "low": 0.01, "high": 1.0, "log": True, "default": 0.1},
    "DEPTH": {"type": "int", "low": 1, "high": 8, "default": 4},
}
NOBODY = TrialEstimated("nobody", 0, 1.0)
M = TypeVar("M", bound=Message)


class OptimizerProcess:
    """An optimizer on a state folder; `kill` and `up` are a death and what follows it."""

    def __init__(self, state: Path, gateway: Path | None = None, **config: Any) -> None:
        self.state = state
        self.gateway = gateway or state / "llm.sock"
        self.config = {
            "sampler": "random", "seed": 1, "space": SPACE, "direction": "minimize",
            "deadline_seconds": 300.0, **config,
        }  # fmt: skip

    def up(self) -> None:
        """Start it (again), and wait until it works."""
        code = BOOT.format(
            images=str(ROOT / "images/optimizer"),
            wire=str(ROOT / "runner/wire"),
            trainer=str(ROOT / "trainer"),  # constants.py
            state=str(self.state),
            gateway=str(self.gateway),
        )
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._popen = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._popen.stdout, self.said))
        self._reader.start()
        self.next(Ready)
        self.say(Start(self.config))
        self.next(Started)

    def say(self, message: Message) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(encode(message))
        self._popen.stdin.flush()

    def next(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        message = self.said.get(timeout=SECONDS)
        assert isinstance(message, kind), message
        return message

    def sent_back(self) -> list[int]:
        """The steps by which it has given a trial up, of all that it was told until now."""
        self.say(NOBODY)
        steps = []
        while isinstance(message := self.said.get(timeout=SECONDS), TrialEstimated):
            steps.append(message.step)
        assert isinstance(message, Problem), message
        return steps

    def again(self, request: TrialRequested) -> None:
        """Kill it, and start it again; it asks for the same trial."""
        self.kill()
        self.up()
        assert self.next(TrialRequested) == request

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self._reader.join()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self, pipe: Any, said: queue.SimpleQueue[Message]) -> None:
        for line in pipe:
            message = decode(line, MESSAGES)
            if message is not None:
                said.put(message)
