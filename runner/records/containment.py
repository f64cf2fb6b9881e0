"""`containment.json`: what was tried in the very containers of a run, and what came of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.records.layout import RunDir
from runner.records.schema import Record

Outcome = Literal["held", "broken", "unproven"]
Part = Literal["quick", "all"]
Standing = Literal["held", "unsafe", "refused", "not proved"]


class Finding(BaseModel):
    """What came of one attack in one kind of container.

    Args:
        role: the container's role: agent, optimizer, trial, judge or gateway.
        attack: the class of docs/threat-model.md that the probe belongs to.
        probe: its name, one of a kind within its class.
        outcome: `held`: the attack failed and its allowed twin worked. `broken`: the attack
            succeeded. `unproven`: the twin failed, or the probe said nothing, so that its failure
            proves nothing.
        detail: what was seen, for people: one printable line.
        seconds: how long it took.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    role: str
    attack: str
    probe: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0


class Containment(Record):
    """The proof of one run's lock.

    Args:
        proved_at: when it ended.
        part: which probes were run at the start.
        key: the hash of all that the proof depends on: images, configurations, engine, kernel and
            boot of its machine. A slow proof holds for every run with the same key.
        images: role → the image by its content.
        configurations: role → the SHA-256 of what the engine was asked for.
        engine: its name and version.
        kernel: of the engine's machine, as the containers see it.
        boot: the id of that machine's boot.
        findings: of every probe.
        slow: the findings of a slow proof with the same key; empty where there is none yet.
        unsafe: the user let the run go on although something did not hold.
        earlier: what did not hold in earlier lives of such a run.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    proved_at: str
    part: Part
    key: str
    images: dict[str, str]
    configurations: dict[str, str]
    engine: str = ""
    kernel: str = ""
    boot: str = ""
    findings: tuple[Finding, ...] = ()
    slow: tuple[Finding, ...] = ()
    unsafe: bool = False
    earlier: tuple[Finding, ...] = ()

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What is not shown to hold."""
        return tuple(one for one in self.findings + self.slow if one.outcome != "held")

    @property
    def standing(self) -> Standing:
        """What it comes to, in a word; `refused` where the run has not gone on."""
        if self.unsafe:
            return "unsafe"
        return "refused" if self.failed else "held"


def read_containment(run_dir: RunDir) -> Containment | None:
    """The proof of a run's lock; None where there is none, or where it cannot be read."""
    try:
        return Containment.model_validate_json(run_dir.containment.read_bytes())
    except (OSError, ValidationError):
        return None


def is_unsafe(run_dir: RunDir) -> bool:
    """Whether a person let the run go on although its lock was not shown to hold."""
    found = read_containment(run_dir)
    return found is not None and found.unsafe
