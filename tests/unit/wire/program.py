"""A program as PID 1 of an image is one, run as a real process; and the runner's end of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from runner.wire.messages import MESSAGES, Message
from runner.wire.protocol import decode, encode

WIRE = Path(__file__).parents[3] / "runner" / "wire"
END_SECONDS = 20


class Program:
    """A process that runs a text with the modules of runner/wire in reach; killed at the end."""

    def __init__(self, text: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(WIRE)},
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, data: Message | bytes) -> None:
        """Give it a message, or bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(data if isinstance(data, bytes) else encode(data))
        self.process.stdin.flush()

    def next(self) -> Message:
        """Its next line, which has to be a message."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        message = decode(line, MESSAGES)
        assert message is not None, line
        return message

    def end(self) -> tuple[int, str, str]:
        """Its exit code, the rest of its output, and what it said to people."""
        out, err = self.process.communicate(timeout=END_SECONDS)
        return self.process.returncode, out.decode(), err.decode()
