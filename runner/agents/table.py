"""The table of agents: names from agents.toml, and the CLI that drives each.

`load_agent("gpt")` is what the rest of the runner needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from runner.agents.base import AgentCli, Turn, TurnOrder, TurnOutcome
from runner.agents.claude import ClaudeCode
from runner.agents.codex import Codex
from runner.agents.gemini import GeminiCli
from runner.errors import HostError, UserError, unknown_name
from runner.spec import Frozen, read_table

TABLE = Path(__file__).with_name("agents.toml")
CLIS: dict[str, AgentCli] = {"claude": ClaudeCode(), "codex": Codex(), "gemini": GeminiCli()}
# A model's name becomes an argument of the CLI: it must not be able to look like an option.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,127}$"
SMALLEST_WINDOW_TOKENS = 200_000  # of the models that the CLIs of the table can drive
ModelName = Annotated[str, Field(pattern=MODEL_NAME)]


class AgentSpec(Frozen):
    """A row of agents.toml."""

    name: str
    cli: Literal["claude", "codex", "gemini"]
    provider: Literal["anthropic", "openai", "google"]
    model: ModelName
    helpers: tuple[ModelName, ...] = ()
    context_tokens: Annotated[int, Field(gt=0)] | None = None
    image: str
    key_variables: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def models(self) -> tuple[str, ...]:
        """What the gateway lets through: the model first, then the CLI's helpers, each once."""
        return tuple(dict.fromkeys((self.model, *self.helpers)))


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


def agent_names() -> list[str]:
    """Every name that `load_agent` knows, in the table's order."""
    return list(_rows())


def load_agent(name: str, model: str | None = None, context_tokens: int | None = None) -> Agent:
    """The agent of that name, with another model or window than the table's if one is given.

    Another model keeps the table's window only where every model has room for it.

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
    return Agent(spec, CLIS[spec.cli])


def _checked_model(name: str, model: str) -> str:
    if not re.fullmatch(MODEL_NAME, model):
        raise UserError(
            f"choosing the model of {name}: {model!r} is no model name",
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
