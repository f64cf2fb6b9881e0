"""A search of texts on a made-up training, with the scripted model in place of a real one."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from methods.terms import Search
from models.kept import KeptModel
from models.terms import Answer, NoAnswer, OutOfBudgetError, Prompt
from texts import TextSearch

from images.rehearsal.scripted_model.proposing.answers import MIXED
from images.rehearsal.scripted_model.proposing.code import constants
from images.rehearsal.scripted_model.session import Proposer
from runner.records.layout import ROOT

TRAIN_PY = '''\
"""Trains a model."""
import os
import torch

DEPTH = 4  # layers
MATRIX_LR = 0.04
EMBEDDING_LR = 0.6
WARMDOWN_RATIO = 0.5
print(DEPTH, MATRIX_LR)
'''
TEMPLATE = (ROOT / "setup_prompts/optimisers/code.md").read_text()


def facts(*, minimize: bool = True, as_published: str = "") -> Search:
    """What every prompt says of a search of texts."""
    prompts = {"code": TEMPLATE}
    return Search(
        (), minimize, "val_bpb", "pystdlib", 5.0, "2 cores", 1, prompts, as_published
    )  # fmt: skip


@dataclass
class ScriptedModel:
    """Answers by the rehearsal's scripted model, and counts what it was asked."""

    seed: int = 1
    quality: str = MIXED
    prompts: list[Prompt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._proposer = Proposer(self.seed, self.quality)

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        said = [self._proposer.says(prompt.text).text for prompt in prompts]
        numbers = range(len(self.prompts) + 1, len(self.prompts) + len(said) + 1)
        self.prompts += prompts
        return [Answer(text, f"r-{n}") for text, n in zip(said, numbers, strict=True)]


@dataclass
class Saying:
    """Says these, one after another; None is no answer, and after the last the run is spent."""

    texts: list[str | None]
    prompts: list[Prompt] = field(default_factory=list)

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        [prompt] = prompts
        if len(self.prompts) == len(self.texts):
            raise OutOfBudgetError
        self.prompts.append(prompt)
        said, request = self.texts[len(self.prompts) - 1], f"r-{len(self.prompts)}"
        return [NoAnswer("HTTP 503", request) if said is None else Answer(said, request)]


def code(text: str, description: str = "a change") -> str:
    """An answer with a file."""
    return f"DESCRIPTION: {description}\n```python\n{text}```\n"


def variant(number: int) -> str:
    """A text that is not train.py as it is."""
    return TRAIN_PY.replace("0.04", f"0.{number:04d}")


class Opener:
    """Opens searches in directories."""

    def __call__(
        self, state: Path, model: Any, notes: list[str] | None = None, **settings: Any
    ) -> TextSearch:
        """A search in a directory, whose model's answers are kept there."""
        state.mkdir(exist_ok=True)
        kept = KeptModel(model, state / "answers.jsonl")
        note = (notes if notes is not None else []).append
        return TextSearch(state, facts(**settings), kept, TRAIN_PY, note)


def measured(text: str) -> float | None:
    """The made-up training: a value to be minimised, or None for a text that fails."""
    ast.parse(text)
    if "import socket" in text:
        return None
    found = {name: one.value for name, one in constants(text).items()}
    return (
        2.0
        + 0.1 * math.log2(found["DEPTH"] / 2) ** 2
        + 0.05 * math.log2(found["MATRIX_LR"] / 0.08) ** 2
        + 0.05 * math.log2(found["EMBEDDING_LR"] / 1.0) ** 2
    )


def step(search: TextSearch, parallel: int = 1) -> tuple[int, str]:
    """Ask until `parallel` trials are under way, then tell the oldest one; its number and text."""
    while len(search.outstanding()) < parallel:
        search.ask()
    first = search.outstanding()[0]
    assert first.text is not None
    text = first.text.read_text()
    value = measured(text)
    search.tell(first.number, "crash" if value is None else "ok", value, {})
    return first.number, text


def run(search: TextSearch, trials: int, parallel: int = 1) -> list[tuple[int, str]]:
    """So many trials, as number and text."""
    return [step(search, parallel) for _ in range(trials)]
