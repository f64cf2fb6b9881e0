"""The tasks, read from the TOML tables beside this file."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class UnknownTaskError(LookupError):
    """There is no task of that name."""


@dataclass(frozen=True)
class Task:
    """The constants of a task. They are fixed and the same for every contestant.

    Attributes:
        name: the name of the task and of its file in `tasks/`.
        description: one line for a person.
        source: where the text comes from; a name in `corpus.SOURCES`.
        sequence_tokens: how many tokens a model sees at once, T.
        vocabulary: how many tokens the tokenizer has, with the special ones, V.
        document_bytes: longer documents are cut at a blank line or line end; 0 never cuts.
        bpe_bytes: the most text that the tokenizer learns from.
        eval_tokens: the most targets that the study's evaluation covers; the referee scores them.
        judged_tokens: how many targets the score of a trial covers.
        estimate_tokens: the most targets that an intermediate estimate covers.
        train_seconds: the training time of a trial, unless the run sets another.
        limit_seconds: the wall time that a trial may take beyond its training time.
        seed: the seed of data order and initialisation, the same for everybody.
        network: whether preparing the data needs the internet.
        needs_input: whether preparing the data needs the user's own text.
        space: the section of `search_space.toml` for baselines.
        urls: the files to download, in the order that the source expects.
        sha256: the SHA-256 that each file must have; empty if only the server states it.
    """

    name: str
    description: str
    source: str
    sequence_tokens: int
    vocabulary: int
    document_bytes: int
    bpe_bytes: int
    eval_tokens: int
    judged_tokens: int
    estimate_tokens: int
    train_seconds: float
    limit_seconds: float
    seed: int
    network: bool
    needs_input: bool
    space: str
    urls: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()


def task_names() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(path.stem for path in (HERE / "tasks").glob("*.toml"))


def named_task(name: str) -> Task:
    """The constants of a task.

    Raises:
        UnknownTaskError: there is no task of that name.
    """
    if name not in task_names():
        raise UnknownTaskError(f"no task {name!r}; the tasks are {', '.join(task_names())}")
    table = tomllib.loads((HERE / "tasks" / f"{name}.toml").read_text())
    return make_task({"name": name, **table["task"]})


def make_task(fields: dict[str, Any]) -> Task:
    """Makes a task from a table: lists become tuples, and other keys than constants are ignored."""
    known = {field.name for field in dataclasses.fields(Task)}
    constants: dict[str, Any] = {key: value for key, value in fields.items() if key in known}
    for key in ("urls", "sha256"):
        constants[key] = tuple(constants.get(key, ()))
    return Task(**constants)


def token_type(task: Task) -> str:
    """The numpy name of the smallest unsigned integer type that holds every token."""
    return "<u2" if task.vocabulary <= 2**16 else "<u4"
