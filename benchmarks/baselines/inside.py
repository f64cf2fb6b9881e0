"""Runs inside the optimizer's image: the time of an ask, or the searches of one sampler.

Its arguments are the text of objective.py and a JSON object: what to do, the sampler, the space,
and seeds, trials and processes. The last line that it prints is a JSON object with the figures.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
from search import Search
from space import parse_space
from start_config import KnobRange

TIMED = 3  # asks at each place
GIVEN: dict[str, Any] = {}
OBJECTIVE = ModuleType("objective")


def main() -> None:
    """Do what is asked for, and print it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    found: Any
    if GIVEN["part"] == "time":
        found = {str(trials): time_of_ask(GIVEN["sampler"], trials) for trials in GIVEN["places"]}
    else:
        with ProcessPoolExecutor(GIVEN["processes"]) as pool:
            seeds = GIVEN["seeds"]
            found = dict(zip(map(str, seeds), pool.map(searched, seeds), strict=True))
    print(json.dumps(found), flush=True)


def open_study(state: Path, sampler: str, seed: int) -> Any:
    """A study of the made-up training."""
    space = parse_space({name: KnobRange(**knob) for name, knob in GIVEN["space"].items()})
    return Search(state, sampler, seed, "minimize", space)


def next_trial(search: Any, seed: int) -> tuple[dict[str, Any], float | None]:
    """Ask, train and tell; the setting and what was measured."""
    suggestion = search.ask()
    value = OBJECTIVE.measured(GIVEN["space"], suggestion.knobs, seed, suggestion.number)
    search.tell(suggestion.number, "crash" if value is None else "ok", value, {})
    return suggestion.knobs, value


def searched(seed: int) -> dict[str, Any]:
    """The value without noise of the best setting that was measured, and how many trials failed."""
    with tempfile.TemporaryDirectory() as state:
        search = open_study(Path(state), GIVEN["sampler"], seed)
        trials = [next_trial(search, seed) for _ in range(GIVEN["trials"])]
    best = min((one for one in trials if one[1] is not None), key=lambda one: one[1] or 0.0)
    return {
        "best": OBJECTIVE.true_value(GIVEN["space"], best[0]),
        "failed": sum(value is None for _, value in trials),
    }


def time_of_ask(sampler: str, trials: int) -> dict[str, float]:
    """Median seconds of an ask and of a tell, after so many trials.

    Where the history is trials and nothing else, a random search makes it: the sampler's own would
    take hours.
    """
    maker = "random" if GIVEN["history"] == "random" else sampler
    with tempfile.TemporaryDirectory() as state, tempfile.TemporaryDirectory() as copy:
        search = open_study(Path(state), maker, 1)
        for _ in range(trials):
            next_trial(search, 1)
        journal = Path(copy) / "journal.log"
        shutil.copy(Path(state) / "journal.log", journal)
        if maker != sampler:
            owner = f'"{maker}, seed'.encode(), f'"{sampler}, seed'.encode()
            journal.write_bytes(journal.read_bytes().replace(*owner))
        search = open_study(Path(copy), sampler, 1)
        search.tell(search.ask().number, "ok", 1.0, {})  # imports, and what is replayed
        asks, tells = [], []
        for _ in range(TIMED):
            began = time.perf_counter()
            suggestion = search.ask()
            asked = time.perf_counter()
            search.tell(suggestion.number, "ok", 1.0, {})
            asks.append(asked - began)
            tells.append(time.perf_counter() - asked)
    return {"ask": statistics.median(asks), "tell": statistics.median(tells)}


exec(sys.argv[1], OBJECTIVE.__dict__)
GIVEN.update(json.loads(sys.argv[2]))
if __name__ == "__main__":
    main()
