"""Every error that can end a command, as one tree.

    BakeoffError
    ├── UserError        the request cannot be carried out as it stands (names, budgets, paths)
    ├── HostError        the runner's own machine: disk, files, permissions
    ├── EngineError      the Docker engine: absent, too old, refusing
    │   ├── ImageError   an image is absent or did not build
    │   └── PathError    the engine answers, but what lies at a path cannot be read
    ├── SandboxError     a container or volume of a run did not do what it must
    ├── LockError        a run's containers are not shown to hold what is in them
    └── SuspendedError   a run that is suspended: nothing failed that `resume` does not take up

A message says what was being done and what is the case; the hint says what to do about it. `cause`
says who has to act: user, host or sandbox. `result.json` uses the same words for how a run ended,
and four more for ends that are no errors here: budget, agent, provider and disk.

Some exceptions are not in the tree, because their callers catch them and no command ends by them:
`LeaseAbandonedError` and `LeaseLostError` (a trial stops waiting for its device, or has lost it),
`JudgeAbandonedError` (a trial stops waiting for the judge),
`UnreadableError` (a train.py is no Python), `ArchiveError` (a tar stream is odd) and those of
`runner/wire/`, which is copied into images that do not have this file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class BakeoffError(Exception):
    """Root of the tree.

    Args:
        message: what was being done and what is the case, in one line.
        hint: what the user can do about it; empty if there is nothing to do.
    """

    cause: ClassVar[str] = "host"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(BakeoffError):
    cause = "user"


class HostError(BakeoffError):
    cause = "host"


class EngineError(BakeoffError):
    cause = "host"


class ImageError(EngineError):
    cause = "host"


class PathError(EngineError):
    cause = "sandbox"


class SandboxError(BakeoffError):
    cause = "sandbox"


class LockError(BakeoffError):
    cause = "sandbox"


class SuspendedError(BakeoffError):
    """A run is suspended.

    Args:
        message: what suspended it.
        why: the same in one word, for the journal.
        by: who has to act: user, agent, provider, sandbox or host; or disk, where a contestant's
            volumes passed their bound.
    """

    def __init__(self, message: str, *, why: str, by: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.why = why
        self.by = by


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is in no table; its hint lists the known names and the nearest.

    Args:
        kind: what the name stands for, for the message: "agent", "sampler", "task".
        name: what the user wrote.
        known: every valid name.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    return UserError(
        f"choosing the {kind}: there is no {kind} {name!r}",
        hint=f"{guess}known: {', '.join(names)}",
    )
