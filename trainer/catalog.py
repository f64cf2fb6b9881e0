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
    """The constants of a task; the same for every contestant, and fixed.

    Attributes:
        name: of the task, and of its file in `tasks/`.
        description: one line for a person.
        source: where the text comes from; a name in `corpus.SOURCES`.
        sequence_tokens: tokens a model sees at once, T.
        vocabulary: tokens of the tokenizer, special ones included, V.
        document_bytes: longer documents are cut at a blank line or line end; 0: never.
        bpe_bytes: text that the tokenizer learns from, at most.
        eval_tokens: targets that the closing `evaluate_bpb` covers, at most.
        estimate_tokens: targets that an intermediate estimate covers, at most.
        train_seconds: training time of a trial unless the run says otherwise.
        limit_seconds: wall time that a trial may take beyond its training time.
        seed: of data order and initialisation, the same for everybody.
        network: whether preparing the data needs the internet.
        needs_input: whether it needs text of the user's own.
        space: the section of `search_space.toml` for baselines.
        urls: files to download, in the order that the source wants.
        sha256: what each of them must be; empty where only the server can tell.
    """

    name: str
    description: str
    source: str
    sequence_tokens: int
    vocabulary: int
    document_bytes: int
    bpe_bytes: int
    eval_tokens: int
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
        UnknownTaskError: there is none of that name.
    """
    if name not in task_names():
        raise UnknownTaskError(f"no task {name!r}; there are {', '.join(task_names())}")
    table = tomllib.loads((HERE / "tasks" / f"{name}.toml").read_text())
    return make_task({"name": name, **table["task"]})


def make_task(fields: dict[str, Any]) -> Task:
    """A task from a table, lists as tuples, and what is no constant left out."""
    known = {field.name for field in dataclasses.fields(Task)}
    constants: dict[str, Any] = {key: value for key, value in fields.items() if key in known}
    for key in ("urls", "sha256"):
        constants[key] = tuple(constants.get(key, ()))
    return Task(**constants)


def token_type(task: Task) -> str:
    """The smallest unsigned integer that holds every token, as numpy names it."""
    return "<u2" if task.vocabulary <= 2**16 else "<u4"
