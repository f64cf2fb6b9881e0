"""The gateway's program as a process of its own, and the runner's end of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from runner.wire.messages import MESSAGES, Message, Ready, Start, Started
from runner.wire.protocol import decode, encode

ROOT = Path(__file__).parents[3]
# What the image's layout makes of the files: the program, its package, and runner/wire.
BOOT = """
import sys
sys.path[:0] = [{images!r}, {wire!r}]
import gateway
from gatewayd import program
from pathlib import Path
program.Places.__init__.__defaults__ = (Path({folder!r}) / "llm.sock", Path({folder!r}))
sys.exit(gateway.main())
"""
M = TypeVar("M", bound=Message)


class Process:
    """A gateway process and the runner's end of it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        code = BOOT.format(
            images=str(ROOT / "images/gateway"), wire=str(ROOT / "runner/wire"), folder=str(folder)
        )
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=os.environ | environment,
        )
        self.messages: list[Message] = []
        self.output = b""
        self._said = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=(pipe,))
            for pipe in (self.popen.stdout, self.popen.stderr)
        ]
        for thread in self._threads:
            thread.start()

    def say(self, message: Message | bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(message if isinstance(message, bytes) else encode(message))
        self.popen.stdin.flush()

    def next(self, kind: type[M], seconds: float = 20) -> M:
        """The first message of this kind."""
        self.until(lambda: any(isinstance(one, kind) for one in self.messages), seconds)
        return next(one for one in self.messages if isinstance(one, kind))

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        with self._said:
            assert self._said.wait_for(condition, seconds), (self.messages, self.output)

    def begin(self, **config: Any) -> Started:
        self.next(Ready)
        self.say(Start(config))
        return self.next(Started)

    def end(self, seconds: float = 20) -> int:
        """Wait for its exit and read its last words; the exit code."""
        code = self.popen.wait(seconds)
        for thread in self._threads:
            thread.join(5)
        return code

    def close(self) -> None:
        self.popen.kill()
        self.end()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            message = decode(line, MESSAGES) if pipe is self.popen.stdout else None
            with self._said:
                self.output += line
                if message is not None:
                    self.messages.append(message)
                self._said.notify_all()
