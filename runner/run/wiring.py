"""Builds the run loop and everything that it works with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runner import samplers
from runner.agents import together
from runner.budget_clock import BudgetClock
from runner.calibration import Calibration
from runner.collect.artifacts import Collector
from runner.engine import lockdown
from runner.limits import limits
from runner.records.layout import volume_name
from runner.records.prompts import keep_prompt
from runner.records.schema import TrialSource
from runner.recovery.supervisor import Supervisor
from runner.recovery.wishes import Wish
from runner.run.container_plan import instruction_files
from runner.run.context import RunContext
from runner.run.drivers.agent_driver import AgentDriver, TurnMaker
from runner.run.drivers.baseline_driver import OptimizerDriver
from runner.run.drivers.disk_policy import DiskPolicy
from runner.run.drivers.driver import Driver
from runner.run.drivers.turn_policy import TurnTimeouts
from runner.run.loop import RunLoop
from runner.run.loop_parts import LoopParts
from runner.run.proposal_costs import ProposalCosts
from runner.run.settlement import UsageLog
from runner.sandbox.peer import Peer
from runner.sandbox.sandbox import Sandbox
from runner.timing.findings import Allowances
from runner.trials import judge_container
from runner.trials.estimates import ESTIMATE_AT
from runner.trials.executor import Executor
from runner.trials.lease import DeviceLease
from runner.trials.orders.submission import SubmissionReader
from runner.trials.queue import TrialQueue
from runner.trials.terms import Trainer


def build_loop(
    context: RunContext,
    sandbox: Sandbox,
    clock: BudgetClock,
    usage: UsageLog,
    collector: Collector,
    wish: Callable[[], Wish | None],
) -> RunLoop:
    """The loop of a run whose contestant can begin."""
    contestant = sandbox.contestant
    parts = [peer for peer in sandbox.peers if peer is not sandbox.judge]
    context.judging.connect(sandbox.judge)
    trials = _trial_queue(context, contestant, clock, ProposalCosts(usage, context.ledger))
    return RunLoop(
        LoopParts(
            run_dir=context.run_dir,
            journal=context.journal,
            clock=clock,
            usage=usage,
            trials=trials,
            collector=collector,
            engine=context.engine,
            contestant=contestant,
            gateway=sandbox.peer("gateway"),
            supervisor=Supervisor(parts, context.journal, context.inbox),
            driver=_driver(context, contestant, clock, collector, trials),
            inbox=context.inbox,
            wish=wish,
            judging=context.judging,
        )
    )


def _trial_queue(
    context: RunContext, contestant: Peer, clock: BudgetClock, costs: ProposalCosts
) -> TrialQueue:
    source: TrialSource = "agent" if context.spec.kind == "agent" else "sampler"
    proposers = None if context.spec.proposer is None else samplers.load()
    reader = SubmissionReader(
        context.engine, context.run_dir, context.ledger, context.pristine, source, proposers
    )
    return TrialQueue(
        reader, _executor(context), context.ledger, clock, context.journal, context.inbox,
        contestant.send, context.spec.trials_at_a_time, prunes=context.spec.prunes,
        priced=costs.priced,
    )  # fmt: skip


def _driver(
    context: RunContext,
    contestant: Peer,
    clock: BudgetClock,
    collector: Collector,
    trials: TrialQueue,
) -> Driver:
    spec = context.spec
    if spec.kind == "baseline":
        disk = DiskPolicy(context.journal, "optimizer", times=1)
        return OptimizerDriver(contestant, clock.now, trials.prune, disk)

    def prompt_values() -> dict[str, object]:
        return {
            "run_id": spec.run_id,
            "task": spec.task,
            **spec.metric.prompt_values,
            "branch": context.branch,
            "trial_seconds": f"{spec.trial_seconds:g}",
            "budget": BudgetClock(spec.budget).left(),
            "left": clock.left(),
            "meanwhile": trials.ended_meanwhile(),
            "together": together(spec.devices),
        }

    keep = partial(keep_prompt, context.run_dir)
    if not context.resumed:
        for name, text in instruction_files(context.task, context.agent()).items():
            keep(name, text.decode())
    turns = TurnMaker(context.agent(), context.token, prompt_values, collector.transcript, keep)
    return AgentDriver(
        turns, contestant, context.journal, clock, TurnTimeouts(spec.grace_seconds),
        resumed=context.resumed,
    )  # fmt: skip


def _allowances(context: RunContext) -> Allowances:
    """What a trial may take beyond its training: as measured, else the task's own limit."""
    longest = context.task.limit_seconds
    measured = Calibration.of(context.spec)
    return Allowances(longest) if measured is None else measured.facts.allowances(longest)


def _executor(context: RunContext) -> Executor:
    return Executor(
        context.engine, context.spec, context.run_dir, trainer_of(context), lease_of(context),
        context.judging,
    )  # fmt: skip


def trainer_of(context: RunContext) -> Trainer:
    """What all trials of a run share."""
    spec, machine, limit = context.spec, context.machine, limits()["trial"]
    return Trainer(
        image=context.image("trainer"),
        data_volume=context.data_volume,
        train_seconds=spec.trial_seconds,
        limit_seconds=context.task.limit_seconds,
        allowances=_allowances(context),
        output_bytes=limit.output_mb << 20,
        sizes=lockdown.divided(
            lockdown.sizes(limit, machine), machine, spec.devices, spec.cpu_sets
        ),
        judge_volume=volume_name(spec.run_id, judge_container.PURPOSE),
        estimate_at=ESTIMATE_AT if spec.prunes else (),
        runtime=spec.runtime,
    )


def lease_of(context: RunContext) -> DeviceLease:
    """The lease of the devices that a run's trials train on."""
    spec = context.spec
    return DeviceLease.of_trials(context.machine, spec.all_gpus, spec.cpu_sets)
