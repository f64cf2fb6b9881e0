"""A run from its open sandbox to its result, in as many lives as the engine makes of it.

    sandbox, and the proof of its lock beside it → the loop → collect and settle → result.json

The first turn of a new agent's run begins beside the proof. Its model answers once the lock is
proved, and only then is the sandbox said to be open.

A life ends with the run, with a suspension, or because the engine failed; then another one begins
in the same process, once the engine answers.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from runner.budget_clock import BudgetClock
from runner.collect.artifacts import Collector
from runner.collect.study import StudyCollector
from runner.errors import BakeoffError, EngineError, SuspendedError
from runner.records.files import to_json, write_whole
from runner.records.journal import Journal
from runner.records.runtime import label_of
from runner.records.schema import RunResult, Spent
from runner.recovery import run_log
from runner.recovery.engine_loss import EngineLoss
from runner.recovery.wishes import Kind, Terminal, Wish, Wishes, taken_up
from runner.run.container_plan import container_plans
from runner.run.context import RunContext
from runner.run.lock_proof import Prove, prove_lock
from runner.run.loop_parts import Ending
from runner.run.result import run_result
from runner.run.settlement import UsageLog, settle
from runner.run.wiring import build_loop
from runner.sandbox.opening import Proof
from runner.sandbox.removal import remove_run
from runner.sandbox.sandbox import Sandbox, new_token
from runner.trials.judging import Judging

OPENED = "sandbox.opened"
PROOF = "containment."  # of the events about it


def see_through(context: RunContext, before: Spent, prove: Prove = prove_lock) -> RunResult:
    """See the run through, in as many lives as the engine makes of it.

    Args:
        context: the run.
        before: what earlier lives spent.
        prove: is entered in each life, with the context and role → container, while the sandbox
            opens; what it raises ends the life.
    """
    run_dir, journal = context.run_dir, context.journal
    wishes, loss = Wishes(run_dir, Terminal()), EngineLoss(context.engine, journal)
    with run_log.kept(run_dir), taken_up(wishes):
        while True:
            clock = None
            loss.life_begins()
            try:
                if context.resumed:  # something may be left of an earlier life
                    remove_run(context.engine, context.spec.run_id, volumes=False)
                clock = BudgetClock(context.spec.budget, before)
                result = _live(context, clock, wishes, partial(prove, context), loss.life_opened)
            except BakeoffError as error:
                if not was_opened(journal) or run_dir.result.exists():
                    raise
                if clock is not None:
                    if not loss.was_open:
                        clock.stand_still()
                    before = clock.spent()
                wish = _next_life(error, loss, wishes, context)
            else:
                _check_wanted(wishes)
                return result
            if wish is not None:
                with contextlib.suppress(EngineError):
                    remove_run(context.engine, context.spec.run_id, volumes=False)
                why = f"{wish.by}, while the engine is away"
                raise _suspended(context, SuspendedError(why, why="asked", by="user"))
            context = replace(
                context, resumed=True, inbox=queue.Queue(), token=new_token(), judging=Judging()
            )


def _check_wanted(wishes: Wishes) -> None:
    """Leave the verification of a run that has ended to later, if its runner shall end now.

    Raises:
        SuspendedError: a person wants that.
    """
    wish = wishes()
    if wish is not None and wish.kind is Kind.SUSPEND:
        raise SuspendedError(
            f"{wish.by}: the run has its result, and is not verified", why="asked", by="user"
        )


def _next_life(
    error: BakeoffError, loss: EngineLoss, wishes: Wishes, context: RunContext
) -> Wish | None:
    """Wait until the run can go on; returns what a person wants meanwhile.

    Raises:
        BakeoffError: it cannot.
    """
    try:
        return loss.wait(error, wishes, len(context.ledger.records))
    except SuspendedError as suspended:
        raise _suspended(context, suspended) from None
    except BakeoffError as failed:
        _journal_suspended(context.journal, "failed", failed.cause, failed.message)
        raise


def _live(
    context: RunContext,
    clock: BudgetClock,
    wishes: Wishes,
    prove: Proof,
    life_opened: Callable[[], None],
) -> RunResult:
    """Open the sandbox, run the loop, collect, settle with the gateway, and write the result.

    `life_opened` is called in some thread once the sandbox is open.

    Raises:
        LockError: the sandbox is not shown to hold what is in it.
        SuspendedError: the run cannot or shall not go on now; its volumes are kept.
        BakeoffError: the engine or the disk failed.
    """
    usage = UsageLog(context.run_dir, context.journal, clock)
    context.journal.write("run.resumed" if context.resumed else "run.started", **_facts(context))

    def opened() -> None:
        life_opened()
        try:
            context.journal.write(OPENED)
        finally:
            sandbox.keep_volumes = was_opened(context.journal)  # until everything is collected

    sandbox = Sandbox(
        context.engine, context.spec.run_id, container_plans(context), context.inbox, context.show,
        prove, opened, early=begins_early(context),
    )  # fmt: skip
    sandbox.keep_volumes = context.resumed
    with sandbox:
        collecting = Collector if context.spec.kind == "agent" else StudyCollector
        collector = collecting(
            context.engine, context.run_dir, context.journal, sandbox.contestant.container
        )
        wish = partial(_wish_once_open, sandbox, wishes)
        loop = build_loop(context, sandbox, clock, usage, collector, wish)
        gateway = sandbox.peer("gateway")
        if gateway is not None and context.resumed:
            usage.take_up(context.engine, gateway.container)
        try:
            ending = loop.run()
        except SuspendedError:
            if not sandbox.is_opening:  # else nothing of it is kept
                sandbox.wait_open()
                sandbox.end()
                loop.drain()
            raise
        sandbox.wait_open()
        sandbox.end()
        loop.drain()
        problems = collector.finish()
        problems += settle(context, usage, gateway.container if gateway else "")
        result = write_result(context, clock, ending, problems)
        sandbox.keep_volumes = False
    journal_finish(context, ending)
    return result


def _wish_once_open(sandbox: Sandbox, wishes: Wishes) -> Wish | None:
    """What a person wants of the run, once its sandbox is open."""
    return None if sandbox.is_opening else wishes()


def _suspended(context: RunContext, suspended: SuspendedError) -> SuspendedError:
    """Journal that the run is suspended and by what; of a provider of the user's, its address."""
    if suspended.by == "provider" and context.spec.base_url is not None:
        suspended.message += f" (BASE_URL={context.spec.base_url})"
    _journal_suspended(context.journal, suspended.why, suspended.by, suspended.message)
    return suspended


def _journal_suspended(journal: Journal, why: str, cause: str, detail: str) -> None:
    journal.write("run.suspended", why=why, cause=cause, detail=detail)


def write_result(
    context: RunContext, clock: BudgetClock, ending: Ending, problems: list[str]
) -> RunResult:
    result = run_result(context, clock, ending, problems)
    write_whole(context.run_dir.result, to_json(result))
    return result


def journal_finish(context: RunContext, ending: Ending) -> None:
    context.journal.write("run.finished", ended_by=ending.ended_by, cause=ending.cause)


def was_opened(journal: Journal) -> bool:
    """Whether the contestant may have worked: its lock was proved, and its model could answer."""
    return any(event.event == OPENED for event in journal.events())


def begins_early(context: RunContext) -> bool:
    """Whether the contestant may begin before the lock is proved: it has written nothing yet.

    A runner that is killed right after the proof may leave a run that was never open, and in which
    the contestant worked for a moment.
    """
    proved = any(event.event.startswith(PROOF) for event in context.journal.events())
    return context.spec.kind == "agent" and not context.resumed and not proved


def _facts(context: RunContext) -> dict[str, Any]:
    spec = context.spec
    budget = {name: value for name, value in spec.budget.as_dict().items() if value is not None}
    return {
        "run_id": spec.run_id,
        "task": spec.task,
        "trial_seconds": spec.trial_seconds,
        "rehearsed": spec.rehearsed,
        "runtime": label_of(spec.versions),
        "budget": budget,
    }
