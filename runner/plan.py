"""From what was asked to a `RunSpec`: the last reader of the environment.

Everything that can be wrong with a request without looking at the engine is found here, before
anything is started.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import genai_prices
from dotenv import dotenv_values
from pydantic import SecretStr

from runner import samplers, spec
from runner.agents import AgentSpec, load_agent
from runner.errors import UserError
from runner.spec import Budget, RunSpec, Task

REHEARSAL_KEY = "rehearsal-key-worth-nothing"


@dataclass(frozen=True)
class Asked:
    """The options of `bakeoff run` and `bakeoff baseline`, as they came."""

    seed: int = 1
    task: str = "pystdlib"
    data: str | None = None
    model: str | None = None
    trial_seconds: float | None = None
    gpu: str | None = None
    rehearsal: bool = False
    record: bool = False
    base_url: str | None = None
    allow_unpriced: bool = False


def agent_run(name: str, asked: Asked, budget: Budget, env: Mapping[str, str]) -> RunSpec:
    """The spec of an agent's run.

    Raises:
        UserError: an unknown name, a bad value, a model without a price, or no key.
    """
    agent = load_agent(name, asked.model).spec
    task = spec.load_task(asked.task)
    made = _common("agent", name, asked, task, budget)
    if not asked.allow_unpriced:
        check_prices(agent)
    key = REHEARSAL_KEY if asked.rehearsal else _key(agent, env, own_server=bool(asked.base_url))
    return made.model_copy(
        update={
            "model": agent.model,
            "context_tokens": agent.context_tokens,
            "rehearsed": asked.rehearsal,
            "record": asked.record,
            "base_url": asked.base_url,
            "allow_unpriced": asked.allow_unpriced,
            "api_key": SecretStr(key),
        }
    )


def baseline_run(name: str, asked: Asked, budget: Budget) -> RunSpec:
    """The spec of a baseline's run.

    Raises:
        UserError: an unknown name or a bad value.
    """
    samplers.find(name)
    if budget.hours is None and budget.train_hours is None and budget.trials is None:
        raise UserError(
            f"setting the budget of {name}: an optimiser spends no dollars and no tokens",
            hint="set HOURS, TRAIN_HOURS or TRIALS",
        )
    return _common("baseline", name, asked, spec.load_task(asked.task), budget)


def with_key(made: RunSpec, env: Mapping[str, str]) -> RunSpec:
    """A spec that was read back from its file, with its key again.

    Raises:
        UserError: the key is not there.
    """
    if made.kind == "baseline":
        return made
    agent = load_agent(made.contestant, made.model).spec
    key = REHEARSAL_KEY if made.rehearsed else _key(agent, env, own_server=bool(made.base_url))
    return made.model_copy(update={"api_key": SecretStr(key)})


def _common(kind: str, name: str, asked: Asked, task: Task, budget: Budget) -> RunSpec:
    seconds = task.train_seconds if asked.trial_seconds is None else asked.trial_seconds
    if not 0 < seconds < math.inf:
        raise UserError(
            f"setting the trial's time: TRIAL_SECONDS is {seconds:g}",
            hint="seconds of training above 0, such as 300",
        )
    return RunSpec.model_validate(
        {
            "run_id": spec.check_run_id(spec.run_id(name, asked.seed)),
            "kind": kind,
            "contestant": name,
            "seed": asked.seed,
            "task": task.name,
            "data": None if asked.data is None else str(Path(asked.data).expanduser().absolute()),
            "budget": budget,
            "trial_seconds": seconds,
            "gpu": asked.gpu,
        }
    )


def check_prices(agent: AgentSpec) -> None:
    """Refuse a model whose dollars could not be counted.

    Raises:
        UserError: neither genai-prices nor `runner/prices.toml` has a price for it.
    """
    for model in agent.models:
        if model in spec.prices():
            continue
        try:
            genai_prices.calc_price(
                genai_prices.Usage(input_tokens=1, output_tokens=1), model,
                provider_id=agent.provider,
            )  # fmt: skip
        except LookupError:
            raise UserError(
                f"pricing model {model}: no price is known, so no dollar budget could hold",
                hint="add it to runner/prices.toml, or set ALLOW_UNPRICED=1",
            ) from None


def _key(agent: AgentSpec, env: Mapping[str, str], *, own_server: bool) -> str:
    """The user's key; it goes into a `SecretStr` and is never printed."""
    for variable in agent.key_variables:
        if value := env.get(variable, "").strip():
            return value
    if own_server:
        return "no-key"
    names = " or ".join(agent.key_variables)
    raise UserError(
        f"starting agent {agent.name}: there is no {names}",
        hint=f"put {names}=… into the environment or into the file .env here, "
        "or set REHEARSAL=1 to go through it all with a scripted model",
    )


def environment() -> Mapping[str, str]:
    """The variables of `.env` here, and over them this process's; the one place that reads both."""
    file = {k: v for k, v in dotenv_values(Path.cwd() / ".env").items() if v is not None}
    return {**file, **{k: v for k, v in os.environ.items() if v}}
