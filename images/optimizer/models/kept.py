"""Keeps a model's answers on the study's volume, so that a restarted search pays nothing twice.

Invariant: an answer is on the disk before a method sees it. It is kept under its trial, its place
among the prompts of that trial and the hash of its prompt, so an upgraded prompt is asked anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from models.terms import Answer, Model, NoAnswer, Prompt

# The longest answer that client.py lets through takes 24 MiB as JSON, all of it escaped.
MAX_LINE_BYTES = 32 << 20

FORGOTTEN = "forgotten"  # of a line: what is kept of its trial does not count any more
Key = tuple[int, int, str]  # trial, place in the trial, SHA-256 of the prompt


@runtime_checkable
class Arriving(Protocol):
    """A model that hands out its answers as they come, so that each is kept at once."""

    def arriving(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Answer | NoAnswer]]:
        """Place in `prompts` and answer, in the order in which they come.

        Raises:
            OutOfBudgetError: after the last answer, if the run may not ask any more.
            UselessModelError: likewise, if the provider serves this run no model.
        """
        ...


class KeptModel:
    """A model whose answers are kept in a file, and are given from it after a restart.

    Args:
        model: answers what the file does not have. If it is `Arriving`, the answers of a batch
            are kept one by one; otherwise when all are there.
        path: the file, one JSON object a line; this process is its only user.
    """

    def __init__(self, model: Model, path: Path) -> None:
        self._model = model
        self._path = path
        _cut_torn_line(path)
        self._at = _index(path)
        self._trial = 0
        self._place = 0

    def for_trial(self, number: int) -> None:
        """Count the places of prompts from 0 again: what follows is asked for trial `number`."""
        self._trial = number
        self._place = 0

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        """The answers, in the order of the prompts; only those that are not kept are asked for.

        Raises:
            OutOfBudgetError: the gateway admits no further request of this run. What was answered
                before is kept.
            UselessModelError: the provider serves this run no model. What it said is not kept.
            OSError: an answer could not be written.
        """
        first = self._place
        self._place += len(prompts)
        keys = [(self._trial, first + n, _sha256(prompt)) for n, prompt in enumerate(prompts)]
        answers = {n: self._read(self._at[key]) for n, key in enumerate(keys) if key in self._at}
        missing = [n for n in range(len(prompts)) if n not in answers]
        for n, answer in self._arriving([prompts[n] for n in missing]) if missing else ():
            place = missing[n]
            self._keep(keys[place], prompts[place].purpose, answer)
            answers[place] = answer
        return [answers[n] for n in range(len(prompts))]

    def forget(self, number: int) -> None:
        """Let what was asked for trial `number` be asked anew, here and after a restart.

        The answers stay in the file for people.

        Raises:
            OSError: it could not be written.
        """
        self._append({"trial": number, FORGOTTEN: True})
        self._at = _without(self._at, number)

    def _arriving(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Answer | NoAnswer]]:
        if isinstance(self._model, Arriving):
            return self._model.arriving(prompts)
        return enumerate(self._model.ask(prompts))

    def _keep(self, key: Key, purpose: str, answer: Answer | NoAnswer) -> None:
        trial, place, sha256 = key
        row = {"trial": trial, "place": place, "prompt": sha256, "purpose": purpose}
        self._at[key] = self._append(row | asdict(answer))

    def _append(self, row: Mapping[str, Any]) -> int:
        """Write a line to the disk; where it begins."""
        with self._path.open("ab") as file:
            start = file.tell()
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return start

    def _read(self, start: int) -> Answer | NoAnswer:
        with self._path.open("rb") as file:
            file.seek(start)
            row = _row(file.readline(MAX_LINE_BYTES))
        answer = None if row is None else _answer(row)
        if answer is None:
            raise OSError(f"{self._path} was changed while the search was under way")
        return answer


def _sha256(prompt: Prompt) -> str:
    """The hash of all that the model is told and held to."""
    return hashlib.sha256(json.dumps(asdict(prompt), sort_keys=True).encode()).hexdigest()


def _cut_torn_line(path: Path) -> None:
    """Cut off a last line without its end: a death or a full disk left it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        whole = 0
        while line := file.readline(MAX_LINE_BYTES):
            if line.endswith(b"\n"):
                whole = file.tell()
        if whole < file.tell():
            file.truncate(whole)
            os.fsync(file.fileno())


def _index(path: Path) -> dict[Key, int]:
    """Where the answer to each prompt begins; a damaged line is passed over."""
    found: dict[Key, int] = {}
    for start, line in _lines(path):
        row = _row(line)
        if row is not None and _answer(row) is not None:
            key = (row.get("trial"), row.get("place"), row.get("prompt"))
            if isinstance(key[0], int) and isinstance(key[1], int) and isinstance(key[2], str):
                found[key[0], key[1], key[2]] = start
        elif row is not None and row.get(FORGOTTEN) is True:
            found = _without(found, row.get("trial"))
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each line begins, and the line; none of a file that is not there yet."""
    if not path.exists():
        return
    start = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            yield start, line
            start += len(line)


def _without(at: Mapping[Key, int], trial: object) -> dict[Key, int]:
    """The answers but for those of a trial."""
    return {key: start for key, start in at.items() if key[0] != trial}


def _row(line: bytes) -> dict[str, Any] | None:
    """The object of a whole line, or None for a line that is damaged."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _answer(row: Mapping[str, Any]) -> Answer | NoAnswer | None:
    """The answer of a line, or None where it has none."""
    text, reason = row.get("text"), row.get("reason")
    request = row.get("request")
    if not isinstance(request, str):
        return None
    if isinstance(text, str):
        return Answer(text, request, cut=row.get("cut") is True)
    return NoAnswer(reason, request) if isinstance(reason, str) else None
