"""The judge without its surroundings: all sessions, the socket, and what the runner asks for.

It starts no torch itself and stays small: what scores is a child of each session.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

from listener import Listener, refuse
from messages import Message, Problem, ReferenceKeep, ScoreBegin, ScoreClose, ScoreOpen
from sessions import Session, Settings, Tell

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class KeepError(Exception):
    """The reference cannot be kept; the text says why."""


class Judge:
    """Serves all sessions.

    Args:
        path: where its socket is made.
        settings: what all sessions share.
        tell: sends a message to the runner; it is called from several threads, one at a time.

    Raises:
        OSError: the socket cannot be made there.
    """

    def __init__(self, path: Path, settings: Settings, tell: Tell) -> None:
        self.settings = settings
        self.sessions: dict[str, Session] = {}
        self.lock = threading.Lock()
        self.telling = threading.Lock()
        self._tell = tell
        self.listener = Listener(path, self._on_hello)

    def tell(self, message: Message) -> None:
        """Sends a message to the runner."""
        with self.telling:
            self._tell(message)

    def take(self, message: Message) -> None:
        """Does what the runner asks, unless it is for a session that is not there."""
        if isinstance(message, ScoreOpen):
            try:
                self.open(message)
            except (ValueError, OSError) as error:
                self.tell(Problem("opening a session", f"{message.session}: {error}"))
        elif isinstance(message, ScoreBegin) and message.session in self.sessions:
            self.sessions[message.session].begin()
        elif isinstance(message, ScoreClose) and message.session in self.sessions:
            session = self.sessions[message.session]
            session.close()
            if not session.kept:
                with self.lock:
                    del self.sessions[message.session]

    def open(self, message: ScoreOpen) -> Session:
        """Opens a session.

        Raises:
            ValueError: the message makes no sense, or the session is open already.
            OSError: the child that scores could not be started.
        """
        if message.session in self.sessions:
            raise ValueError("the session is open already")
        session = Session(message, self.settings, self.tell)
        with self.lock:
            self.sessions[message.session] = session
        return session

    def _on_hello(self, connection: socket.socket, hello: dict[str, Any], at: float) -> None:
        """Finds the session of a token; every token is compared, so that time tells nothing."""
        token = hello.get("token")
        said = token.encode("utf-8", "replace") if isinstance(token, str) else b""
        with self.lock:
            sessions = list(self.sessions.values())
        found = [one for one in sessions if hmac.compare_digest(one.token, said)]
        if not found or found[0].closing or hello.get("hello") != 1:
            refuse(connection, "no session has this token")
        else:
            found[0].take(connection, hello, at)

    def keep(self, message: ReferenceKeep, folder: Path) -> None:
        """Writes the losses of a session in mode reference, and the facts, into the folder.

        Raises:
            KeepError: there are no losses, or they cannot be written.
        """
        session = self.sessions.get(message.session)
        if session is None or session.status != "scored" or not session.kept:
            raise KeepError(f"session {message.session} has scored no reference")
        if not KEY.fullmatch(message.key):
            raise KeepError(f"{message.key!r} is no key")
        try:
            for split, descriptor in session.kept.items():
                content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
                write_whole(reference_file(folder, split, message.key), content)
            facts = json.dumps(message.facts, indent=2).encode()
            write_whole(facts_file(folder, message.key), facts)
        except OSError as error:
            raise KeepError(str(error)) from None

    def end(self) -> None:
        """Ends all sessions."""
        for session in list(self.sessions.values()):
            session.closing = True
            session.child.kill()


def reference_file(folder: Path, split: str, key: str) -> Path:
    """Where the reference's losses on a split lie."""
    return folder / (f"reference-{key}.npy" if split == "val" else f"reference-{split}-{key}.npy")


def facts_file(folder: Path, key: str) -> Path:
    """Where the facts lie that were kept with a reference."""
    return folder / f"calibration-{key}.json"


def facts_of(folder: Path, key: str) -> dict[str, Any] | None:
    """The facts that were kept with a reference; None if there is none, or it cannot be read."""
    try:
        facts = json.loads(facts_file(folder, key).read_text())
        reference_file(folder, "val", key).stat()
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
