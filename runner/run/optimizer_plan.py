"""The container of a baseline: its search space, its study, and the model that it may ask.

What a config's fields mean stands in runner/wire/start_config.py and runner/wire/model_config.py.
"""

from __future__ import annotations

from dataclasses import asdict

from runner.configs import as_config
from runner.limits import disk_table
from runner.run.context import TRAINS_ON, RunContext, trains_on
from runner.samplers import load_methods
from runner.sandbox.sandbox import ContainerPlan
from runner.space.asked import knob_range
from runner.spec import Proposer
from runner.storage import read_storage
from runner.tasks import searched_space
from runner.wire.model_config import ModelConfig
from runner.wire.protocol import pack_text
from runner.wire.start_config import OptimizerConfig, OwnSampler, SharedStudy


def optimizer_plan(context: RunContext) -> ContainerPlan:
    """The container of a baseline, which reaches its model through the gateway's socket alone."""
    own, asked = context.spec.own_sampler, context.spec.proposer
    config = OptimizerConfig(
        sampler=context.spec.sampler,
        seed=context.spec.seed,
        space={name: knob_range(knob) for name, knob in searched_space(context.spec).items()},
        deadline_seconds=context.deadline_seconds,
        direction=context.spec.metric.direction,
        parallel=context.spec.workers + context.spec.ask_ahead,
        own=None if own is None else OwnSampler(own.file, own.factory, own.text),
        pruner=context.spec.pruner,
        shared=_shared_study(context),
        language_model=None if asked is None else asdict(_model_config(context, asked)),
        disk=disk_table("optimizer"),
    )
    volumes = {"study": ("/state", False)}
    if context.spec.storage is not None:
        volumes["storage"] = ("/run/storage", True)
    if asked is not None:
        volumes["gateway"] = ("/run/gateway", True)
    return ContainerPlan(
        "optimizer", context.image("optimizer"), as_config(config), volumes,
        runtime=context.spec.runtime,
    )  # fmt: skip


def _model_config(context: RunContext, asked: Proposer) -> ModelConfig:
    """The model and the method of a baseline; the token takes the place of the provider's key.

    All that its prompts show is of the run's beginning: an answer is kept under its prompt.
    """
    spec = context.spec
    reads_train_py = load_methods()[asked.method].reads_train_py
    return ModelConfig(
        method=asked.method,
        provider=asked.provider,
        model=asked.model,
        token=context.token,
        metric=spec.metric.name,
        task=spec.task,
        trial_seconds=spec.trial_seconds,
        machine=spec.versions.get(TRAINS_ON) or trains_on(spec, context.engine),
        inner=asked.inner,
        ratio=asked.ratio,
        first=asked.first,
        as_published=asked.as_published,
        prompts={name: prompt.text for name, prompt in asked.prompts.items()},
        train_py_gz=pack_text(context.pristine) if reads_train_py else "",
    )


def _shared_study(context: RunContext) -> SharedStudy | None:
    """The study in a database that this run shares with others; None for one of its own."""
    spec = context.spec
    if spec.storage is None:
        return None
    place, password = read_storage(spec.storage), spec.storage_password
    compared = (
        f"{spec.metric.name} of {spec.task}, {spec.trial_seconds:g} s of training, "
        f"data {context.data_volume}"
    )
    return SharedStudy(
        study=spec.study or spec.run_id,
        run_id=spec.run_id,
        compared=compared,
        user=place.user,
        password="" if password is None else password.get_secret_value(),
        database=place.database,
    )
