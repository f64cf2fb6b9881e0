"""On which devices, how many at a time, and in whose study runs searched, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.results.asked import whole, word

STUDY = "study"
OWN_STUDY = "its own"


def setup_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """What a spec says of it, in words: condition → value, without what is not known."""
    if not spec.get("kind"):
        return {}
    gpus = spec.get("gpus") or [gpu for gpu in [spec.get("gpu")] if gpu is not None]
    count = len(gpus) if isinstance(gpus, list) else 1
    sets = max(1, whole(spec.get("cpu_sets", 1)))
    found = {"devices": _counted(count, "GPU") if count else _cores(sets)}
    versions = spec.get("versions")
    cores = versions.get("trains_on") if isinstance(versions, Mapping) else None
    if cores and not count:
        found["cores of a trial"] = word(cores)
    if spec["kind"] == "agent":
        return found | {"trials at a time": str(count or sets)}
    own = spec.get("study") in (None, spec.get("run_id"))
    return found | {
        "trials at a time": str(max(1, whole(spec.get("workers", 1)))),
        "asking ahead": "yes" if spec.get("ask_ahead") is True else "no",
        STUDY: OWN_STUDY if own else f"{word(spec['study'])}, a shared one",
    }


def differences(setups: Iterable[Mapping[str, str]]) -> list[str]:
    """The conditions that differ, with their values; a run of which one is not known has any."""
    found: dict[str, set[str]] = {}
    for setup in setups:
        for name, value in setup.items():
            found.setdefault(name, set()).add(value)
    return [f"{name}: {'; '.join(sorted(had))}" for name, had in found.items() if len(had) > 1]


def shares_a_study(setup: Mapping[str, str]) -> bool:
    """Whether the run's optimizer learnt from the trials of other runs."""
    return setup.get(STUDY, OWN_STUDY) != OWN_STUDY


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _cores(sets: int) -> str:
    return "all cores" if sets == 1 else f"{sets} sets of cores"
