"""The table of agents: a name for each row of agents.toml, and the CLI that runs it.

The rest of the runner calls `load_agent("gpt")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from runner.agents.base import AgentCli, Turn, TurnOrder, TurnOutcome
from runner.agents.cli_files import cli_table, find_cli
from runner.errors import HostError, UserError, unknown_name
from runner.spec import Frozen, read_table
from runner.wire.start_config import Provider

TABLE = Path(__file__).with_name("agents.toml")
# The name of a Python module and of a folder, and a part of the image's name.
CLI_NAME = r"^[a-z][a-z0-9_]{0,31}$"
# The name of a model becomes an argument of the CLI, and must not look like an option.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,127}$"
SMALLEST_WINDOW_TOKENS = 200_000  # of the models that the CLIs of the table can drive
CliName = Annotated[str, Field(pattern=CLI_NAME)]
ModelName = Annotated[str, Field(pattern=MODEL_NAME)]


class AgentSpec(Frozen):
    """A row of agents.toml.

    A run measures one model: `model` is all that the gateway lets through, and needs one price.
    """

    name: str
    cli: CliName
    provider: Provider
    model: ModelName
    context_tokens: Annotated[int, Field(gt=0)] | None = None
    key_variables: Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Agent:
    """An agent of the table and how to run it."""

    spec: AgentSpec
    cli: AgentCli

    def turn(self, prompt: str, *, resume: bool, token: str) -> Turn:
        """The CLI invocation of one turn."""
        spec = self.spec
        return self.cli.turn(TurnOrder(spec.model, prompt, resume, token, spec.context_tokens))

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """How a turn went, from its transcript."""
        return self.cli.judge(lines, exit_code, stderr_tail)

    def rehearsal_tools(self) -> tuple[dict[str, Any], ...]:
        """How a scripted model uses the tools of the CLI.

        Raises:
            HostError: the CLI's `cli.toml` cannot be read.
        """
        return tuple(dict(tools) for tools in cli_table(self.spec.cli).tools)


def agent_names() -> list[str]:
    """Every name that `load_agent` knows, in the table's order."""
    return list(_rows())


def load_agent(name: str, model: str | None = None, context_tokens: int | None = None) -> Agent:
    """The agent of that name, with another model or context window if one is given.

    With another model, the table's window is kept only if it is small enough for every model.

    Raises:
        UserError: no such agent, or a model name that no provider could have.
    """
    if name not in _rows():
        raise unknown_name("agent", name, agent_names())
    row = _rows()[name]
    if model is not None and model != row["model"]:
        row = {**row, "model": _checked_model(name, model)}
        if row.get("context_tokens", 0) > SMALLEST_WINDOW_TOKENS:
            del row["context_tokens"]
    if context_tokens is not None:
        row = {**row, "context_tokens": context_tokens}
    spec = _validated(name, row)
    return Agent(spec, find_cli(spec.cli))


def _checked_model(name: str, model: str) -> str:
    if not re.fullmatch(MODEL_NAME, model):
        raise UserError(
            f"choosing the model of {name}: {model!r} is not the name of a model",
            hint=f"leave MODEL out for {_rows()[name]['model']}",
        )
    return model


def _validated(name: str, row: dict[str, Any]) -> AgentSpec:
    try:
        return AgentSpec.model_validate({**row, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise HostError(
            f"reading agent {name}: {where} is {first['input']!r}: {first['msg']}",
            hint=f"the fields are explained at the top of {TABLE.name}",
        ) from error


@cache
def _rows() -> dict[str, dict[str, Any]]:
    return read_table(TABLE)
