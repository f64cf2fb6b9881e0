"""The model of a run: an agent's, or that of a baseline that uses one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from runner.agents.table import agent_names, load_agent
from runner.errors import HostError
from runner.spec import RunSpec
from runner.wire.model_config import Provider

PROVIDERS: tuple[Provider, ...] = get_args(Provider)


@dataclass(frozen=True)
class RunModel:
    """A model that a contestant asks through its run's gateway.

    Attributes:
        asked_by: the contestant, for messages.
        provider: whose API the gateway speaks.
        model: the only one that it lets through.
        key_variables: the variables that may hold the user's key; the first one that is set counts.
    """

    asked_by: str
    provider: Provider
    model: str
    key_variables: tuple[str, ...]


def model_of(spec: RunSpec) -> RunModel:
    """The model of a run.

    Raises:
        HostError: the run uses none.
    """
    if spec.kind == "agent":
        return model_of_agent(spec.contestant, spec.model)
    if spec.proposer is not None:
        asked = spec.proposer
        return model_of_baseline(asked.method, asked.provider, asked.model)
    raise HostError(f"finding the model of {spec.run_id}: it is a baseline without one")


def model_of_agent(name: str, model: str | None) -> RunModel:
    """The model of an agent of the table, or another one.

    Raises:
        UserError: no such agent, or a model name that no provider could have.
    """
    found = load_agent(name, model).spec
    return RunModel(f"agent {name}", found.provider, found.model, found.key_variables)


def model_of_baseline(method: str, provider: Provider, model: str) -> RunModel:
    """A model of a provider whose key lies where the agents of that provider have theirs."""
    rows = [load_agent(name).spec for name in agent_names()]
    names = [name for row in rows if row.provider == provider for name in row.key_variables]
    return RunModel(method, provider, model, tuple(dict.fromkeys(names)))


def first_model(provider: Provider | None) -> tuple[Provider, str]:
    """The provider and model of the first agent in the table, of this provider if one is given."""
    rows = [load_agent(name).spec for name in agent_names()]
    found = next(row for row in rows if provider in (None, row.provider))
    return found.provider, found.model


def provider_of_agents(model: str) -> Provider | None:
    """The provider of the first agent in the table that has this model; None if none has it."""
    rows = [load_agent(name).spec for name in agent_names()]
    return next((row.provider for row in rows if row.model == model), None)
