"""The life of PID 1: ready → start → started → serving → stopped."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import protocol

from .budget import Budget
from .desk import open_desk
from .prices import Prices, UnpricedError
from .server import Door, Service
from .settings import Settings, SettingsError, read_settings
from .voice import Voice

TERMINATED_GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Places:
    """Where the gateway's socket and its own files are."""

    socket: Path = Path("/run/gateway/llm.sock")
    state: Path = Path("/state")


class Inbox:
    """The runner's messages, read by a thread; an end of input is no end of the run."""

    def __init__(self, voice: Voice, descriptor: int = 0) -> None:
        self._voice = voice
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[protocol.Message] = asyncio.Queue()
        thread = threading.Thread(target=self._read, args=(descriptor,), name="inbox", daemon=True)
        thread.start()

    async def next(self) -> protocol.Message:
        """The next message."""
        return await self._messages.get()

    def end(self, reason: str) -> None:
        """Puts a stop of our own among the messages."""
        self._messages.put_nowait(protocol.Stop(reason, TERMINATED_GRACE_SECONDS))

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb", closefd=False) as lines:
            while line := lines.readline(protocol.MAX_LINE_BYTES + 1):
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError:
            # The text of the error may quote the line, and the line may hold the key.
            self._voice.problem("reading a message", "a line that is no message")
            return
        if message is not None:
            self._loop.call_soon_threadsafe(self._messages.put_nowait, message)


async def live(voice: Voice, places: Places) -> int:
    """Serves one run from `start` to its end; the exit code."""
    inbox = Inbox(voice)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, inbox.end, "terminated")
    waiting = loop.call_later(protocol.START_SECONDS, inbox.end, "no start came")
    message = await inbox.next()
    while not isinstance(message, protocol.Start | protocol.Stop):
        message = await inbox.next()
    waiting.cancel()
    if isinstance(message, protocol.Stop):
        return _stopped(voice, message.reason)
    try:
        settings = read_settings(message.config)
        prices = Prices(settings)
    except (SettingsError, UnpricedError) as error:
        voice.problem("reading the start message", str(error))
        voice.emit(protocol.Stopped("the start message cannot be used"))
        return 2
    return _stopped(voice, await _serve(voice, places, settings, prices, inbox))


async def _serve(
    voice: Voice, places: Places, settings: Settings, prices: Prices, inbox: Inbox
) -> str:
    """Serves until the run ends; why it did."""
    async with open_desk(settings, prices, voice, places.state) as desk:
        loop = asyncio.get_running_loop()
        loop.call_later(settings.deadline_seconds, inbox.end, "deadline")
        service = Service(Door(desk, voice), places.socket)
        await service.start()
        # What is loaded by now (the price table above all) stays to the end: a collector that
        # went through it would hold up every stream for tens of milliseconds.
        gc.collect()
        gc.freeze()
        message: protocol.Message | None = None
        while not isinstance(message, protocol.Stop):
            if message is None or isinstance(message, protocol.Start):
                voice.emit(protocol.Started(_state(prices, desk.budget)))
                voice.say(f"serving {settings.provider} models {', '.join(settings.models)}")
            message = await inbox.next()
        await service.stop(message.grace_seconds)
        return message.reason


def _state(prices: Prices, budget: Budget) -> dict[str, Any]:
    return {
        "spent_usd": float(budget.spent_usd),
        "spent_tokens": budget.spent_tokens,
        "requests": budget.requests,
        "unpriced": prices.unpriced,
    }


def _stopped(voice: Voice, reason: str) -> int:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    voice.say(f"stopped: {reason}; it took at most {peak_mb:.0f} MB of memory")
    voice.emit(protocol.Stopped(reason))
    return 0
