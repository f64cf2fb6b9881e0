"""PID 1 of an agent's container: talks with the runner, runs turns, serves `trial`, relays.

Invariant: nothing in this container outlives `deadline_seconds`, and no process of the agent
outlives its turn. The agent shares this process's user; what it can do to PID 1 is bounded by the
kernel: no signal from inside ends it, and no process inside can trace it or write to its stdout.

The order of a container's life: ready → start → started → turns → stop → (a closing turn) →
stopped. Messages are in messages.py, the rules of the channel in docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Coroutine
from typing import Any

import messages
import pid1
import processes
import protocol
import relay
import workspace
from config_reader import ConfigError, read_config
from disk import TurnDisk
from disk_use import DiskBound
from messages import (
    Heartbeat,
    Message,
    Problem,
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
from pid1 import send
from places import HOME, OUTBOX, STATE, TRIAL_LOGS, WORKSPACE
from protocol import ProtocolError
from render import load_describe, shorten
from runner_watch import RunnerWatch
from safe_folder import SafeFolder, open_folder, unshut
from start_config import AgentConfig
from trial_server import TrialServer
from turns import Turn
from upkeep import Upkeep

BUNDLE_SECONDS = 30.0
TURN_END_SECONDS = 10.0
EXIT_DONE, EXIT_BAD_CONFIG = 0, 2


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
        self._transcripts = SafeFolder(STATE, HOME)
        self._describe = load_describe()
        self._upkeep: Upkeep | None = None
        self._runner = RunnerWatch(None)
        self._disk = TurnDisk(loop, None, say)
        self._trial_server = TrialServer(send, say, SafeFolder(TRIAL_LOGS, HOME))

    async def run(self) -> int:
        """Live until the runner says stop, the deadline comes, or SIGTERM does."""
        processes.watch_sigterm(self._loop, lambda: self._finish("SIGTERM"))
        self._spawn(self._listen())
        say("waiting for the runner")
        send(Ready("agentd"))
        self._loop.call_later(pid1.WAIT_FOR_START_SECONDS, self._give_up_waiting)
        first: list[asyncio.Future[Any]] = [self._start, self._end]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._start.done():
            try:
                config = read_config(AgentConfig, self._start.result().config)
                bound = None if config.disk is None else read_config(DiskBound, config.disk)
            except ConfigError as error:
                send(Problem("reading the start message", str(error)))
                send(Stopped("the start message cannot be used"))
                return EXIT_BAD_CONFIG
            self._disk = TurnDisk(self._loop, bound, say)
            await self._work(config)
        await self._say_goodbye()
        return EXIT_DONE

    async def _work(self, config: AgentConfig) -> None:
        """Everything between `start` and the end."""
        self._loop.call_later(config.deadline_seconds, self._finish, "deadline")
        pid1.exit_if_stuck(config.deadline_seconds)
        self._runner = RunnerWatch(config.orphan_seconds)
        self._spawn(self._runner.run(self._orphaned))
        server = self._trial_server
        server.metric, server.direction = config.metric, config.direction
        commit = await self._open_volumes(config.branch)
        await self._remember_beginning(config.branch)
        async with await relay.serve(), await self._trial_server.serve():
            say(f"{config.run_id}: repository at {commit[:12]}, relay is up")
            send(Started({"commit": commit}))
            await self._end

    async def _open_volumes(self, branch: str) -> str:
        """Make what the agent needs; returns its commit, "" when its repository cannot be opened.

        In a resumed run the volumes are as the agent left them. Whatever that is, the container
        must start.
        """
        unshut(WORKSPACE, HOME)
        try:
            os.close(open_folder(OUTBOX, HOME))
        except OSError as error:
            send(Problem("making the outbox", str(error)))
        try:
            return await workspace.open_repository(self._reaper, branch)
        except (workspace.GitError, OSError, RecursionError) as error:
            send(Problem("opening the repository", str(error)[:2000]))
            return ""

    async def _remember_beginning(self, branch: str) -> None:
        """Read what the agent begins with, so that it can be restored later."""
        self._upkeep = Upkeep(self._reaper, branch)
        try:
            await self._upkeep.begin()
        except (workspace.GitError, OSError) as error:
            send(Problem("reading the first commit", str(error)[:2000]))

    async def _listen(self) -> None:
        """Take messages from stdin. When it ends, the run goes on: the runner may come back."""
        reader = asyncio.StreamReader(limit=protocol.MAX_LINE_BYTES)
        await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
        )
        while True:
            try:
                line = await reader.readline()
                message = protocol.decode(line, messages.MESSAGES)
            except (ProtocolError, ValueError) as error:
                send(Problem("reading a message", str(error)[:500]))
                continue
            if not line:
                say("the runner has left; waiting for it")
                return
            if message is not None:
                self._handle(message)

    def _handle(self, message: Message) -> None:
        if self._runner.heard():
            say("the runner is back")
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
                self._trial_server.answer(message)
            case Stop():
                self._stop(message)
            case Heartbeat():
                pass  # it was heard, like every message
            case _:
                send(Problem("reading a message", f"{message.event} is not for an agent"))

    def _orphaned(self) -> None:
        """End the turn: nobody answers for what it costs. Its session stays on the volume."""
        silent = f"nothing for {self._runner.silent_seconds:.0f} s"
        send(Problem("listening to the runner", f"{silent}; a turn that runs is interrupted"))
        say(f"the runner is silent: {silent}")
        if self._turn is not None:
            self._spawn(self._turn.interrupt())

    def _start_turn(self, order: TurnStart) -> None:
        if self._turn is not None or not self._start.done():
            send(Problem("starting a turn", f"turn {order.turn}: not now, another is under way"))
            return
        self._turn = Turn(order, self._transcripts, say, self._describe)
        self._turn_task = self._spawn(self._run_turn(self._turn))

    async def _run_turn(self, turn: Turn) -> None:
        """Run a turn; a turn that began after `stop` is the last."""
        last = self._closing
        unshut(WORKSPACE, HOME)
        await self._disk.begin()
        try:
            finished = await turn.run(self._reaper)
        except OSError as error:
            finished = messages.TurnFinished(turn.order.turn, 1, 0.0, "", f"agentd: {error}")
        exceeded = None
        if last or self._end.done():
            self._disk.rest()
        else:
            exceeded = await self._disk.end(turn.order.turn)
        if self._upkeep is not None and not last and not self._end.done():
            self._disk.go_on()  # it runs the agent's own programs, which may write as well
            found = await self._upkeep.run()
            exceeded = exceeded or await self._disk.end(turn.order.turn)
            self._disk.rest()
            for phrase in (*found.wrong, *found.restored):
                say(phrase)
            finished = dataclasses.replace(finished, wrong=found.wrong, restored=found.restored)
        if exceeded is not None:
            send(exceeded)
        self._turn = None
        send(finished)
        if last:
            self._finish("stop")

    def _stop(self, stop: Stop) -> None:
        """Take no further trial and leave time for a closing turn; a second stop ends at once."""
        say(f"the run is over: {stop.reason}")
        self._trial_server.close(stop.reason)
        if self._closing or stop.grace_seconds <= 0:
            self._finish("stop")
        self._closing = True
        self._loop.call_later(max(0.0, stop.grace_seconds), self._finish, "end of grace")

    def _give_up_waiting(self) -> None:
        if not self._start.done():
            self._finish(f"no start within {pid1.WAIT_FOR_START_SECONDS:.0f} s")

    def _finish(self, reason: str) -> None:
        if not self._end.done():
            self._end.set_result(reason)

    async def _say_goodbye(self) -> None:
        """Kill every process, pack the repository, and send the last message."""
        reason = self._end.result()
        say(f"ending: {reason}")
        await processes.kill_everything()
        unshut(WORKSPACE, HOME)
        if self._turn_task is not None:  # its end kills once more, and would kill the git below
            await asyncio.wait([self._turn_task], timeout=TURN_END_SECONDS)
        if self._start.done() and reason != "SIGTERM":  # after SIGTERM the engine waits only 5 s
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


def say(text: str) -> None:
    """One short line for whoever reads `docker logs`."""
    pid1.say(shorten(text))


async def _main() -> int:
    return await Agentd(asyncio.get_running_loop()).run()


if __name__ == "__main__":
    pid1.close_to_others()
    processes.block_signals()
    sys.exit(asyncio.run(_main()))
