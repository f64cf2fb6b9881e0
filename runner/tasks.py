"""What the host reads of the tasks in `trainer/tasks/`, and the search space of baselines."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runner.errors import unknown_name
from runner.metrics import Metric
from runner.records.layout import ROOT
from runner.spec import Frozen, Knob, Positive, PositiveInt, RunSpec, read_table
from trainer import constants


class Task(Frozen):
    """The part of `trainer/tasks/<name>.toml` that the host needs. Times are in seconds."""

    name: str
    description: str = ""
    metric: Metric
    train_seconds: Positive
    limit_seconds: Positive
    sequence_tokens: PositiveInt
    judged_tokens: PositiveInt
    seed: int
    estimate_tokens: PositiveInt
    network: bool = False
    needs_input: bool = False
    space: str
    knobs: dict[str, Any] = Field(default_factory=dict)


TASKS_FOLDER = ROOT / "trainer" / "tasks"


def task_names() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(path.stem for path in TASKS_FOLDER.glob("*.toml"))


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: there is no such task; the hint lists all tasks.
    """
    if name not in task_names():
        raise unknown_name("task", name, task_names())
    table = read_table(TASKS_FOLDER / f"{name}.toml")
    task = {k: v for k, v in table["task"].items() if k in Task.model_fields}
    return Task.model_validate({**task, "name": name, "knobs": table.get("knobs", {})})


def pristine_text(task: Task) -> str:
    """The train.py with which every contestant of a task begins."""
    source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    return constants.rewrite(source, task.knobs)


def load_space(task: Task) -> dict[str, Knob]:
    """The knobs that baselines search on this task; defaults are the task's own train.py's."""
    table = read_table(ROOT / "trainer" / "search_space.toml")[task.space]
    space = {name: Knob.model_validate(fields) for name, fields in table.items()}
    return {
        name: knob.model_copy(update={"default": task.knobs.get(name, knob.default)})
        for name, knob in space.items()
    }


def searched_space(spec: RunSpec) -> dict[str, Knob]:
    """The knobs that a baseline's run searches: those it was given, or its task's own."""
    return load_space(load_task(spec.task)) if spec.space is None else spec.space
