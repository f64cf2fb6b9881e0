"""One turn: one CLI invocation from its start to the death of everything that it started.

Invariant: when `run` returns, no process but PID 1 is alive, and the transcript is closed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import pid1
import processes
from messages import TurnFinished, TurnStart
from places import HOME, WORKSPACE
from render import Describe, Renderer
from safe_folder import BoundedFile, SafeFolder

HEAD_BYTES = 48 * 1024 * 1024
TAIL_BYTES = 1024 * 1024
STDERR_TAIL_BYTES = 4096
CHUNK_BYTES = 64 * 1024
TERM_SECONDS = 5.0
DRAIN_SECONDS = 5.0
NOT_STARTED = 127  # the exit code of a shell for a command that it cannot start

BASE_ENV = {
    "PATH": "/opt/agent/bin:/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
}


class Turn:
    """A turn that runs or has run.

    Args:
        order: what the runner asked for.
        transcripts: the folder for its transcript.
        say: prints one short line for a person.
        describe: what an event of the CLI's stream says.
    """

    def __init__(
        self,
        order: TurnStart,
        transcripts: SafeFolder,
        say: Callable[[str], None],
        describe: Describe,
    ) -> None:
        self.order = order
        self._transcripts = transcripts
        self._say = say
        self._describe = describe
        self._process: processes.Process | None = None
        self._interrupted = False

    async def run(self, reaper: processes.Reaper) -> TurnFinished:
        """Run the CLI to its end and kill what it left behind; returns how the turn went."""
        began = time.monotonic()
        file, path = self._transcripts.create(f"transcript-{self.order.turn}.jsonl")
        transcript = BoundedFile(file, HEAD_BYTES, TAIL_BYTES)
        self._say(f"turn {self.order.turn} started: {self.order.argv[0]}")
        try:
            exit_code, stderr_tail = await self._run_cli(reaper, transcript)
        finally:
            transcript.close()
        if transcript.error:
            stderr_tail = f"writing the transcript: {transcript.error}\n{stderr_tail}"
        seconds = time.monotonic() - began
        self._say(f"turn {self.order.turn} ended: exit code {exit_code}, {seconds:.0f} s")
        return TurnFinished(self.order.turn, exit_code, round(seconds, 3), path, stderr_tail)

    async def interrupt(self) -> None:
        """SIGTERM to the CLI's group now, SIGKILL to everything after `TERM_SECONDS`.

        A CLI that has not been started yet is not started any more.
        """
        self._interrupted = True
        process = self._process
        if process is None or process.exit.done():
            return
        process.terminate()
        await asyncio.wait([process.exit], timeout=TERM_SECONDS)
        if not process.exit.done():
            # Only once: `_run_cli` goes on killing, and what starts after it must stay alive.
            pid1.kill_others()

    async def _run_cli(self, reaper: processes.Reaper, transcript: BoundedFile) -> tuple[int, str]:
        if self._interrupted:
            return NOT_STARTED, "the turn was interrupted before its CLI was started"
        env = {**BASE_ENV, **self.order.env}
        try:
            process = reaper.spawn(self.order.argv, cwd=WORKSPACE, env=env)
        except (OSError, ValueError, IndexError) as error:
            return NOT_STARTED, f"starting {self.order.argv[:1]}: {error}"
        self._process = process
        renderer, stderr_tail = Renderer(self._say, self._describe), bytearray()

        def on_stdout(data: bytes) -> None:
            transcript.write(data)
            renderer.feed(data)

        def on_stderr(data: bytes) -> None:
            stderr_tail.extend(data)
            del stderr_tail[:-STDERR_TAIL_BYTES]

        pumps = [
            asyncio.create_task(_pump(process.stdout, on_stdout)),
            asyncio.create_task(_pump(process.stderr, on_stderr)),
        ]
        exit_code = await process.exit
        if not await processes.kill_everything():
            self._say("some processes could not be killed")
        _, late = await asyncio.wait(pumps, timeout=DRAIN_SECONDS)
        for pump in late:
            pump.cancel()
        renderer.close()
        return exit_code, stderr_tail.decode("utf-8", "replace")


async def _pump(descriptor: int, handle: Callable[[bytes], None]) -> None:
    """Pass everything that comes out of a socket to `handle`, until its end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while data := await reader.read(CHUNK_BYTES):
            handle(data)
    finally:
        transport.close()
