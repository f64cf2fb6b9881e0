"""From the options to a spec: one function for each kind of run, and the spec of a resumed one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from runner import samplers, spec, storage, tasks
from runner.agents import (
    RunModel,
    agent_names,
    load_agent,
    model_of,
    model_of_agent,
    model_of_baseline,
)
from runner.devices import choice
from runner.errors import UserError, unknown_name
from runner.options import proposing
from runner.options.asked import RunOptions
from runner.options.model import REHEARSAL_KEY, is_priced, key_of, model_fields
from runner.options.referee import verify_texts
from runner.space.asked import read_space
from runner.spec import Budget, Knob, Proposer, Pruner, RunSpec
from runner.tasks import Task


def agent_run(name: str, asked: RunOptions, budget: Budget, env: Mapping[str, str]) -> RunSpec:
    """The spec of an agent's run; `env` is where its key is looked for.

    Raises:
        UserError: an unknown name, a bad value, a model without a price, or no key.
    """
    agent = load_agent(name, asked.model).spec
    task = tasks.load_task(asked.task)
    run_spec = _common("agent", name, asked, task, budget)
    fields = model_fields(asked, model_of_agent(name, asked.model), env)
    own = {"model": agent.model, "context_tokens": agent.context_tokens}
    return run_spec.model_copy(update={**fields, **own})


def baseline_run(
    name: str, asked: RunOptions, budget: Budget, env: Mapping[str, str] | None = None
) -> RunSpec:
    """The spec of a baseline's run.

    Args:
        name: a sampler's, that of an optimiser with a model, or `path.py:Factory` of the user's
            own.
        asked: the options.
        budget: the bounds.
        env: where the key of its model, or the password of its storage, is looked for.

    Raises:
        UserError: an unknown name, a bad value, a file that is no sampler, a space that cannot be
            searched, a model without a price, or no key.
        HostError: a prompt is missing.
    """
    if proposing.is_method(name):
        return _run_with_model(name, asked, budget, env or {})
    task = tasks.load_task(asked.task)
    own = samplers.read_own(name) if samplers.is_own(name) else None
    space = _space(asked, task)
    if own is None:
        samplers.check_space(samplers.find(name), space or tasks.load_space(task))
    else:
        taken = dict.fromkeys([*samplers.load(), *samplers.load_methods(), *agent_names()])
        name = samplers.own_name(own, taken)
    proposing.check_without_model(name, asked)
    samplers.check_storage(name, asked.storage, is_own=own is not None)
    pruner = pruner_of(asked.pruner)
    if not _is_bounded(budget):
        raise UserError(
            f"setting the budget of {name}: an optimiser spends neither dollars nor tokens, so "
            "nothing bounds this run",
            hint="set HOURS, TRAIN_HOURS or TRIALS, or TOTAL_USD with the price of a device",
        )
    parallel = _parallel(asked)
    contestant = name if pruner == "none" else f"{name}-{pruner}"
    run_spec = _common("baseline", contestant, asked, task, budget)
    asked_for = {"own_sampler": own, "pruner": pruner, "space": space}
    shared = _shared(run_spec.run_id, asked, env or {})
    return run_spec.model_copy(update={**parallel, **asked_for, **shared})


def _run_with_model(
    name: str, asked: RunOptions, budget: Budget, env: Mapping[str, str]
) -> RunSpec:
    """The spec of a baseline that uses a model; the errors are those of `baseline_run`."""
    task = tasks.load_task(asked.task)
    proposer = proposing.proposer_of(name, asked)
    space = _space(asked, task)
    if proposer.inner:
        samplers.check_space(samplers.find(proposer.inner), space or tasks.load_space(task))
    pruner = pruner_of(asked.pruner)
    fields = model_fields(asked, _model(proposer), env)
    if not _is_bounded(budget):
        _check_bounded_by_model(budget, proposer)
    parallel = _parallel(asked)
    contestant = proposing.contestant_of(proposer, pruner, asked.base_url)
    run_spec = _common("baseline", contestant, asked, task, budget)
    asked_for = {"proposer": proposer, "pruner": pruner, "space": space}
    return run_spec.model_copy(update={**fields, **parallel, **asked_for})


def _space(asked: RunOptions, task: Task) -> dict[str, Knob] | None:
    """The space of SPACE; None for the task's own."""
    if asked.space is None:
        return None
    return read_space(Path(asked.space).expanduser(), tasks.pristine_text(task))


def _is_bounded(budget: Budget) -> bool:
    """Whether a run without a model comes to its end."""
    devices = budget.total_usd if budget.compute_usd_per_hour else None
    return any((budget.hours, budget.train_hours, budget.trials, devices))


def _check_bounded_by_model(budget: Budget, proposer: Proposer) -> None:
    """Refuse a run that only its model could bound, and whose model does not.

    Raises:
        UserError: it is asked no more once its sampler searches, or has no price.
    """
    if not proposing.asks_to_the_end(proposer):
        raise UserError(
            f"setting the budget of {proposer.method}: its model is asked at the beginning or not "
            "at all, so neither USD nor TOKENS bounds this run",
            hint="set HOURS, TRAIN_HOURS or TRIALS, or TOTAL_USD with the price of a device",
        )
    dollars = any((budget.usd, budget.total_usd)) and is_priced(_model(proposer))
    if not budget.tokens and not dollars:
        raise UserError(
            f"setting the budget of {proposer.method}: nothing that this run spends is bounded",
            hint="set HOURS, TRAIN_HOURS, TRIALS or TOKENS; USD bounds a model with a price",
        )


def _model(proposer: Proposer) -> RunModel:
    return model_of_baseline(proposer.method, proposer.provider, proposer.model)


def _parallel(asked: RunOptions) -> dict[str, object]:
    """The fields that say how many trials run at a time.

    Raises:
        UserError: it is none.
    """
    if asked.workers < 1:
        raise UserError(
            f"setting how many trials run at a time: WORKERS is {asked.workers}",
            hint="give it a number above 0, such as WORKERS=2",
        )
    several = asked.workers > 1
    return {
        "workers": asked.workers,
        "ask_ahead": several if asked.ask_ahead is None else asked.ask_ahead,
    }


def _shared(run_id: str, asked: RunOptions, env: Mapping[str, str]) -> dict[str, object]:
    """The fields of a spec whose study is in a database; none if it is in a journal.

    Raises:
        UserError: the address or the study's name cannot be used.
    """
    if asked.storage is None and asked.study is None:
        return {}
    if asked.storage is None:
        raise UserError(
            f"setting STUDY={asked.study}: there is no database to share it in",
            hint=f"set {storage.EXAMPLE} too",
        )
    storage.read_storage(asked.storage)
    study = storage.check_study(run_id if asked.study is None else asked.study)
    return {"storage": asked.storage, "study": study, "storage_password": password(env)}


def password(env: Mapping[str, str]) -> SecretStr:
    """The password of the database; "" for a user without one."""
    return SecretStr(env.get(storage.PASSWORD, ""))


def with_key(stored: RunSpec, env: Mapping[str, str]) -> RunSpec:
    """A spec that was read from its file, completed with the secrets, which no file holds.

    Raises:
        UserError: `env` does not have the key.
    """
    if stored.storage is not None:
        return stored.model_copy(update={"storage_password": password(env)})
    if not stored.uses_model:
        return stored
    own_server = stored.base_url is not None
    key = (
        REHEARSAL_KEY if stored.rehearsed else key_of(model_of(stored), env, own_server=own_server)
    )
    return stored.model_copy(update={"api_key": SecretStr(key)})


def _common(kind: str, name: str, asked: RunOptions, task: Task, budget: Budget) -> RunSpec:
    seconds = task.train_seconds if asked.trial_seconds is None else asked.trial_seconds
    if not 0 < seconds < math.inf:
        raise UserError(
            f"setting the training time of a trial: TRIAL_SECONDS is {seconds:g}",
            hint="give it seconds above 0, such as 300",
        )
    return RunSpec.model_validate(
        {
            "run_id": spec.check_run_id(spec.run_id(name, asked.seed)),
            "kind": kind,
            "contestant": name,
            "seed": asked.seed,
            "task": task.name,
            "metric": task.metric,
            "data": None if asked.data is None else str(Path(asked.data).expanduser().absolute()),
            "budget": budget,
            "trial_seconds": seconds,
            **choice.chosen(asked.gpu, asked.gpus, asked.cpu_sets).as_fields(),
            "runtime": asked.runtime or None,
            "verify": verify_texts(asked.verify),
            "verify_seeds": asked.verify_seeds,
            "retry_disturbed": asked.retry_disturbed,
            "unsafe": asked.unsafe,
        }
    )


def pruner_of(asked: str) -> Pruner:
    """Which pruner a baseline has, as PRUNER says it.

    Raises:
        UserError: there is none of that name.
    """
    for known in spec.PRUNERS:
        if asked == known:
            return known
    raise unknown_name("pruner", asked, spec.PRUNERS)
