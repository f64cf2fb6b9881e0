"""The sessions of the judge: who may be scored, what each was asked, and the child that scores it.

One session is one trial. Invariants: a session says `score.finished` exactly once; its child runs
no longer than the session; whoever does not know a session's token changes nothing of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import frames
import steady_clock
from judge_terms import HANDED_OUT, SCORER_DIED, UNSCORED, WENT_AWAY
from listener import answer, refuse
from messages import Message, ScoreEstimated, ScoreFinished, ScoreOpen, ScoreRequested

SCORER = Path(__file__).with_name("scorer.py")
MAX_CONNECTIONS = 100  # of one trial
MAX_AT_ONCE = 2
MAX_MESSAGE_BYTES = 256 * 1024
END_SECONDS = 5.0
MODES = ("trial", "check", "reference", "referee", "fresh")
DIGEST = re.compile(r"[0-9a-f]{64}")

Tell = Callable[[Message], None]


@dataclass(frozen=True)
class Settings:
    """What all sessions share.

    Attributes:
        folders: split → the folder that holds it.
        references: split → the file of the reference's losses, which need not be there.
        judged_tokens: how many targets a final score covers.
        estimate_tokens: how many targets an estimate covers.
        threads: how many threads the arithmetic uses.
        begins: whether a final call waits until `begin` is called.
        silence_seconds: how long a trial may send nothing.
    """

    folders: Mapping[str, str]
    references: Mapping[str, str]
    judged_tokens: int
    estimate_tokens: int
    threads: int
    begins: bool = True
    silence_seconds: float = frames.SILENCE_SECONDS


class Session:
    """One trial's session.

    Args:
        wanted: the message that opens it.
        settings: what all sessions share.
        tell: sends a message to the runner; it is called from several threads.

    Raises:
        ValueError: the message makes no sense.
        OSError: the child could not be started.
    """

    def __init__(self, wanted: ScoreOpen, settings: Settings, tell: Tell) -> None:
        unknown = [split for split in wanted.splits if split not in settings.folders]
        if wanted.mode not in MODES or not wanted.token or unknown or not wanted.splits:
            raise ValueError(f"mode {wanted.mode}, splits {wanted.splits}: not to be scored")
        self.name, self.token, self.wanted = wanted.session, wanted.token.encode(), wanted
        self.begins, self.tell = settings.begins, tell
        self.lock = threading.RLock()
        self.connections = self.at_once = self.estimates = 0
        self.asked = self.begun = self.finished = self.closing = False
        self.value: float | None = None
        self.handed_out: dict[str, Any] = {}
        self.status = ""
        self.held: tuple[socket.socket, dict[str, Any]] | None = None
        self.kept = (
            {split: os.memfd_create(f"losses of {split}") for split in wanted.splits}
            if wanted.mode == "reference"
            else {}
        )
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            passed = (theirs.fileno(), *self.kept.values())
            command = [sys.executable, str(SCORER), str(theirs.fileno())]
            self.child = subprocess.Popen(
                command, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=2
            )
        self.control.send(json.dumps(self._setup(settings)).encode())
        self.watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self.watcher.start()

    def _setup(self, settings: Settings) -> dict[str, Any]:
        wanted = self.wanted
        return {
            "mode": wanted.mode,
            "seed": wanted.seed,
            "hidden": wanted.hidden,
            "folders": {split: settings.folders[split] for split in wanted.splits},
            "references": dict(settings.references),
            "judged_tokens": settings.judged_tokens,
            "estimate_tokens": settings.estimate_tokens,
            "threads": settings.threads,
            "cores": wanted.cores,
            "silence_seconds": settings.silence_seconds,
            "kept": self.kept,
        }

    # --- the trial ------------------------------------------------------------------------------

    def take(self, connection: socket.socket, hello: dict[str, Any], at: float) -> None:
        """Takes a connection whose hello has the session's token."""
        with self.lock:
            self.connections += 1
            self._hear()  # a trial that has its answer may ask again before the watcher knows of it
            fault = self._fault(hello)
            if fault:
                self._finish("rejected", fault)
                self._end_child()
                answer(connection, {"done": True, "value": None})
            elif hello["purpose"] == "final":
                self._final(connection, hello, at)
            else:
                self._estimate(connection, hello, at)

    def _fault(self, hello: dict[str, Any]) -> str:
        rows, fraction = hello.get("rows"), hello.get("fraction", 0)
        if self.connections > MAX_CONNECTIONS:
            return "too many connections"
        if self.at_once >= MAX_AT_ONCE:
            return "too many connections at once"
        if hello.get("purpose") not in ("final", "estimate"):
            return "bad hello"
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            return "bad hello"
        number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
        return "" if number and 0 <= fraction <= 1 else "bad hello"

    def _final(self, connection: socket.socket, hello: dict[str, Any], at: float) -> None:
        if self.finished and self.status != "failed":
            answer(connection, {"done": True, "value": self.value})
        elif (self.asked and self.wanted.mode != "fresh") or self.finished:
            refuse(connection, "this trial was asked for its score before")
        else:
            self.asked = True
            if isinstance(model := hello.get("model"), str) and DIGEST.fullmatch(model):
                self.handed_out = {HANDED_OUT: {"sha256": model}}
            self.tell(self._requested("final", at))
            self.at_once += 1
            self.held = (connection, hello)
            if self.begun or not self.begins:
                self._hand_over()

    def _estimate(self, connection: socket.socket, hello: dict[str, Any], at: float) -> None:
        self.estimates += 1
        if self.asked or self.finished:
            refuse(connection, "the training is over")
        elif self.estimates > frames.MAX_ESTIMATES:
            refuse(connection, "no more estimates")
        else:
            self.tell(self._requested("estimate", at))
            self.at_once += 1
            self._pass_on(connection, hello)

    def _requested(self, purpose: str, at: float) -> ScoreRequested:
        return ScoreRequested(self.name, purpose, at, steady_clock.monotonic(at))

    def _hand_over(self) -> None:
        if self.held is not None:
            held, self.held = self.held, None
            if self.wanted.mode == "fresh":
                self.begun = False  # so that one container cannot take the call of the next
            self._pass_on(*held)

    def _pass_on(self, connection: socket.socket, hello: dict[str, Any]) -> None:
        """Gives the connection to the child."""
        rows = min(hello["rows"], frames.MAX_ROWS)
        said = {"purpose": hello["purpose"], "rows": rows, "fraction": hello.get("fraction", 0)}
        with contextlib.suppress(OSError):  # a child that is dead is seen by its watcher
            connection.setblocking(True)
            socket.send_fds(self.control, [json.dumps(said).encode()], [connection.fileno()])
        connection.close()

    # --- the runner -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Lets the final call be answered."""
        with self.lock:
            self.begun = True
            self._hand_over()

    def close(self) -> None:
        """Ends the session; what its child has found by now still counts."""
        self.closing = True
        self._end_child()
        self.watcher.join(END_SECONDS)
        with self.lock:
            self._finish("failed", WENT_AWAY if self.asked else UNSCORED)
            if self.held is not None:
                self.held[0].close()

    # --- the child ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Passes on what the child finds, until it ends."""
        alive = True
        while alive:
            select.select([self.control], [], [])
            with self.lock:
                alive = self._hear()
        self.child.wait()
        with self.lock:
            if not self.closing:
                self._finish("failed", SCORER_DIED)
            if self.held is not None:
                self.held[0].close()

    def _hear(self) -> bool:
        """Takes what the child has said, with the lock held; False if the child has ended."""
        try:
            while content := self.control.recv(MAX_MESSAGE_BYTES, socket.MSG_DONTWAIT):
                found = json.loads(content)
                if "free" in found:
                    self.at_once -= 1
                elif "estimated" in found:
                    estimate = {
                        "session": self.name,
                        **found["estimated"],
                        "at": steady_clock.now(),
                    }
                    self.tell(ScoreEstimated(**estimate))
                else:
                    self._finish(**found["finished"])
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _end_child(self) -> None:
        with contextlib.suppress(OSError):
            self.child.kill()

    def _finish(
        self,
        status: str,
        reason: str,
        tokens: int = 0,
        values: dict[str, Any] | None = None,
        audit: dict[str, Any] | None = None,
    ) -> None:
        if self.finished:
            return
        self.finished, self.status = True, status
        if status == "scored":
            self.value = (values or {}).get("val")
        found = {**(audit or {}), **self.handed_out}
        self.tell(
            ScoreFinished(
                self.name, status, reason, steady_clock.now(), tokens, values or {}, found
            )
        )
