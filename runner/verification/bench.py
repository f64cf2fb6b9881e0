"""A judge and an executor for trials of ours, outside of a run's loop.

No contestant runs meanwhile: the judge's container is the only long-lived one. A person may end a
trial of ours as a run is ended.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from runner.errors import UserError
from runner.records.schema import TrialRecord
from runner.run.container_plan import judge_of
from runner.run.context import RunContext
from runner.run.wiring import lease_of, trainer_of
from runner.task_data import test_volume
from runner.trials.events import Watch
from runner.trials.executor import Executor
from runner.trials.judge_container import standing_judge
from runner.trials.lease import DeviceLease
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import Trainer

POLL_SECONDS = 0.2
# The referee scores some tens of times more tokens than a trial, on both splits, with 2,000 hidden
# rows; the judge is quick, and a model's forward pass takes a third of a training step.
REFEREE_LIMITS = 5.0  # times the task's `limit_seconds`

AskedToStop = Callable[[], str | None]
T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """What trials of ours run on.

    Attributes:
        context: the run that they belong to.
        executor: runs them.
        trainer: what they share.
        lease: the lease of their device.
        asked_to_stop: says who wants them to end, or None.
    """

    context: RunContext
    executor: Executor
    trainer: Trainer
    lease: DeviceLease
    asked_to_stop: AskedToStop

    def run(self, order: TrialOrder) -> TrialRecord:
        """Run one trial to its end.

        Raises:
            UserError: somebody asked to stop; the trial is killed and has no record.
            EngineError: the engine failed.
            SandboxError: the judge cannot be started.
            HostError: the trial's files could not be written.
        """
        watch = Watch(_nothing, _nothing, _ignored, _ignored)
        return self.watched(lambda _abandon: self.executor.run(order, watch))

    def watched(self, work: Callable[[threading.Event], T]) -> T:
        """Do something that takes long; its event is set when somebody asks to stop.

        Raises:
            UserError: somebody asked to stop.
        """
        abandon = threading.Event()
        with ThreadPoolExecutor(max_workers=1) as pool:
            running = pool.submit(work, abandon)
            self._wait(running, abandon)
            return running.result()

    def _wait(self, running: Future[T], abandon: threading.Event) -> None:
        """Wait until the work has ended.

        Raises:
            UserError: somebody asked to stop.
        """
        try:
            while not running.done():
                asked = self.asked_to_stop()
                if asked is not None:
                    raise UserError(
                        f"running trials of {self.context.spec.run_id} again: stopped by {asked}",
                        hint="the same command goes on where it was",
                    )
                with contextlib.suppress(TimeoutError):
                    running.result(timeout=POLL_SECONDS)
        except BaseException:
            abandon.set()
            self.executor.abandon()
            raise


@contextlib.contextmanager
def opened(context: RunContext, asked_to_stop: AskedToStop, *, referee: bool) -> Iterator[Bench]:
    """Open a judge for the run's task; with `referee`, one that has the test split as well.

    Raises:
        SandboxError: the judge did not start.
        EngineError: the engine refused.
    """
    plan, trainer = judge_of(context), trainer_of(context)
    if referee:
        plan = replace(plan, data={**plan.data, test_volume(context.data_volume): "/test"})
        trainer = replace(
            trainer,
            limit_seconds=REFEREE_LIMITS * trainer.limit_seconds,
            allowances=replace(trainer.allowances, scoring_seconds=None),  # those of a trial's own
        )
    lease = lease_of(context)
    executor = Executor(
        context.engine, context.spec, context.run_dir, trainer, lease, context.judging
    )
    with standing_judge(context.engine, context.spec.run_id, plan, context.judging, context.show):
        yield Bench(context, executor, trainer, lease, asked_to_stop)


def _nothing() -> None:
    """Take no notice."""


def _ignored(_: str) -> None:
    """Take no notice of a line."""
