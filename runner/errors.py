"""Every error that Bakeoff raises on purpose.

    BakeoffError
    ├── UserError        what was asked for cannot be done as asked (names, budgets, paths)
    ├── HostError        the runner's own machine: disk, files, permissions
    ├── EngineError      the Docker engine: absent, too old, refusing
    │   └── ImageError   an image is absent or did not build
    └── SandboxError     a container or volume of a run did not do what it must

A message says what was being done and what is so; the hint says what to do. `cause` names whose
fault it is in a result: user, host, sandbox, agent or provider.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class BakeoffError(Exception):
    """Root of the tree.

    Args:
        message: what was being done and what is so, in one line.
        hint: what the user can do about it; empty when there is nothing.
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


class SandboxError(BakeoffError):
    cause = "sandbox"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that no table has, with the known names and the nearest one.

    Args:
        kind: what the name names, for the message: "agent", "sampler", "task".
        name: what the user wrote.
        known: every name that would have been right.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    return UserError(
        f"choosing the {kind}: there is no {kind} {name!r}",
        hint=f"{guess}known: {', '.join(names)}",
    )
