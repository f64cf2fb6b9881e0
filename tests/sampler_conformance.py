"""What every sampler must do, as a suite that the optimizer's image can run too.

`tests/unit/optimizer/test_conformance.py` runs it for the samplers whose packages the host has, and
`tests/docker/test_samplers.py` in the image, for the others. A study goes through the real loop,
whose requests are read from file descriptor 1, as the runner reads them.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import IO, Any

import optuna
from loop import Loop, Over
from messages import MESSAGES, TrialFinished, TrialRefused, TrialRequested
from protocol import decode
from samplers import SAMPLERS
from search import Search
from space import parse_space
from start_config import KnobRange, OwnSampler

FINITE = {
    "DEPTH": KnobRange("int", 4, low=2, high=8),
    "ASPECT_RATIO": KnobRange("int", 64, low=32, high=128, step=32),
    "WARMDOWN_RATIO": KnobRange("float", 0.5, low=0.1, high=0.9, step=0.2),
    "WINDOW_PATTERN": KnobRange("categorical", "L", choices=("SL", "L", "SSSL")),
    "COMPILED": KnobRange("categorical", True, choices=(True,)),
}
WHOLE = FINITE | {
    "TOTAL_BATCH_SIZE": KnobRange("int", 16384, low=4096, high=65536, log=True),
    "MATRIX_LR": KnobRange("float", 0.04, low=0.005, high=0.2, log=True),
    "WARMUP_RATIO": KnobRange("float", 0.0, low=0.0, high=0.3),
}
TINY = {
    "DEPTH": KnobRange("int", 2, low=1, high=3),
    "WINDOW_PATTERN": KnobRange("categorical", "L", choices=("SL", "L")),
}
TINY_SETTINGS, TINY_ASKS = 6, 300
SEED = 100
Setting = dict[str, Any]


def space_of(sampler: str) -> dict[str, KnobRange]:
    """The space that a sampler is tried on."""
    if sampler == "llm-space":  # which takes no knob with a single value from its model
        return {name: knob for name, knob in WHOLE.items() if name != "COMPILED"}
    return FINITE if sampler == "grid" else WHOLE


def loss(knobs: Setting) -> float:
    """A stand-in for a value, above 0; lowest for deep, with a pattern of SSSL."""
    pattern: float = {"SL": 0.1, "L": 0.05, "SSSL": 0.0}[knobs["WINDOW_PATTERN"]]
    rate = math.log(knobs.get("MATRIX_LR", 0.02) / 0.02) ** 2
    return float(2.0 + 0.1 * rate + pattern - 0.02 * knobs["DEPTH"])


def answer(request: TrialRequested, sign: float = 1.0) -> TrialFinished | TrialRefused:
    """What the ledger says of a trial: most are measured; some fail, in each way that there is."""
    number = int(request.request.rpartition("-")[2])
    if number % 13 == 8:
        return TrialRefused(request.request, "train.py has no such knob")
    ways = {3: ("crash", None), 5: ("ok", math.nan), 7: ("oom", None), 10: ("ok", math.inf)}
    status, value = ways.get(number % 12, ("ok", sign * loss(request.knobs)))
    if number % 12 == 6:
        status = "pruned"
    rounded = {"TOTAL_BATCH_SIZE": 4096.0 * round(request.knobs.get("TOTAL_BATCH_SIZE", 0) / 4096)}
    return TrialFinished(request.request, number, status, value, 1.0, rounded)


def failed(request: TrialRequested) -> TrialFinished:
    """Every training fails."""
    return TrialFinished(request.request, 1, "crash", None, 1.0)


class Run:
    """A run's optimizer without its container: asks through the loop, and may be begun again.

    Args:
        state: the directory of the journal.
        sampler: its name.
        parallel: how many trials are outstanding at a time.
        space: the knobs; None for those of `space_of`.
        seed: the run's seed.
        direction: the study's.
        own: the user's own sampler.
        opener: opens or resumes the search, of the five arguments of `Search`; None: `Search`.
    """

    def __init__(
        self,
        state: Path,
        sampler: str,
        parallel: int = 1,
        *,
        space: dict[str, KnobRange] | None = None,
        seed: int = SEED,
        direction: str = "minimize",
        own: OwnSampler | None = None,
        opener: Callable[..., Any] | None = None,
    ) -> None:
        knobs = parse_space(space or space_of(sampler))
        opener = opener or partial(Search, own=own)
        self._search = partial(opener, state, sampler, seed, direction, knobs)
        self._parallel = parallel
        self.space = space or space_of(sampler)
        self.outstanding: list[TrialRequested] = []
        self.asked: dict[int, Setting] = {}

    def begin(self) -> None:
        """Open the study, as a new process does; what was outstanding is asked for again."""
        before, self.outstanding = self.outstanding, []
        with requests() as made:
            self._loop = Loop(self._search(), self._parallel)
            self._loop.begin({})
        self._take(made)
        assert self.outstanding[: len(before)] == before, "other requests than before the restart"

    def tell(self, which: int, answer_to: Callable[[TrialRequested], Any]) -> None:
        """Answer one of the outstanding requests."""
        with requests() as made:
            self._loop.handle(answer_to(self.outstanding.pop(which)))
        self._take(made)

    def _take(self, made: list[TrialRequested]) -> None:
        for request in made:
            number = int(request.request.rpartition("-")[2])
            in_range(self.space, request.knobs)
            assert self.asked.setdefault(number, request.knobs) == request.knobs, number
            self.outstanding.append(request)


def settings(
    sampler: str,
    trials: int,
    parallel: int = 1,
    *,
    restarted: bool = False,
    answer_to: Callable[[TrialRequested], Any] = answer,
    **options: Any,
) -> list[Setting]:
    """The first settings that a sampler asks for.

    Args:
        sampler: its name.
        trials: how many settings.
        parallel: how many are outstanding; their results come out of order.
        restarted: the process dies between every two answers, and before the first.
        answer_to: makes an answer of a request.
        options: those of `Run`.
    """
    with tempfile.TemporaryDirectory() as state:
        run = Run(Path(state), sampler, parallel, **options)
        run.begin()
        while len(run.asked) < trials:
            if restarted:
                run.begin()
            which = (7 * len(run.asked) + 3) % len(run.outstanding)
            run.tell(which, answer_to)
    return [run.asked[number] for number in range(trials)]


@cache
def uninterrupted(sampler: str, trials: int, **options: Any) -> list[Setting]:
    """The settings of a run that nothing disturbs; other runs are held against it."""
    return settings(sampler, trials, **options)


# --- what must hold -------------------------------------------------------------------------------


def begins_with_the_default(sampler: str, trials: int, **options: Any) -> None:
    """Trial 0 is the default of every knob, and another seed gives other trials after it."""
    first = settings(sampler, 3, **options)
    assert first[0] == {name: knob.default for name, knob in space_of(sampler).items()}
    assert settings(sampler, 3, **{**options, "seed": SEED + 1})[1:] != first[1:]


def repeats_itself(sampler: str, trials: int, **options: Any) -> None:
    """The same seed gives the same trials, also when each ask is that of a new process."""
    once = uninterrupted(sampler, trials, **options)
    assert settings(sampler, trials, restarted=True, **options) == once
    assert len({json.dumps(one) for one in once}) > trials // 2, "much the same setting for ever"


def repeats_itself_with_three_outstanding(sampler: str, trials: int, **options: Any) -> None:
    """So it is with three trials at a time, whose results come out of order."""
    once = settings(sampler, trials, 3, **options)
    assert settings(sampler, trials, 3, restarted=True, **options) == once


def maximises_as_it_minimises(sampler: str, trials: int, **options: Any) -> None:
    """The opposite values with the opposite direction lead to the same settings."""
    opposite = settings(
        sampler, trials, direction="maximize", answer_to=lambda one: answer(one, -1.0), **options
    )
    assert opposite == uninterrupted(sampler, trials, **options)


def goes_on_where_all_fails(sampler: str, trials: int, **options: Any) -> None:
    """Without one value it still asks for settings of the space."""
    assert len(settings(sampler, trials, 2, answer_to=failed, **options)) == trials


def ends_a_finite_space(sampler: str, trials: int, **options: Any) -> None:
    """Where six settings are all there are, the loop is over when each of them has been tried."""
    with tempfile.TemporaryDirectory() as state:
        run = Run(Path(state), sampler, space=TINY, **options)
        run.begin()
        over = ""
        while not over and len(run.asked) < TINY_ASKS:
            try:
                run.tell(0, lambda one: TrialFinished(one.request, 1, "ok", loss(one.knobs), 1.0))
            except Over as end:
                over = str(end)
    assert over == "every setting has been tried", f"{len(run.asked)} asks were not enough"
    assert len({json.dumps(knobs) for knobs in run.asked.values()}) == TINY_SETTINGS


RULES: tuple[Callable[..., None], ...] = (
    begins_with_the_default,
    repeats_itself,
    repeats_itself_with_three_outstanding,
    maximises_as_it_minimises,
    goes_on_where_all_fails,
    ends_a_finite_space,
)


# --- how it is seen -------------------------------------------------------------------------------


def in_range(space: dict[str, KnobRange], knobs: Setting) -> None:
    """Every knob of the space has a value of its type within its bounds and on its grid."""
    assert knobs.keys() == space.keys()
    for name, knob in space.items():
        value = knobs[name]
        if knob.choices is not None:
            assert value in knob.choices, (name, value)
            continue
        low, high = float(knob.low or 0), float(knob.high or 0)
        assert low <= value <= high, (name, value)
        steps = (value - low) / knob.step if knob.step else 0
        assert math.isclose(steps, round(steps), abs_tol=1e-9), (name, value)
        assert type(value) is {"int": int, "float": float}[knob.type], (name, value)


@contextlib.contextmanager
def requests() -> Iterator[list[TrialRequested]]:
    """The trials that are requested meanwhile; the program's log goes nowhere."""
    made: list[TrialRequested] = []
    with tempfile.TemporaryFile() as said, Path(os.devnull).open("wb") as nowhere:
        try:
            with _instead(1, said), _instead(2, nowhere):
                yield made
        finally:
            said.seek(0)
            messages = [decode(line.decode(), MESSAGES) for line in said]
            made += [one for one in messages if isinstance(one, TrialRequested)]


@contextlib.contextmanager
def _instead(descriptor: int, file: IO[bytes]) -> Iterator[None]:
    kept = os.dup(descriptor)
    os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def quiet() -> None:
    """Optuna says nothing, and its experimental samplers give no warning, as in the image."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def main(names: list[str], trials: int) -> None:
    """Try the samplers of these names, and print a line for each rule that one keeps."""
    quiet()
    for name in names:
        assert name in SAMPLERS
        for rule in RULES:
            began = time.monotonic()
            rule(name, trials)
            print(f"{name} {rule.__name__} {time.monotonic() - began:.1f} s", flush=True)
        print(f"{name} keeps all rules", flush=True)


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
