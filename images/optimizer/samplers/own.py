"""A user's own sampler, from the text of a Python file.

The file runs in here, locked in like every contestant, and may import what this image has: the
standard library, numpy, scipy, Optuna, torch. Its factory is called with those of these arguments
that it names:

- `seed`: a 32-bit number. What the factory makes must depend on nothing else.
- `space`: the knobs, as name → Optuna's distribution.

If it gives a sampler of Optuna's (a `BaseSampler`), one is made for every ask, with a seed of its
own, and its state is the study's history. A factory with the attribute `learns_from_trials = True`
is shown failures as the worst value measured, as TPE is. If it gives anything with `ask` and
`tell`, that is an algorithm with a state; see `AskTell` in entry.py.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from optuna.samplers import BaseSampler

from samplers.entry import AskTell, Entry, Space, seed_of_ask

MODULE = "own_sampler"


class OwnSamplerError(Exception):
    """The user's file is no sampler; the text says why."""


def own_entry(file: str, text: str, factory: str, space: Space, seed: int) -> Entry:
    """The row of the table for a user's sampler.

    Args:
        file: the file's name, for the lines of an error.
        text: its text.
        factory: the name in it to call.
        space: the knobs.
        seed: the run's seed.

    Raises:
        OwnSamplerError: the file has no such name, or what it makes is no sampler.
        Exception: whatever the user's own code raises.
    """
    make = getattr(_module(file, text), factory, None)
    if not callable(make):
        raise OwnSamplerError(f"{file} has no {factory} that can be called")
    arguments = _arguments(file, factory, make)

    def made(its_seed: int) -> Any:
        offered = {"seed": its_seed, "space": dict(space)}
        return make(**{name: offered[name] for name in arguments})

    first = made(seed_of_ask(seed, 0))
    if isinstance(first, BaseSampler):
        return Entry(
            lambda run_seed, number: made(seed_of_ask(run_seed, number)),
            learns_from_trials=bool(getattr(make, "learns_from_trials", False)),
        )
    if callable(getattr(first, "ask", None)) and callable(getattr(first, "tell", None)):

        def algorithm(_: Space, run_seed: int) -> AskTell:
            again: AskTell = made(seed_of_ask(run_seed, 0))
            return again

        return Entry(ask_tell=algorithm)
    raise OwnSamplerError(
        f"{factory} of {file} made a {type(first).__name__}, which is no sampler of Optuna's and "
        "has no ask and tell"
    )


def _module(file: str, text: str) -> ModuleType:
    """The file as a module, with its lines known to tracebacks."""
    module = ModuleType(MODULE)
    module.__file__ = file
    sys.modules[MODULE] = module  # dataclasses look themselves up there
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), module.__dict__)
    return module


def _arguments(file: str, factory: str, make: Callable[..., Any]) -> list[str]:
    """Which of the offered arguments the factory takes."""
    parameters = inspect.signature(make).parameters.values()
    needed = {
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    }
    if unknown := sorted(needed - {"seed", "space"}):
        raise OwnSamplerError(
            f"{factory} of {file} needs {', '.join(unknown)}; it is called with seed and space"
        )
    named = {one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY}
    return sorted(named & {"seed", "space"})
