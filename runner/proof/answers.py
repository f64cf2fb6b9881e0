"""What the program of probes printed, read strictly.

The attack that this stops: a container whose own code prints lines that look like those of probes,
and a probe that is broken. A line counts once, in the class and under the name of a probe that was
asked for; what is missing, doubled, malformed or not asked for is `unproven`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.proof.program import Name
from runner.records.containment import Finding, Outcome
from runner.records.visible import visible

DETAIL_CHARS = 300


class _Answer(BaseModel):
    """One line of the program."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    attack: str
    probe: str
    succeeded: bool | None
    twin: bool
    detail: str
    seconds: float


class _Machine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    kernel: str
    boot: str


@dataclass(frozen=True)
class Answers:
    """What came out of one container.

    Attributes:
        findings: one of each probe that was expected, in that order; then what was not.
        kernel: of the engine's machine; "" if it was not said.
        boot: the id of its boot; "" if it was not said.
    """

    findings: tuple[Finding, ...]
    kernel: str = ""
    boot: str = ""


def read(role: str, expected: Sequence[Name], lines: Iterable[str]) -> Answers:
    """Make findings of the lines.

    Args:
        role: the container, as the findings name it.
        expected: the probes that must have answered.
        lines: what the container printed.
    """
    wanted = set(expected)
    answers: dict[Name, list[_Answer]] = {}
    about, unread = _Machine(kernel="", boot=""), ""
    for line in lines:
        machine = _machine(line)
        answer = _answer(line)
        if machine is not None and not about.kernel:
            about = machine
        elif answer is not None:
            answers.setdefault((answer.attack, answer.probe), []).append(answer)
        elif line.strip():
            unread = line
    found = [_finding(role, name, answers.get(name, []), unread) for name in expected]
    unasked = [name for name in answers if name not in wanted]
    found += [_unproven(role, name, "nobody asked for this answer") for name in unasked]
    return Answers(tuple(found), about.kernel, about.boot)


def _machine(line: str) -> _Machine | None:
    try:
        body = json.loads(line)
        known = isinstance(body, dict) and set(body) == {"machine"}
        return _Machine.model_validate(body["machine"]) if known else None
    except (ValueError, RecursionError, ValidationError):
        return None


def _answer(line: str) -> _Answer | None:
    try:
        return _Answer.model_validate_json(line)
    except ValidationError:
        return None


def _finding(role: str, name: Name, answers: list[_Answer], unread: str) -> Finding:
    attack, probe = name
    if len(answers) == 1:
        said = answers[0]
        return Finding(
            role=role, attack=attack, probe=probe, outcome=_outcome(said),
            detail=one_line(said.detail), seconds=max(0.0, said.seconds),
        )  # fmt: skip
    why = "the probe answered twice" if answers else "the probe said nothing"
    if unread and not answers:
        why += f"; the last line that is no answer: {unread}"
    return _unproven(role, name, why)


def _unproven(role: str, name: Name, why: str) -> Finding:
    attack, probe = map(one_line, name)
    return Finding(role=role, attack=attack, probe=probe, outcome="unproven", detail=one_line(why))


def _outcome(said: _Answer) -> Outcome:
    """A success counts whatever the twin did; a failure only beside a twin that worked."""
    if said.succeeded:
        return "broken"
    return "held" if said.succeeded is False and said.twin else "unproven"


def one_line(text: str) -> str:
    """A container's own words, cut, on one line and without control characters."""
    return visible(text)[:DETAIL_CHARS]
