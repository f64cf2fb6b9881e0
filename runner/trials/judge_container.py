"""The judge's container: its plan, and a judge that stands alone, without the loop of a run."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping

from runner.configs import as_config
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import EngineInfo
from runner.limits import limits
from runner.sandbox.peer import ContainerExited, Inbox, Show
from runner.sandbox.sandbox import ContainerPlan, Sandbox
from runner.tasks import Task
from runner.trials.judging import Judging
from runner.wire.judge_terms import JUDGE_FOLDER
from runner.wire.start_config import JudgeConfig

ROLE = "judge"
PURPOSE = "judge"  # of the run's volume that holds the judge's socket
COMMAND = ["python", "/opt/judge/judge.py"]  # in the trainer's image


def judge_config(
    task: Task, machine: EngineInfo, deadline_seconds: float, reference: str = ""
) -> JudgeConfig:
    """What the judge of a task is told.

    Args:
        task: says how much is scored.
        machine: the engine's machine, whose CPUs decide the threads.
        deadline_seconds: when the judge ends itself.
        reference: the key of the reference to compare with; "" for none.
    """
    return JudgeConfig(
        deadline_seconds=deadline_seconds,
        judged_tokens=task.judged_tokens,
        estimate_tokens=task.estimate_tokens,
        threads=lockdown.threads(lockdown.sizes(limits()[ROLE], machine)),
        reference=reference,
    )


def judge_plan(
    image: str,
    config: JudgeConfig,
    data: Mapping[str, str],
    judging: Judging,
    runtime: str | None = None,
) -> ContainerPlan:
    """The judge of a run, which says everything about sessions to `judging`.

    Args:
        image: the trainer's image.
        config: what the judge is told.
        data: a volume with held-out data → its path inside.
        judging: the sessions of this judge.
        runtime: what makes its container; None for the engine's own.
    """
    return ContainerPlan(
        ROLE, image, as_config(config), {PURPOSE: (JUDGE_FOLDER, False)},
        command=COMMAND, data=data, take=judging.take, needed_late=True,
        runtime=runtime,
    )  # fmt: skip


@contextlib.contextmanager
def standing_judge(
    engine: Engine, run_id: str, plan: ContainerPlan, judging: Judging, show: Show
) -> Iterator[Sandbox]:
    """A judge without a run: for calibration, for the referee, and for tests.

    Its container, and everything else with the label of `run_id`, is removed at the end.

    Args:
        engine: where it is.
        run_id: the label and the name of its container and its volume.
        plan: from `judge_plan`.
        judging: the sessions, which are good within this context.
        show: is called with (role, line) for each line that it prints for people.

    Raises:
        BakeoffError: it cannot be started, or something of it cannot be removed.
    """
    inbox: Inbox = queue.Queue()
    with Sandbox(engine, run_id, [plan], inbox, show) as sandbox:
        judging.connect(sandbox.judge)
        pump = threading.Thread(target=_pump, args=(inbox, judging, show), daemon=True)
        pump.start()
        try:
            yield sandbox
        finally:
            inbox.put(None)
            pump.join()


def _pump(inbox: Inbox, judging: Judging, show: Show) -> None:
    """Take up the ends of the judge's container, until there is nothing more to come."""
    while (item := inbox.get()) is not None:
        if isinstance(item, ContainerExited):
            show(ROLE, f"the judge ended with exit code {item.exit_code}: {item.last_lines}")
            judging.gone()
