"""Searches of LLAMBO in this process, with models whose help is known, on a made-up training.

A model here is a function of its prompts and a seed. It reads the prompts as a real one would: the
target, the setting and the boundary are taken from their words. `images/optimizer` must be on the
path.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import math
import random
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from distributions import distribution
from methods.llambo import Llambo
from methods.llambo_optuna import LlamboOptuna
from methods.settings import random_settings
from methods.terms import Past, Search
from models.terms import Answer
from samplers.scale import from_unit
from space import parse_space
from start_config import KnobRange

from benchmarks.baselines.objective import BEST, true_value
from runner.records.layout import ROOT

RANGES = tomllib.loads((ROOT / "trainer" / "search_space.toml").read_text())["large"]
SPACE = parse_space({name: KnobRange(**knob) for name, knob in RANGES.items()})
PROMPTS = {one.stem: one.read_text() for one in (ROOT / "setup_prompts/optimisers").glob("*.md")}
METHODS = {"llambo": Llambo, "llambo-optuna": LlamboOptuna}
FAILING = 0.06  # by chance alone; with settings that cannot train, a fifth of random ones fail
NOISE = 0.003  # standard deviation of what is measured
DRAWS, SCATTER = 6, 0.2  # of the helpful model: what it chooses from; its error, of a knob's range
PREDICTION_NOISE = 0.02
POOL, POOL_SEED = 4000, 12345  # of the useless model
LABEL_WIDTH = 0.05  # over which its probability falls from likely to unlikely
Knobs = dict[str, Any]
Said = Callable[[Any, random.Random], Any]


def search_of(**more: Any) -> Any:
    """What a method is told of the search."""
    told: dict[str, Any] = {
        "space": SPACE, "minimize": True, "metric": "val_bpb", "task": "large",
        "trial_seconds": 300.0, "machine": "one GPU", "seed": 1, "prompts": PROMPTS,
    }  # fmt: skip
    return Search(**told | more)


@dataclass
class FakeModel:
    """A model that says what a function of the prompt and of chance says, as JSON or as text.

    Attributes:
        says: what it is asked for each prompt.
        seed: of its chance, which goes on from request to request.
        batches: the prompts of each ask so far.
    """

    says: Said
    seed: int = 1
    batches: list[Sequence[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance, self._asked = random.Random(self.seed), 0

    def ask(self, prompts: Sequence[Any]) -> list[Any]:
        """The answers; what is no text and no answer is sent as JSON."""
        self.batches.append(prompts)
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Any) -> Any:
        self._asked += 1
        said = self.says(prompt, self._chance)
        if isinstance(said, (dict, list)):
            said = json.dumps(said)
        return Answer(said, f"r{self._asked}") if isinstance(said, str) else said


def helpful(prompt: Any, chance: random.Random) -> Any:
    """Near the optimum with an error, and of such settings the nearest to the target."""
    if prompt.purpose == "candidates":
        drawn = [_near_the_optimum(chance) for _ in range(DRAWS)]
        target = float(re.findall(r"^Target: \S+ (\S+)$", prompt.text, re.MULTILINE)[0])
        return min(drawn, key=lambda knobs: abs((true_value(RANGES, knobs) or 9) - target))
    value = true_value(RANGES, setting_in(prompt.text))
    if prompt.purpose == "prediction":
        return {"value": None if value is None else value + chance.gauss(0, PREDICTION_NOISE)}
    boundary = float(re.findall(r"a val_bpb of (\S+) or", prompt.text)[0])
    likely = -50.0 if value is None else (boundary - value) / LABEL_WIDTH
    return {"probability": 1 / (1 + math.exp(-max(-50.0, min(50.0, likely))))}


def useless(prompt: Any, chance: random.Random) -> Any:
    """Anything of the space, and any number."""
    if prompt.purpose == "candidates":
        return chance.choice(_pool())
    return {"value": chance.uniform(0.9, 1.5), "probability": chance.random()}


def setting_in(text: str) -> Knobs:
    """The setting that a prompt asks about."""
    found: Knobs = json.loads(text.split("## Setting\n")[1].strip().splitlines()[0])
    return found


def measured(knobs: Knobs, seed: int, number: int) -> float | None:
    """What a trial measures; chance depends on the seed and the number alone."""
    chance = random.Random(f"{seed} {number}")
    fails, noise = chance.random() < FAILING, chance.gauss(0.0, NOISE)
    value = true_value(RANGES, knobs)
    return None if value is None or fails else value + noise


def trial(knobs: Knobs, value: float | None, number: int) -> Any:
    """A trial that ended."""
    return Past(number, knobs, value, "failed" if value is None else "ok")


def searched(
    method: str, model: Any, seed: int, trials: int, **more: Any
) -> tuple[list[Any], list[Any]]:
    """The proposals of a whole search, and all of its trials, of which 0 is the default."""
    chosen = METHODS[method](search_of(seed=seed, **more))
    default = {knob.name: knob.default for knob in SPACE}
    past, proposals = [trial(default, measured(default, seed, 0), 0)], []
    for number in range(1, trials):
        proposal = chosen.propose(number, past, (), model)
        proposals.append(proposal)
        value = measured(proposal.knobs, seed, number)
        past.append(trial(proposal.knobs, value, number))
    return proposals, past


def best_of(past: Sequence[Any]) -> float:
    """The value without noise of the best setting that was measured."""
    best = min((one for one in past if one.value is not None), key=lambda one: one.value)
    value: float | None = true_value(RANGES, best.knobs)
    return value or math.inf


@cache
def best_of_random(seed: int, trials: int) -> float:
    """Likewise of the sampler `random`, with the same seed and the same chance."""
    settings = [{knob.name: knob.default for knob in SPACE}]
    settings += [random_settings(SPACE, seed, number)[0] for number in range(1, trials)]
    return best_of([trial(s, measured(s, seed, n), n) for n, s in enumerate(settings)])


def chance_of(wins: int, of: int) -> float:
    """The one-sided p of the exact sign test: so many wins or more, if either were as likely."""
    return float(sum(math.comb(of, more) for more in range(wins, of + 1)) / 2**of)


@cache
def _pool() -> list[Knobs]:
    """Random settings to take from: to draw each one anew takes most of a search's time."""
    drawn: list[Knobs] = random_settings(SPACE, POOL_SEED, 0, POOL)
    return drawn


def _near_the_optimum(chance: random.Random) -> Knobs:
    """The optimum of the made-up training, with an error in every knob."""
    found: Knobs = {}
    for knob in SPACE:
        if knob.type == "categorical":
            found[knob.name] = chance.choice(knob.choices)
            continue
        at = BEST[knob.name][0] if knob.name in BEST else 0.5
        at = min(max(at + chance.gauss(0, SCATTER), 0.0), 1.0)
        found[knob.name] = from_unit(distribution(knob), at)
    return found
