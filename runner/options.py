"""Makes a `RunSpec` of the options of a command, before anything is started.

Everything that can be wrong with a request is found here, as far as it shows without the engine.
What a run is comes from its options and from here alone: nothing later reads the environment for
it. Later readers of the environment ask only about this machine (how to reach its engine and what
image builds need); a test lists them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import genai_prices
from dotenv import dotenv_values
from pydantic import SecretStr

from runner import samplers, spec, storage, tasks
from runner.agents import AgentSpec, agent_names, load_agent
from runner.devices import choice
from runner.errors import UserError, unknown_name
from runner.space.asked import read_space
from runner.spec import Budget, Pruner, RunSpec, Texts, Verify
from runner.tasks import Task

REHEARSAL_KEY = "rehearsal-key-worth-nothing"
BASE_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:(?P<port>\d{1,5}))?(/[\w.~%!$&'()*+,;=:/-]*)?"
)
LAST_PORT = 65535
MOST_TIMES = 100  # the run's training time, for a retest


@dataclass(frozen=True)
class RunOptions:
    """The options of `bakeoff run` and `bakeoff baseline`, as the user gave them.

    `trial_seconds` is the training time of one trial, and `space` the file of the knobs that a
    baseline searches; None stands for the task's own. `ask_ahead` is None where the number of
    workers decides.
    """

    seed: int = 1
    task: str = "pystdlib"
    data: str | None = None
    model: str | None = None
    trial_seconds: float | None = None
    gpu: str | None = None
    gpus: str | None = None
    cpu_sets: int = 1
    workers: int = 1
    ask_ahead: bool | None = None
    space: str | None = None
    rehearsal: bool = False
    record: bool = False
    base_url: str | None = None
    allow_unpriced: bool = False
    verify: str = "best"
    verify_seeds: int = spec.VERIFY_SEEDS
    retry_disturbed: bool = False
    orphan_minutes: float = spec.ORPHAN_MINUTES
    pruner: str = "none"
    storage: str | None = None
    study: str | None = None


def agent_run(name: str, asked: RunOptions, budget: Budget, env: Mapping[str, str]) -> RunSpec:
    """The spec of an agent's run; `env` is where its key is looked for.

    Raises:
        UserError: an unknown name, a bad value, a model without a price, or no key.
    """
    agent = load_agent(name, asked.model).spec
    task = tasks.load_task(asked.task)
    run_spec = _common("agent", name, asked, task, budget)
    if asked.base_url is not None:
        check_base_url(asked.base_url, agent)
    if not asked.allow_unpriced:
        check_prices(agent)
    key = REHEARSAL_KEY if asked.rehearsal else _key(agent, env, own_server=bool(asked.base_url))
    return run_spec.model_copy(
        update={
            "model": agent.model,
            "context_tokens": agent.context_tokens,
            "rehearsed": asked.rehearsal,
            "record": asked.record,
            "base_url": asked.base_url,
            "allow_unpriced": asked.allow_unpriced,
            "orphan_minutes": _orphan_minutes(asked),
            "api_key": SecretStr(key),
        }
    )


def baseline_run(
    name: str, asked: RunOptions, budget: Budget, env: Mapping[str, str] | None = None
) -> RunSpec:
    """The spec of a baseline's run.

    Args:
        name: a sampler's, or `path.py:Factory` of the user's own.
        asked: the options.
        budget: the bounds.
        env: where the password of its storage is looked for.

    Raises:
        UserError: an unknown name, a bad value, a file that is no sampler, or a space that cannot
            be searched.
    """
    task = tasks.load_task(asked.task)
    own = samplers.read_own(name) if samplers.is_own(name) else None
    space = None
    if asked.space is not None:
        space = read_space(Path(asked.space).expanduser(), tasks.pristine_text(task))
    if own is None:
        samplers.check_space(samplers.find(name), space or tasks.load_space(task))
    else:
        taken = dict.fromkeys([*samplers.load(), *agent_names()])
        name = samplers.own_name(own, taken)
    samplers.check_storage(name, asked.storage, is_own=own is not None)
    pruner = pruner_of(asked.pruner)
    devices = budget.total_usd if budget.compute_usd_per_hour else None
    if not any((budget.hours, budget.train_hours, budget.trials, devices)):
        raise UserError(
            f"setting the budget of {name}: an optimiser spends neither dollars nor tokens, so "
            "nothing bounds this run",
            hint="set HOURS, TRAIN_HOURS or TRIALS, or TOTAL_USD with the price of a device",
        )
    if asked.workers < 1:
        raise UserError(
            f"setting how many trials run at a time: WORKERS is {asked.workers}",
            hint="give it a number above 0, such as WORKERS=2",
        )
    several = asked.workers > 1
    parallel = {
        "workers": asked.workers,
        "ask_ahead": several if asked.ask_ahead is None else asked.ask_ahead,
    }
    contestant = name if pruner == "none" else f"{name}-{pruner}"
    run_spec = _common("baseline", contestant, asked, task, budget)
    asked_for = {"own_sampler": own, "pruner": pruner, "space": space}
    shared = _shared(run_spec.run_id, asked, env or {})
    return run_spec.model_copy(update={**parallel, **asked_for, **shared})


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
    if stored.kind == "baseline":
        secret = password(env) if stored.storage is not None else None
        return stored.model_copy(update={"storage_password": secret})
    agent = load_agent(stored.contestant, stored.model).spec
    own_server = bool(stored.base_url)
    key = REHEARSAL_KEY if stored.rehearsed else _key(agent, env, own_server=own_server)
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
            "verify": verify_texts(asked.verify),
            "verify_seeds": asked.verify_seeds,
            "retry_disturbed": asked.retry_disturbed,
        }
    )


def _orphan_minutes(asked: RunOptions) -> float:
    if not 0 < asked.orphan_minutes < math.inf:
        raise UserError(
            "setting how long an agent goes on without its runner: ORPHAN_MINUTES is "
            f"{asked.orphan_minutes:g}",
            hint=f"give it minutes above 0, such as {spec.ORPHAN_MINUTES:g}",
        )
    return asked.orphan_minutes


def verify_texts(asked: str) -> Verify:
    """Which texts the referee runs again, as VERIFY says it.

    Raises:
        UserError: it is none of best, kept and none.
    """
    for known in get_args(Verify):
        if asked == known:
            return cast(Verify, known)
    raise UserError(
        f"choosing what the referee runs again: VERIFY is {asked!r}",
        hint=f"VERIFY is {', '.join(get_args(Verify))}",
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


def texts_to_verify(asked: str) -> Texts:
    """Which texts `bakeoff verify` runs again.

    Raises:
        UserError: VERIFY names none, or nothing known.
    """
    which = verify_texts(asked)
    if which == "none":
        raise UserError(
            "choosing what the referee runs again: VERIFY is 'none', so there is nothing to do",
            hint="set VERIFY=best or VERIFY=kept",
        )
    return which


def retest_times(asked: str) -> list[float]:
    """How many times its training time a text is trained for by `bakeoff retest`.

    Raises:
        UserError: a part of TIMES is no number above 0, or there is none.
    """
    try:
        times = sorted({float(part) for part in asked.split(",") if part.strip()})
    except ValueError:
        times = []
    if not times or not all(0 < one <= MOST_TIMES for one in times):
        raise UserError(
            f"choosing how long the best text is trained again: TIMES is {asked!r}",
            hint=f"give numbers above 0 and up to {MOST_TIMES}, with commas, such as TIMES=2,4,8",
        )
    return times


def check_base_url(url: str, agent: AgentSpec) -> None:
    """Refuse a BASE_URL that is not the address of a server, or that holds a secret.

    Raises:
        UserError: it is anything but `http(s)://host[:port][/path]`.
    """
    names = " or ".join(agent.key_variables)
    if "@" in url:  # not repeated: what stands before it is a password
        raise UserError(
            "setting BASE_URL: it holds a user name or a password, which the records would show",
            hint=f"leave out what stands before the @, and put the key into {names}",
        )
    found = BASE_URL.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 80) <= LAST_PORT:
        raise UserError(
            f"setting BASE_URL: {url.partition('?')[0]!r} is not the address of a server",
            hint="write it as http://192.0.2.1:8000/v1 or https://llm.example.org, without ? and "
            f"#; the key goes into {names}",
        )


def check_prices(agent: AgentSpec) -> None:
    """Refuse a model whose cost in dollars could not be counted.

    Raises:
        UserError: neither genai-prices nor `runner/prices.toml` has a price for it.
    """
    if agent.model in spec.prices():
        return
    try:
        genai_prices.calc_price(
            genai_prices.Usage(input_tokens=1, output_tokens=1), agent.model,
            provider_id=agent.provider,
        )  # fmt: skip
    except LookupError:
        raise UserError(
            f"pricing model {agent.model}: no price is known, so no dollar budget could hold",
            hint="add it to runner/prices.toml, or set ALLOW_UNPRICED=1",
        ) from None


def _key(agent: AgentSpec, env: Mapping[str, str], *, own_server: bool) -> str:
    """The user's key. It goes into a `SecretStr` and is never printed."""
    for variable in agent.key_variables:
        if value := env.get(variable, "").strip():
            return value
    if own_server:
        return "no-key"
    names = " or ".join(agent.key_variables)
    raise UserError(
        f"starting agent {agent.name}: there is no {names}",
        hint=f"put {names}=… into the environment or into the file .env in this folder; "
        "or set REHEARSAL=1 to run everything with a scripted model",
    )


def environment() -> Mapping[str, str]:
    """The variables of `.env` in this folder, overridden by those of this process."""
    file = {k: v for k, v in dotenv_values(Path.cwd() / ".env").items() if v is not None}
    return {**file, **{k: v for k, v in os.environ.items() if v}}
