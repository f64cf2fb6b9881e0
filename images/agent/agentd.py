"""PID 1 of an agent's container: talks with the runner, runs turns, serves `trial`, relays.

Invariant: nothing in this container outlives `deadline_seconds`, and no process of the agent
outlives its turn. The agent shares this process's user; what it can do to PID 1 is bounded by the
kernel: no signal from inside ends it, and nobody inside can trace it or write to its stdout.

The order of a container's life: ready → start → started → turns → stop → (a closing turn) →
stopped. Messages are in protocol.py, the rules of the channel in docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import processes
import protocol
import relay
import workspace
from desk import Desk
from drawer import Drawer
from places import OUTBOX, STATE, TRIAL_LOGS
from protocol import (
    Message,
    Problem,
    ProtocolError,
    Ready,
    Start,
    Started,
    Stop,
    Stopped,
    TrialAccepted,
    TrialFinished,
    TrialLog,
    TrialRefused,
    TurnInterrupt,
    TurnStart,
)
from render import shorten
from turns import Turn

BUNDLE_SECONDS = 30.0
TURN_END_SECONDS = 10.0
LAST_RESORT_SECONDS = 90.0  # past the deadline; even if this program hangs


class Agentd:
    """One container's life, from `run` to its exit code."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reaper = processes.Reaper(loop)
        self._start: asyncio.Future[Start] = loop.create_future()
        self._end: asyncio.Future[str] = loop.create_future()
        self._turn: Turn | None = None
        self._turn_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._drawer = Drawer(STATE)
        self._desk = Desk(send, say, Drawer(TRIAL_LOGS))

    async def run(self) -> int:
        """Live until the runner says stop, the deadline comes, or SIGTERM does."""
        processes.watch_sigterm(self._loop, lambda: self._finish("SIGTERM"))
        Path(OUTBOX).mkdir(parents=True, exist_ok=True)
        self._spawn(self._listen())
        say("waiting for the runner")
        send(Ready("agentd"))
        self._loop.call_later(protocol.START_SECONDS, self._give_up_waiting)
        await _either(self._start, self._end)
        if self._start.done():
            await self._work(self._start.result())
        await self._say_goodbye()
        return 0

    async def _work(self, start: Start) -> None:
        """Everything between `start` and the end."""
        deadline_seconds = float(start.config["deadline_seconds"])
        self._loop.call_later(deadline_seconds, self._finish, "deadline")
        faulthandler.dump_traceback_later(deadline_seconds + LAST_RESORT_SECONDS, exit=True)
        try:
            commit = await workspace.open_repository(self._reaper, str(start.config["branch"]))
        except workspace.GitError as error:
            send(Problem("making the repository", str(error)[:2000]))
            self._finish("the repository could not be made")
            return
        async with await relay.serve(), await self._desk.serve():
            say(f"{start.config.get('run_id', '?')}: repository at {commit[:12]}, relay is up")
            send(Started({"commit": commit}))
            await self._end

    async def _listen(self) -> None:
        """Take messages from stdin. Its end is no end of ours: the runner may come back."""
        reader = asyncio.StreamReader(limit=protocol.MAX_LINE_BYTES)
        await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
        )
        while True:
            try:
                line = await reader.readline()
                message = protocol.decode(line)
            except (ProtocolError, ValueError) as error:
                send(Problem("reading a message", str(error)[:500]))
                continue
            if not line:
                say("the runner has left; waiting for it")
                return
            if message is not None:
                self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Start():
                if not self._start.done():
                    self._start.set_result(message)
            case TurnStart():
                self._start_turn(message)
            case TurnInterrupt(reason=reason):
                say(f"the runner ends the turn: {reason}")
                if self._turn is not None:
                    self._spawn(self._turn.interrupt())
            case TrialAccepted() | TrialRefused() | TrialLog() | TrialFinished():
                self._desk.answer(message)
            case Stop():
                self._stop(message)
            case _:
                send(Problem("reading a message", f"{message.event} is not for an agent"))

    def _start_turn(self, order: TurnStart) -> None:
        if self._turn is not None or not self._start.done():
            send(Problem("starting a turn", f"turn {order.turn}: not now, another is under way"))
            return
        self._turn = Turn(order, self._drawer, say)
        self._turn_task = self._spawn(self._run_turn(self._turn))

    async def _run_turn(self, turn: Turn) -> None:
        """Run a turn; one that began after `stop` is the last."""
        last = self._closing
        try:
            finished = await turn.run(self._reaper)
        except OSError as error:
            finished = protocol.TurnFinished(turn.order.turn, 1, 0.0, "", f"agentd: {error}")
        self._turn = None
        send(finished)
        if last:
            self._finish("stop")

    def _stop(self, stop: Stop) -> None:
        """Close the desk and give grace for a closing turn; a second stop ends at once."""
        say(f"the run is over: {stop.reason}")
        self._desk.close(stop.reason)
        if self._closing or stop.grace_seconds <= 0:
            self._finish("stop")
        self._closing = True
        self._loop.call_later(max(0.0, stop.grace_seconds), self._finish, "end of grace")

    def _give_up_waiting(self) -> None:
        if not self._start.done():
            self._finish(f"no start within {protocol.START_SECONDS:.0f} s")

    def _finish(self, reason: str) -> None:
        if not self._end.done():
            self._end.set_result(reason)

    async def _say_goodbye(self) -> None:
        """Kill what runs, pack the repository, and say the last word."""
        reason = self._end.result()
        say(f"ending: {reason}")
        await processes.kill_everything()
        if self._turn_task is not None:  # it kills once more, which git below must not meet
            await asyncio.wait([self._turn_task], timeout=TURN_END_SECONDS)
        if self._start.done() and reason != "SIGTERM":  # that one leaves 5 s
            try:
                await workspace.write_bundle(self._reaper, BUNDLE_SECONDS)
            except (workspace.GitError, OSError) as error:
                send(Problem("packing the repository", str(error)[:2000]))
        send(Stopped(reason))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in the background; an unforeseen error ends the container loudly."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            send(Problem("working in the background", repr(error)[:2000]))
            self._finish("an error of agentd")


def send(message: Message) -> None:
    """One message to the runner, in one piece."""
    _write_all(1, protocol.encode(message))


def say(text: str) -> None:
    """One short line for whoever reads `docker logs`."""
    stamp = time.strftime("%H:%M:%S", time.gmtime())
    with contextlib.suppress(OSError):
        _write_all(2, f"{stamp} {shorten(text)}\n".encode())


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


async def _either(first: asyncio.Future[Start], second: asyncio.Future[str]) -> None:
    """Wait until one of the two is done."""
    one_done = asyncio.Event()
    first.add_done_callback(lambda _: one_done.set())
    second.add_done_callback(lambda _: one_done.set())
    await one_done.wait()


async def _main() -> int:
    return await Agentd(asyncio.get_running_loop()).run()


if __name__ == "__main__":
    processes.forbid_tracing()
    processes.block_signals()
    sys.exit(asyncio.run(_main()))
