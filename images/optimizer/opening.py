"""Opens the search that a config asks for: a sampler's, a model's, or one of whole texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import loop
from config_reader import read_config
from guide import Guided, KeepingModel, record
from journal import study_attribute
from messages import MAX_TRAIN_PY_BYTES, Problem, Started
from methods import Row, entry_of, row_of
from methods.fallbacks import GaveUpError
from methods.llm_space import ProposedSpace, described, propose_space
from methods.terms import Proposal
from methods.terms import Search as Told
from model_config import ModelConfig
from pid1 import say, send
from protocol import unpack_text
from search import JOURNAL, Search, SearchError
from space import Knob, parse_space
from start_config import KnobRange, OptimizerConfig

SPACE = "bakeoff.space"  # of a study: the space that a model proposed, and its proposal
ANSWERS = "answers.jsonl"
LLM_SPACE = "llm-space"


@dataclass(frozen=True)
class Opened:
    """A search, and what `Started` says of it."""

    search: loop.Search
    details: dict[str, str | int]


def open_search(
    state: Path,
    config: OptimizerConfig,
    guide: ModelConfig | None,
    space: tuple[Knob, ...],
) -> Opened:
    """Open or resume the search.

    Args:
        state: the directory that outlives this process.
        config: what the runner asks for.
        guide: `config.language_model`, read; None: the sampler searches alone.
        space: `config.space`, read.

    Raises:
        SearchError: see `Search`.
        MethodError: there is no such method, or it cannot be used so.
        OutOfBudgetError: the run may not ask for its space any more.
        UselessModelError: the provider serves this run no model.
        GaveUpError: the model gave no space that can be searched.
    """
    if guide is not None:
        from models import client
        from models.kept import KeptModel

        asked = client.open_model(guide, client.SOCKET, note=_tell_runner)
        model = KeptModel(asked, state / ANSWERS)
        return open_guided(state, config, guide, space, model)
    search = Search(
        state, config.sampler, config.seed, config.direction, space,
        own=config.own, pruner=config.pruner, shared=config.shared,
    )  # fmt: skip
    return Opened(
        search, {"sampler": config.sampler, "seed": config.seed, "knobs": len(space)}
    )  # fmt: skip


def open_guided(
    state: Path,
    config: OptimizerConfig,
    guide: ModelConfig,
    space: tuple[Knob, ...],
    model: KeepingModel,
) -> Opened:
    """Open or resume a search that asks this model; see `open_search`."""
    row = row_of(guide)
    details: dict[str, str | int] = {
        "method": guide.method, "model": guide.model, "seed": config.seed,
    }  # fmt: skip
    if row.make is None:
        from texts import TextSearch

        facts = told(config, guide, ())
        return Opened(TextSearch(state, facts, model, train_py(guide), _tell_runner), details)
    inner = row.sampler(guide)
    first = Proposal("default")
    attributes: dict[str, str] = {}
    if guide.method == LLM_SPACE:
        proposed = _proposed_space(state, told(config, guide, space), guide, model)
        attributes = {SPACE: _written(proposed)}
        first = proposed.proposal
        space = parse_space(proposed.space)
        details["space"] = described(space)
        say(f"the space is {details['space']}")
    method = row.make(told(config, guide, space), guide, inner)
    guided = Guided(
        method, model, _owner(guide, row), first,
        inner=inner if row.inner else "", asked_once=row.asked_once, entry=entry_of(guide),
        attributes=attributes,
    )  # fmt: skip
    search = Search(
        state, inner, config.seed, config.direction, space,
        pruner=config.pruner, shared=config.shared, guided=guided,
    )  # fmt: skip
    return Opened(search, details | {"sampler": inner, "knobs": len(space)})


def told(config: OptimizerConfig, guide: ModelConfig, space: tuple[Knob, ...]) -> Told:
    """What a method is told of the search."""
    return Told(
        space=space,
        minimize=config.direction == "minimize",
        metric=guide.metric,
        task=guide.task,
        trial_seconds=guide.trial_seconds,
        machine=guide.machine,
        seed=config.seed,
        prompts=guide.prompts,
        as_published=guide.as_published,
    )


def _tell_runner(words: str) -> None:
    send(Problem(during="asking the model", message=words))


def train_py(guide: ModelConfig) -> str:
    """The text with which every contestant begins.

    Raises:
        SearchError: the config has none that can be read.
    """
    try:
        return unpack_text(guide.train_py_gz, MAX_TRAIN_PY_BYTES).decode()
    except ValueError as error:
        raise SearchError(f"{guide.method} needs the text of train.py: {error}") from None


def _owner(guide: ModelConfig, row: Row) -> str:
    """What the trials of a guided search depend on beside the sampler, the seed and the answers."""
    words = [guide.method, f"model {guide.provider}/{guide.model}"]
    words += [f"ratio {guide.ratio:g}"] if guide.method == "centaur" else []
    words += [f"first {guide.first}"] if row.asked_once else []
    words += [f"as published {guide.as_published}"] if guide.as_published else []
    return ", ".join(words)


def _proposed_space(
    state: Path, search: Told, guide: ModelConfig, model: KeepingModel
) -> ProposedSpace:
    """The space that the study keeps; before it has one, that of the model.

    A death before the study has it changes nothing: the model's answers are kept, and give the same
    space again. Those without a space are forgotten, so that a resumed search asks anew.

    Raises:
        GaveUpError: the model gave no space that can be searched.
    """
    kept = study_attribute(state / JOURNAL, SPACE)
    if kept is not None:
        return _read(json.loads(kept))
    send(Started({"waits for": "the model's search space"}))
    model.for_trial(0)
    try:
        proposed = propose_space(search, train_py(guide), model)
    except GaveUpError:
        model.forget(0)
        raise
    for name, fault in proposed.proposal.changed.items():
        say(f"of the model's space: {name}: {fault}")
    return proposed


def _written(proposed: ProposedSpace) -> str:
    ranges = {name: asdict(one) for name, one in proposed.space.items()}
    return json.dumps({"space": ranges, "proposal": record(proposed.proposal)})


def _read(kept: Mapping[str, Any]) -> ProposedSpace:
    said = kept["proposal"]
    space = {name: read_config(KnobRange, one) for name, one in kept["space"].items()}
    lists = {name: tuple(said[name]) for name in ("requests", "repairs")}
    return ProposedSpace(space, Proposal(**(said | lists)))
