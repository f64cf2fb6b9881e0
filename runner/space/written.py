"""Writes a proposed search space as TOML that `SPACE=` reads back at once."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from runner.space.found import find
from runner.space.rules import Proposal, propose
from runner.spec import Knob
from runner.tasks import Task, load_space

WIDTH = 98
HEAD = """\
Search space of task {task}, proposed for {train_py} by `bakeoff space`. Edit it, then
    make baseline SAMPLER=tpe TASK={task} SPACE=this-file.toml
Trial 0 is the default of every knob: the unchanged train.py. A number may have a `step` in place
of `log`. A knob that matters only beside some values of another one gets a condition, and keeps
its default elsewhere:
    when = {{ knob = "OTHER", is = ["a", "b"] }}
docs/baselines.md has the rules by which ranges are proposed."""


def proposed_space(task: Task, train_py: str, name: str) -> str:
    """The space as TOML; the same text gives the same file.

    Args:
        task: whose own space goes before the rules.
        train_py: the text whose constants are listed.
        name: of that text, for the reader.

    Raises:
        ConstantsError: the text does not parse.
    """
    published = load_space(task)
    proposals = [propose(found, published, task.space) for found in find(train_py)]
    head = HEAD.format(task=task.name, train_py=name)
    parts = ["\n".join(f"# {line}" for line in head.splitlines())]
    return "\n\n".join([*parts, *map(_entry, proposals)]) + "\n"


def toml_of(knob: Knob) -> str:
    """The knob as an inline table of TOML."""
    fields: dict[str, Any] = {"type": knob.type}
    for name in ("low", "high"):
        value = getattr(knob, name)
        if value is not None:
            fields[name] = int(value) if knob.type == "int" else value
    if knob.log:
        fields["log"] = True
    if knob.step is not None:
        fields["step"] = int(knob.step) if knob.type == "int" else knob.step
    if knob.choices is not None:
        fields["choices"] = knob.choices
    fields["default"] = knob.default
    if knob.when is not None:
        fields["when"] = {"knob": knob.when.knob, "is": list(knob.when.values)}
    return _toml(fields)


def _entry(proposal: Proposal) -> str:
    found = proposal.found
    said = f": {found.comment}" if found.comment else ""
    lines = textwrap.wrap(f"line {found.line}{said}", WIDTH)
    if proposal.knob is None:
        lines += textwrap.wrap(f"left out ({proposal.rule}): {proposal.reason}", WIDTH)
        lines += textwrap.wrap(f"{found.name} = {found.value!a}", WIDTH)
        return "\n".join(f"# {line}" for line in lines)
    lines += textwrap.wrap(f"rule: {proposal.rule} ({proposal.reason})", WIDTH)
    commented = "\n".join(f"# {line}" for line in lines)
    return f"{commented}\n{found.name} = {toml_of(proposal.knob)}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml(it)}' for name, it in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007F")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
