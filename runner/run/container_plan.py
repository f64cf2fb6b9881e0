"""The long-lived containers of a run: which image, what `start` tells it, which volumes.

What a config's fields mean stands in runner/wire/start_config.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from runner.agents import Agent, instructions, model_of
from runner.calibration import Calibration
from runner.configs import as_config
from runner.engine.lockdown import NO_NETWORK, OWN_NETWORK
from runner.errors import HostError
from runner.limits import disk_table
from runner.metrics import Metric
from runner.prices import prices
from runner.records.journal import Journal
from runner.records.layout import ROOT
from runner.run.context import RunContext
from runner.run.optimizer_plan import optimizer_plan
from runner.sandbox.sandbox import ContainerPlan
from runner.spec import Budget, RunSpec
from runner.storage import read_storage
from runner.task_data import heldout_volume
from runner.tasks import Task
from runner.trials.judge_container import judge_config, judge_plan
from runner.wire.messages import ScoreEstimated
from runner.wire.start_config import (
    AgentConfig,
    Caps,
    GatewayConfig,
    RehearsalConfig,
    RelayConfig,
)

PROVIDER_URLS = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com",
    "google": "https://generativelanguage.googleapis.com",
}
UPSTREAM_SOCKET = "unix:///run/upstream/model.sock"
NOT_IN_THE_COPY = {"__init__.py", "constants.py", "train.py"}  # the last comes with its knobs


def container_plans(context: RunContext) -> list[ContainerPlan]:
    """The long-lived containers of this run, the judge first and the contestant last.

    What the judge measures of a trial on its way will be journalled.
    """
    context.judging.on_estimate = partial(
        journal_estimate, context.journal, context.spec.metric, context.judging.trial_of
    )
    spec = context.spec
    relay = [_relay(context)] if spec.storage is not None else []
    rehearsal = [_rehearsal(context)] if spec.rehearsed else []
    model = [*rehearsal, _gateway(context)] if spec.uses_model else []
    is_agent = spec.kind == "agent"
    contestant = agent_plan(context, context.agent()) if is_agent else optimizer_plan(context)
    return [judge_of(context), *relay, *model, contestant]


def provider_url(spec: RunSpec) -> str:
    """What the gateway of a run calls; a rehearsed one calls the scripted model."""
    if spec.rehearsed:
        return UPSTREAM_SOCKET
    return spec.base_url or PROVIDER_URLS[model_of(spec).provider]


def judge_of(context: RunContext) -> ContainerPlan:
    """The run's judge."""
    machine, measured = context.machine, Calibration.of(context.spec)
    reference = measured.key if measured else ""
    config = judge_config(context.task, machine, context.deadline_seconds, reference)
    data = {heldout_volume(context.data_volume): "/heldout"}
    runtime = context.spec.runtime
    return judge_plan(context.image("trainer"), config, data, context.judging, runtime)


def journal_estimate(
    journal: Journal, metric: Metric, trial_of: Callable[[str], int], estimate: ScoreEstimated
) -> None:
    """Journal what the judge measured of a trial under way, for whoever watches the run.

    The ledger will have it at the trial's end, so a full disk loses nothing here.
    """
    value = metric.measured(estimate.value)
    if value is not None and 0 <= estimate.fraction <= 1:  # the fraction is the trial's own word
        with contextlib.suppress(HostError):
            journal.write(
                "trial.estimated",
                trial=trial_of(estimate.session),
                fraction=round(estimate.fraction, 6),
                value=value,
            )


def _relay(context: RunContext) -> ContainerPlan:
    """The way to that database: this container has a network, and the optimizer has none."""
    place = read_storage(context.spec.storage or "")
    config = RelayConfig(
        host=place.host,
        port=place.port,
        sslmode=place.sslmode,
        deadline_seconds=context.deadline_seconds,
    )
    volumes = {"storage": ("/run/storage", False)}
    image = context.image("relay")
    return ContainerPlan("relay", image, as_config(config), volumes, network=OWN_NETWORK)


def _rehearsal(context: RunContext) -> ContainerPlan:
    is_agent = context.spec.kind == "agent"  # only a CLI has tools
    config = RehearsalConfig(
        provider=model_of(context.spec).provider,
        seed=context.spec.seed,
        api_key=_secret(context.spec),
        deadline_seconds=context.deadline_seconds,
        tools=context.agent().rehearsal_tools() if is_agent else (),
        trial_plan=context.spec.rehearsal_plan,
    )
    volumes = {"upstream": ("/run/upstream", False)}
    return ContainerPlan("rehearsal", context.image("rehearsal"), as_config(config), volumes)


def _gateway(context: RunContext) -> ContainerPlan:
    spec = context.spec
    asked = model_of(spec)
    config = GatewayConfig(
        provider=asked.provider,
        base_url=provider_url(spec),
        api_key=_secret(spec),
        token=context.token,
        models=(asked.model,),
        deadline_seconds=context.deadline_seconds,
        prices={model: price for model, price in prices().items() if model == asked.model},
        caps=caps_of(spec.budget),
        allow_unpriced=spec.allow_unpriced,
        rehearsed=spec.rehearsed,
        record=spec.record,
        orphan_seconds=spec.orphan_seconds,
        private_ok=spec.base_url is not None,
    )
    volumes = {"gateway": ("/run/gateway", False), "ledger": ("/state", False)}
    if spec.rehearsed:
        volumes["upstream"] = ("/run/upstream", True)
    network = NO_NETWORK if spec.rehearsed else OWN_NETWORK
    image = context.image("gateway")
    return ContainerPlan(
        "gateway", image, as_config(config), volumes, network=network, awaits_proof=True
    )


def caps_of(budget: Budget) -> Caps:
    """What the model may cost; the loop lowers it while trials spend from the same money."""
    bounds = [usd for usd in (budget.usd, budget.total_usd) if usd is not None]
    return Caps(usd=min(bounds, default=None), tokens=budget.tokens)


def agent_plan(context: RunContext, agent: Agent) -> ContainerPlan:
    """The agent's container; on a resumed run's volumes its repository is there already."""
    spec = context.spec
    config = AgentConfig(
        run_id=spec.run_id,
        branch=context.branch,
        deadline_seconds=context.deadline_seconds,
        metric=spec.metric.name,
        direction=spec.metric.direction,
        orphan_seconds=spec.orphan_seconds,
        disk=disk_table("agent"),
    )
    volumes = {
        "workspace": ("/workspace", False),
        "home": ("/home/agent", False),
        "gateway": ("/run/gateway", True),
    }
    files = (
        {} if context.resumed else {"/workspace": repo_copy(context.pristine, context.task, agent)}
    )
    image = context.image(f"agent-{agent.spec.cli}")
    return ContainerPlan("agent", image, as_config(config), volumes, files, runtime=spec.runtime)


def repo_copy(train_py: str, task: Task, agent: Agent) -> dict[str, bytes]:
    """What an agent finds in its repository: name → content."""
    folder = ROOT / "trainer"
    fixed = {path.name for path in folder.glob("*.py")} - NOT_IN_THE_COPY
    names = [f"tasks/{task.name}.toml", *sorted(fixed)]
    return {
        "train.py": train_py.encode(),
        **instruction_files(task, agent),
        **{name: (folder / name).read_bytes() for name in names},
    }


def instruction_files(task: Task, agent: Agent) -> dict[str, bytes]:
    """The files of that repository that tell the agent what to do."""
    return {
        agent.cli.instructions_file: instructions(task.metric.prompt_values),
        "program.md": (ROOT / "trainer" / "program.md").read_bytes(),
    }


def _secret(spec: RunSpec) -> str:
    if spec.api_key is None:
        raise HostError(
            f"opening the gateway of {spec.run_id}: its spec came without a key",
            hint="set the key in .env",
        )
    return spec.api_key.get_secret_value()
