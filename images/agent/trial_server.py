"""Serves the `trial` command: passes its requests to the runner, and the answers back.

Listens on an abstract Unix socket: it lives in the container's own network namespace and no
`rm -rf /tmp/*` removes it. When a client dies, its trial goes on, and `trial wait` picks it
up. Everything that a client sends is bounded here before the runner sees it.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import messages
import protocol
from messages import Message, TrialAccepted, TrialFinished, TrialLog, TrialRefused, TrialRequested
from places import OUTBOX, TRIAL_SOCKET
from render import shorten
from safe_folder import BoundedFile, SafeFolder

MAX_CLIENT_LINE_BYTES = 64 * 1024
MAX_CATEGORY_CHARS = 80
MAX_UNANSWERED = 8
MAX_REFUSED = 50  # that are remembered: to ask costs an agent nothing
MAX_CLIENT_BUFFER_BYTES = 1024 * 1024
LOG_HEAD_BYTES = 8 * 1024 * 1024
LOG_TAIL_BYTES = 256 * 1024
HEX = re.compile(r"[0-9a-f]{1,64}")

Answer = TrialAccepted | TrialRefused | TrialLog | TrialFinished


@dataclass
class Ticket:
    """One request of a client and its state."""

    request: TrialRequested
    trial: int | None = None
    verdict: TrialRefused | TrialFinished | None = None
    log: BoundedFile | None = None
    watchers: set[asyncio.StreamWriter] = field(default_factory=set)

    def summary(self) -> str:
        """One line for `trial list`."""
        name = str(self.trial) if self.trial else self.request.request
        if self.request.check:
            name = "check"
        match self.verdict:
            case TrialRefused(reason=reason):
                state = f"refused: {reason}"
            case TrialFinished(status=status, value=None):
                state = status
            case TrialFinished(status=status, metric=metric, value=value):
                state = f"{status:8} {metric} {value:.6f}"
            case _:
                state = "running or queued" if self.trial is not None else "asked for"
        return f"{name:>4}  {state:30}  {shorten(self.request.hypothesis)[:80]}"


class TrialServer:
    """Keeps every trial of the run: what this container asked for, and what it is told of earlier.

    Args:
        send: passes a message to the runner.
        say: prints one short line for a person.
        logs: where the full output of each trial is kept for the agent.
    """

    def __init__(
        self, send: Callable[[Message], None], say: Callable[[str], None], logs: SafeFolder
    ) -> None:
        self._send, self._say, self._logs = send, say, logs
        self._tickets: dict[str, Ticket] = {}
        self._refused: deque[str] = deque()
        self._closed_because = ""
        self.metric = self.direction = ""  # of the task; empty until the run has begun

    async def serve(self) -> asyncio.Server:
        """Accept clients from now on."""
        return await asyncio.start_unix_server(
            self._serve, TRIAL_SOCKET, limit=MAX_CLIENT_LINE_BYTES
        )

    def close(self, reason: str) -> None:
        """Refuse for good every later request, and those that the runner has not accepted."""
        self._closed_because = reason
        for ticket in self._unanswered():
            self.answer(self._final_refusal(ticket.request.request))

    def answer(self, message: Answer) -> None:
        """Record the runner's answer to a request and pass it to the clients that wait for it."""
        ticket = self._tickets.get(message.request)
        if ticket is None:
            ticket = self._earlier(message)
            if isinstance(message, TrialFinished):
                return  # nobody here waits for it, and the container's log need not repeat it
        match message:
            case TrialAccepted(trial=trial):
                ticket.trial = trial
                self._say(f"{_name(trial)} accepted: {ticket.request.hypothesis}")
            case TrialLog(line=line):
                self._log(ticket, line)
            case TrialRefused(reason=reason):
                ticket.verdict = message
                self._refused.append(message.request)
                self._say(f"trial refused: {reason}")
            case TrialFinished(trial=trial, status=status, metric=metric, value=value):
                ticket.trial, ticket.verdict = trial, message
                self._close_log(ticket)
                self._say(f"{_name(trial)} ended: {status}, {metric} {value}")
        self._pass_on(ticket, message)
        while len(self._refused) > MAX_REFUSED:
            self._tickets.pop(self._refused.popleft(), None)

    def _earlier(self, message: Answer) -> Ticket:
        """The ticket of a request that was made before this container was: the runner tells it."""
        ticket = Ticket(TrialRequested(message.request))
        if isinstance(message, TrialAccepted | TrialFinished):
            asked = TrialRequested(message.request, hypothesis=_clean(message.hypothesis))
            ticket = Ticket(asked, message.trial)
        if isinstance(message, TrialFinished):
            ticket.verdict = message
        self._tickets[message.request] = ticket
        return ticket

    def _pass_on(self, ticket: Ticket, message: Answer) -> None:
        line = protocol.encode(message)
        for writer in list(ticket.watchers):
            behind = writer.transport.get_write_buffer_size() > MAX_CLIENT_BUFFER_BYTES
            # A client that does not read misses log lines.
            if not (behind and isinstance(message, TrialLog)):
                writer.write(line)
        if ticket.verdict is not None:
            for writer in ticket.watchers:
                writer.close()
            ticket.watchers.clear()

    def _log(self, ticket: Ticket, line: str) -> None:
        if ticket.log is None:
            try:
                file, _ = self._logs.create(f"{ticket.trial or 0:04}.log")
            except OSError as error:
                self._say(f"keeping the output of trial {ticket.trial}: {error}")
                return
            ticket.log = BoundedFile(file, LOG_HEAD_BYTES, LOG_TAIL_BYTES)
        ticket.log.write(line.encode("utf-8", "replace") + b"\n")

    def _close_log(self, ticket: Ticket) -> None:
        if ticket.log is not None:
            ticket.log.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            body = json.loads(await reader.readline())
            keep_open = self._handle(body if isinstance(body, dict) else {}, writer)
        except (ValueError, OSError, RecursionError):
            keep_open = False
        if not keep_open:
            writer.close()
            return
        while await reader.read(MAX_CLIENT_LINE_BYTES):
            pass  # a client sends nothing more: this waits for it to disconnect
        for ticket in self._tickets.values():
            ticket.watchers.discard(writer)
        writer.close()

    def _handle(self, body: dict[str, object], writer: asyncio.StreamWriter) -> bool:
        """Do what a client asks for; True when it waits for more answers."""
        if body.get("do") == "request":
            return self._request(body, writer)
        if body.get("do") == "wait":
            return self._wait(str(body.get("trial", "")), writer)
        if body.get("do") == "metric":
            writer.write(json.dumps([self.metric, self.direction]).encode() + b"\n")
            return False
        lines = [ticket.summary() for ticket in self._tickets.values()]
        writer.write("\n".join(lines or ["no trials yet"]).encode() + b"\n")
        return False

    def _request(self, body: dict[str, object], writer: asyncio.StreamWriter) -> bool:
        request = _bounded_request(body)
        refusal = self._reason_to_refuse(request)
        if refusal is not None:
            writer.write(protocol.encode(refusal))
            return False
        self._tickets[request.request] = Ticket(request, watchers={writer})
        self._send(request)
        self._say(f"trial asked for: {request.hypothesis or 'no hypothesis given'}")
        return True

    def _reason_to_refuse(self, request: TrialRequested) -> TrialRefused | None:
        if self._closed_because:
            return self._final_refusal(request.request)
        if len(self._unanswered()) >= MAX_UNANSWERED:
            hint = "wait for them with `trial list` and `trial wait ID`"
            return TrialRefused(request.request, "too many trials asked for at once", hint)
        return None

    def _unanswered(self) -> list[Ticket]:
        tickets = self._tickets.values()
        return [t for t in tickets if t.trial is None and t.verdict is None]

    def _final_refusal(self, request: str) -> TrialRefused:
        reason = f"the run is over: {self._closed_because}"
        return TrialRefused(request, reason, "no further trial will run; write STATUS.md", True)

    def _wait(self, name: str, writer: asyncio.StreamWriter) -> bool:
        ticket = self._find(name)
        if ticket is None:
            hint = "`trial list` names them all"
            writer.write(protocol.encode(TrialRefused(name[:80], f"no trial {name[:80]!r}", hint)))
            return False
        if ticket.trial is not None:
            writer.write(protocol.encode(TrialAccepted(ticket.request.request, ticket.trial)))
        if ticket.verdict is not None:
            writer.write(protocol.encode(ticket.verdict))
            return False
        ticket.watchers.add(writer)
        return True

    def _find(self, name: str) -> Ticket | None:
        for ticket in self._tickets.values():
            if name == ticket.request.request or name.lstrip("0") == str(ticket.trial):
                return ticket
        return None


def _bounded_request(body: dict[str, object]) -> TrialRequested:
    """The message for the runner, bounded whatever the client wrote."""
    sha256 = str(body.get("sha256", ""))
    sha256 = sha256 if HEX.fullmatch(sha256) and len(sha256) == 64 else "0" * 64
    commit = str(body.get("commit", ""))
    return TrialRequested(
        request=f"r-{secrets.token_hex(4)}",
        sha256=sha256,
        path=f"{OUTBOX}/{sha256}.py",
        commit=commit if HEX.fullmatch(commit) else "",
        hypothesis=_clean(body.get("hypothesis", ""))[: messages.MAX_HYPOTHESIS_CHARS],
        category=_clean(body.get("category", "other"))[:MAX_CATEGORY_CHARS],
        check=body.get("check") is True,
    )


def _name(trial: int) -> str:
    return "check" if trial == messages.CHECK else f"trial {trial}"


def _clean(text: object) -> str:
    """Text that can be written as UTF-8: a shell may pass any bytes as an argument."""
    return str(text).encode("utf-8", "replace").decode()
