"""Runs inside the optimizer's image: the times of asks, or the searches of a sampler.

Its arguments are the text of objective.py and a JSON object: what to do, the samplers, the space,
and seeds, trials and processes. The last line that it prints is a JSON object with the figures.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
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
        found = times(GIVEN["samplers"][0], GIVEN["samplers"], GIVEN["places"])
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
        search = open_study(Path(state), GIVEN["samplers"][0], seed)
        trials = [next_trial(search, seed) for _ in range(GIVEN["trials"])]
    best = min((one for one in trials if one[1] is not None), key=lambda one: one[1] or 0.0)
    return {
        "best": OBJECTIVE.true_value(GIVEN["space"], best[0]),
        "failed": sum(value is None for _, value in trials),
    }


def times(maker: str, samplers: list[str], places: list[int]) -> dict[str, dict[str, Any]]:
    """Sampler → trials before → median seconds of an ask, by the clock and of a processor.

    Args:
        maker: the sampler that makes the history. For samplers that read trials and nothing else,
            a random search does: their own would take hours.
        samplers: those to time.
        places: after how many trials, rising.
    """
    found: dict[str, dict[str, Any]] = {sampler: {} for sampler in samplers}
    with tempfile.TemporaryDirectory() as state:
        search = open_study(Path(state), maker, 1)
        for number in range(1, max(places) + 1):
            next_trial(search, 1)
            if number in places:
                for sampler in samplers:
                    journal = (Path(state) / "journal.log").read_bytes()
                    found[sampler][str(number)] = timed(journal, maker, sampler)
    return found


def timed(journal: bytes, maker: str, sampler: str) -> dict[str, float]:
    """Median seconds of an ask of a sampler that goes on with a journal."""
    with tempfile.TemporaryDirectory() as state:
        owner = f'"{maker}, seed'.encode(), f'"{sampler}, seed'.encode()
        (Path(state) / "journal.log").write_bytes(journal.replace(*owner))
        search = open_study(Path(state), sampler, 1)
        search.tell(search.ask().number, "ok", 1.0, {})  # imports, and what is replayed
        asks, busy = [], []
        for _ in range(TIMED):
            began, used = time.perf_counter(), time.process_time()
            suggestion = search.ask()
            asks.append(time.perf_counter() - began)
            busy.append(time.process_time() - used)
            search.tell(suggestion.number, "ok", 1.0, {})
    return {"ask": statistics.median(asks), "processor": statistics.median(busy)}


exec(sys.argv[1], OBJECTIVE.__dict__)
GIVEN.update(json.loads(sys.argv[2]))
if __name__ == "__main__":
    main()
