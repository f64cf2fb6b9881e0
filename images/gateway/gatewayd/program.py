"""The life of PID 1: ready → start → started → serving → stopped."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pid1
from messages import Heartbeat, Message, Start, Started, Stop, Stopped
from protocol import ProtocolError

from .accounting.budget import Budget
from .accounting.prices import Prices, UnpricedError
from .reporter import Reporter
from .server.context import GatewayContext, open_context
from .server.handler import RequestHandler
from .server.service import Service
from .settings import ConfigError, Settings, read_settings

TERMINATED_GRACE_SECONDS = 1.0
EXIT_DONE, EXIT_BAD_CONFIG = 0, 2


@dataclass(frozen=True)
class Places:
    """The paths of the gateway's socket and of its own files."""

    socket: Path = Path("/run/gateway/llm.sock")
    state: Path = Path("/state")


class Inbox:
    """The runner's messages, read by a thread; the end of the input does not end the run."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    async def next(self) -> Message:
        """The next message."""
        return await self._messages.get()

    def end(self, reason: str) -> None:
        """Put a stop of our own among the messages."""
        self._messages.put_nowait(Stop(reason, TERMINATED_GRACE_SECONDS))

    def _read(self) -> None:
        for message in pid1.messages(self._report):
            self._loop.call_soon_threadsafe(self._messages.put_nowait, message)

    def _report(self, _error: ProtocolError) -> None:
        """Report a broken message without its text, which may hold the key."""
        self._reporter.problem("reading a message", "a line that is no message")


async def run(reporter: Reporter, places: Places) -> int:
    """Serve one run from `start` to its end; the exit code."""
    inbox = Inbox(reporter)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, inbox.end, "terminated")
    waiting = loop.call_later(pid1.WAIT_FOR_START_SECONDS, inbox.end, "no start came")
    message = await inbox.next()
    while not isinstance(message, Start | Stop):
        message = await inbox.next()
    waiting.cancel()
    if isinstance(message, Stop):
        return _stopped(reporter, message.reason)
    try:
        settings = read_settings(message.config)
        prices = Prices(settings)
    except (ConfigError, UnpricedError) as error:
        reporter.problem("reading the start message", str(error))
        reporter.send(Stopped("the start message cannot be used"))
        return EXIT_BAD_CONFIG
    return _stopped(reporter, await _serve(reporter, places, settings, prices, inbox))


async def _serve(
    reporter: Reporter, places: Places, settings: Settings, prices: Prices, inbox: Inbox
) -> str:
    """Serve until the run ends; the reason of its end."""
    async with open_context(settings, prices, reporter, places.state) as context:
        loop = asyncio.get_running_loop()
        loop.call_later(settings.deadline_seconds, inbox.end, "deadline")
        pid1.exit_if_stuck(settings.deadline_seconds)
        service = Service(RequestHandler(context), places.socket)
        await service.start()
        # What is loaded by now (mainly the price table) stays to the end: a garbage collection that
        # visits it would delay every stream by tens of milliseconds.
        gc.collect()
        gc.freeze()
        watching = asyncio.create_task(context.runner.run(partial(_orphaned, reporter, context)))
        message: Message | None = None
        while not isinstance(message, Stop):
            if message is None or isinstance(message, Start):
                reporter.send(Started(_state(prices, context.budget)))
                reporter.say(f"serving {settings.provider} models {', '.join(settings.models)}")
            message = await inbox.next()
            if isinstance(message, Heartbeat) and message.usd_cap is not None:
                context.budget.set_cap(message.usd_cap)
            if context.runner.heard():
                reporter.say("the runner is back: requests are admitted again")
        watching.cancel()
        await service.stop(message.grace_seconds)
        return message.reason


def _orphaned(reporter: Reporter, context: GatewayContext) -> None:
    silent = f"nothing for {context.runner.silent_seconds:.0f} s"
    reporter.problem(
        "listening to the runner", f"{silent}; no request is admitted until it is back"
    )


def _state(prices: Prices, budget: Budget) -> dict[str, Any]:
    return {
        "spent_usd": float(budget.spent_usd),
        "spent_tokens": budget.spent_tokens,
        "requests": budget.requests,
        "unpriced": prices.unpriced,
    }


def _stopped(reporter: Reporter, reason: str) -> int:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    reporter.say(f"stopped: {reason}; it took at most {peak_mb:.0f} MB of memory")
    reporter.send(Stopped(reason))
    return EXIT_DONE
