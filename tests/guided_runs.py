"""Searches that a model guides, in process: doubles of a model, and runs on the made-up training.

The doubles answer by the prompt and a seed alone. The helpful one knows where the optimum of
`benchmarks/baselines/objective.py` is, with an error: one of its own, the same at every answer, and
one of each answer. The useless one answers settings at random.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from config_reader import read_config
from methods.settings import random_settings
from model_config import ModelConfig
from models.terms import Answer, NoAnswer, OutOfBudgetError, Prompt
from opening import open_guided
from protocol import pack_text
from search import Search
from space import parse_space
from start_config import KnobRange, OptimizerConfig

from benchmarks.baselines import objective
from runner.records.layout import ROOT

TABLE: dict[str, dict[str, Any]] = tomllib.loads(
    (ROOT / "trainer" / "search_space.toml").read_text(encoding="utf-8")
)["large"]
LARGE: dict[str, KnobRange] = {name: read_config(KnobRange, knob) for name, knob in TABLE.items()}
PROMPTS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in (ROOT / "setup_prompts" / "optimisers").glob("*.md")
}
# A good model of the right size: deep and wide, and it fits into memory.
GOOD = {name: place for name, (place, _) in objective.BEST.items()} | {
    "DEPTH": 0.55,
    "ASPECT_RATIO": 0.7,
}
OWN_ERROR, ANSWER_ERROR = 0.06, 0.1  # standard deviations, as parts of a knob's range
GUIDE = ModelConfig(
    method="llm-knobs", provider="anthropic", model="a-model", token="", metric="val_bpb",
    task="made-up", trial_seconds=60, machine="a machine", prompts=PROMPTS,
)  # fmt: skip
CONSTANTS_PY = "".join(f"{name} = {knob.default!r}\n" for name, knob in LARGE.items())
Answers = Callable[[Prompt, int, int], str | NoAnswer]  # prompt, trial, place in the trial


class Doubled:
    """A model that answers by a function, and keeps its answers as `KeptModel` does.

    Args:
        answer: of a prompt, its trial and its place in that, what the model says.
        budget: after so many requests it says that the budget is spent.
    """

    def __init__(self, answer: Answers, budget: float = math.inf) -> None:
        self._answer = answer
        self._budget = budget
        self._kept: dict[tuple[int, int, str], Answer | NoAnswer] = {}
        self._trial = self._place = 0
        self.paid: list[Prompt] = []

    def for_trial(self, number: int) -> None:
        """Count from place 0 again."""
        self._trial, self._place = number, 0

    def forget(self, number: int) -> None:
        """Keep the answers of that trial no longer."""
        self._kept = {key: said for key, said in self._kept.items() if key[0] != number}

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        """The answers; one that is kept is not paid for again."""
        return [self._one(prompt) for prompt in prompts]

    def _one(self, prompt: Prompt) -> Answer | NoAnswer:
        key = (self._trial, self._place, prompt.text)
        self._place += 1
        if key not in self._kept:
            if len(self.paid) >= self._budget:
                raise OutOfBudgetError("no further request fits the cap")
            self.paid.append(prompt)
            said = self._answer(prompt, key[0], key[1])
            request = f"r{len(self.paid)}"
            self._kept[key] = Answer(said, request) if isinstance(said, str) else said
        return self._kept[key]


def helpful(seed: int) -> Answers:
    """Answers near to the optimum, with an error.

    Args:
        seed: draws the errors.
    """

    def answer(prompt: Prompt, trial: int, place: int) -> str:
        del trial
        chance = _chance(prompt, place, seed)
        if prompt.purpose == "first":
            wanted = int(re.findall(r"Propose (\d+) settings", prompt.text)[0])
            return json.dumps({"settings": [_near(seed, chance) for _ in range(wanted)]})
        return json.dumps(_ranges(seed) if prompt.purpose == "space" else _near(seed, chance))

    return answer


def useless(seed: int) -> Answers:
    """Answers settings at random."""
    space = parse_space(LARGE)

    def answer(prompt: Prompt, trial: int, place: int) -> str:
        del trial
        number = _chance(prompt, place, seed).getrandbits(31)
        return json.dumps(random_settings(space, seed, number)[0])

    return answer


def opened(
    state: Path,
    method: str,
    model: Any,
    *,
    seed: int = 1,
    space: Any = None,
    direction: Any = "minimize",
    shared: Any = None,
    train_py: str = CONSTANTS_PY,
    **config: Any,
) -> Any:
    """A search that a model guides; `config` has fields of `ModelConfig`."""
    guide = replace(GUIDE, method=method, train_py_gz=pack_text(train_py), **config)
    plain = OptimizerConfig(method, seed, {}, 100.0, direction, shared=shared)
    return open_guided(state, plain, guide, space or parse_space(LARGE), model)


def next_trial(search: Any, seed: int) -> tuple[Any, float | None]:
    """Ask, train and tell; the suggestion and what was measured."""
    suggestion = search.ask()
    knobs = {name: knob.default for name, knob in LARGE.items()} | suggestion.knobs
    value = objective.measured(TABLE, knobs, seed, suggestion.number)
    search.tell(suggestion.number, "crash" if value is None else "ok", value, {})
    return suggestion, value


def trials_of(search: Any, seed: int, trials: int) -> list[tuple[Any, float | None]]:
    """The first trials of a search."""
    return [next_trial(search, seed) for _ in range(trials)]


def best_of_sampler(sampler: str, seed: int, trials: int) -> float:
    """The value without noise of the best setting that a sampler measures."""
    with tempfile.TemporaryDirectory() as state:
        search = Search(Path(state), sampler, seed, "minimize", parse_space(LARGE))
        return _best(trials_of(search, seed, trials))


def best_of_method(method: str, seed: int, trials: int, answers: Answers, **config: Any) -> float:
    """The value without noise of the best setting that a method measures."""
    with tempfile.TemporaryDirectory() as state:
        search = opened(Path(state), method, Doubled(answers), seed=seed, **config).search
        return _best(trials_of(search, seed, trials))


def _best(trials: Sequence[tuple[Any, float | None]]) -> float:
    whole = [(value, suggestion) for suggestion, value in trials if value is not None]
    knobs = min(whole, key=lambda one: one[0])[1].knobs
    true = objective.true_value(TABLE, {n: k.default for n, k in LARGE.items()} | knobs)
    assert true is not None
    return true


def _chance(prompt: Prompt, place: int, seed: int) -> random.Random:
    digest = hashlib.sha256(f"{seed} {place} {prompt.text}".encode()).hexdigest()
    return random.Random(digest)


def _near(seed: int, chance: random.Random) -> dict[str, Any]:
    own = random.Random(f"own error {seed}")
    setting: dict[str, Any] = {"WINDOW_PATTERN": "SSSL"}
    for name, good in GOOD.items():
        at = good + own.gauss(0.0, OWN_ERROR) + chance.gauss(0.0, ANSWER_ERROR)
        setting[name] = _value(TABLE[name], min(max(at, 0.0), 1.0))
    return setting


def _ranges(seed: int) -> dict[str, Any]:
    """Half of each range, where the optimum is thought to be; the default is in it."""
    own = random.Random(f"own error {seed}")
    ranges: dict[str, Any] = {}
    for name, good in GOOD.items():
        knob = TABLE[name]
        at, default = good + own.gauss(0.0, OWN_ERROR), objective.place(knob, knob["default"])
        ends = [max(min(at - 0.2, default), 0.0), min(max(at + 0.2, default), 1.0)]
        low, high = (_value(knob, end) for end in ends)
        ranges[name] = {
            "type": knob["type"], "low": min(low, knob["default"]),
            "high": max(high, knob["default"]), "log": knob.get("log", False),
        }  # fmt: skip
    return ranges


def _value(knob: Mapping[str, Any], at: float) -> float:
    """The value at a place from 0 to 1 of a knob's range, on its scale."""
    low, high = float(knob["low"]), float(knob["high"])
    value = low * (high / low) ** at if knob.get("log") else low + at * (high - low)
    return round(value) if knob["type"] == "int" else value
