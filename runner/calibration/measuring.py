"""Measures the pristine train.py on this machine, before any contestant starts.

One trial of it gives two things. Its model's losses on all validation rows are the reference that
the judge's audit compares with (docs/judge.md). Its times are what every trial of the task is
allowed beyond its training: start, compiling, estimates, scoring. A contestant has no part in them:
its own first trial could sleep, and every later one would have gained that time.

Both are kept on the task's volume of held-out data under a key, which stands for the trainer's
image, the text, the machine, the GPU, the threads and the runtime of its containers. So a second
run measures nothing.
"""

from __future__ import annotations

import contextlib
import queue
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from runner.calibration.facts import (
    MOST_MEASUREMENTS,
    Calibration,
    Facts,
    key_of,
    scored_share,
    will_do,
)
from runner.engine import lockdown, one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, EngineInfo, Mount
from runner.engine.kinds import runtime_record
from runner.errors import SandboxError
from runner.limits import limits
from runner.records.layout import RunDir, shared_folder, volume_name
from runner.records.schema import TrialRecord
from runner.sandbox.peer import Show
from runner.sandbox.removal import remove_run
from runner.spec import RunSpec
from runner.task_data import heldout_volume
from runner.tasks import Task
from runner.timing.findings import Allowances
from runner.trials import judge_container
from runner.trials.events import Watch
from runner.trials.executor import Executor
from runner.trials.judge_container import judge_config, judge_plan, standing_judge
from runner.trials.judging import Judging
from runner.trials.lease import DeviceLease
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import Terms, Trainer
from runner.wire.judge_terms import facts_file
from runner.wire.messages import Message, Problem, ReferenceKeep, ScoreFinished, Stopped

LONGEST_TRAINING = 20.0  # seconds; a longer one would cost a run more than a better reference gains
ENDING_SECONDS = 1.0  # from the last word of the judge to the end of the process
DEADLINE_SECONDS = 3600.0
KEEP_SECONDS = 120.0
MAX_FACTS_BYTES = 64 * 1024
REFERENCE = Terms(mode="reference")
ROLE = "calibration"


@dataclass(frozen=True)
class Place:
    """What is measured where.

    Attributes:
        engine: the engine.
        spec: the run that wants to know.
        task: its task.
        image: the trainer's image.
        data_volume: the task's data.
        pristine: the task's train.py.
    """

    engine: Engine
    spec: RunSpec
    task: Task
    image: str
    data_volume: str
    pristine: str

    @property
    def train_seconds(self) -> float:
        """How long the pristine train.py trains here."""
        return min(self.spec.trial_seconds, LONGEST_TRAINING)

    @property
    def run_id(self) -> str:
        """The label of what exists while it is measured: other data, another measurement."""
        return f"{ROLE}-{self.data_volume.rpartition('-')[2]}-{self.key}"

    @cached_property
    def machine(self) -> EngineInfo:
        """The engine's machine."""
        return self.engine.info()

    @cached_property
    def sizes(self) -> lockdown.Sizes:
        """What a trial's container may use."""
        alone = lockdown.sizes(limits()["trial"], self.machine)
        return lockdown.divided(alone, self.machine, self.spec.devices, self.spec.cpu_sets)

    @property
    def threads(self) -> int:
        """How many threads the pristine train.py uses on a CPU."""
        return lockdown.threads(self.sizes)

    @cached_property
    def key(self) -> str:
        """The name of what is measured here, which is part of file names."""
        runtime = runtime_record(self.machine, self.spec.runtime).key
        return key_of(
            self.image, self.pristine, self.machine.id, self.spec.gpu, self.threads, runtime
        )


def ensure(place: Place, show: Show) -> Calibration:
    """The calibration of this task and machine; it is measured if there is none that will do.

    Args:
        place: what is measured where.
        show: is called with (role, line) for each line for people.

    Raises:
        SandboxError: the pristine train.py did not go through, or nothing could be kept.
        EngineError: the engine failed.
        HostError: there is no room for the files of the trial.
    """
    lock = shared_folder("bakeoff-leases") / f"calibration-{place.data_volume}-{place.key}.lock"
    with FileLock(lock, mode=0o666):
        facts = read_facts(place)
        if facts is None or not will_do(facts, place.train_seconds):
            show(ROLE, f"measuring the pristine train.py (once): {place.train_seconds:g} s")
            before = facts.measurements if facts is not None and facts.disturbed else 0
            facts = _measure(place, before + 1, partial(show, ROLE))
            show(ROLE, _in_words(facts))
    return Calibration(place.key, facts)


def read_facts(place: Place) -> Facts | None:
    """What is kept of an earlier calibration; None if there is nothing that can be read.

    Raises:
        EngineError: the engine failed.
    """
    volume = heldout_volume(place.data_volume)
    spec = ContainerSpec(
        name=f"{volume}-{ROLE}-{place.key}",
        image=place.image,
        run_id=place.data_volume,
        role=ROLE,
        mounts=(Mount(volume, "/heldout", read_only=True),),
    )
    path = f"/heldout/{facts_file(place.key)}"
    content = one_off.read_file(place.engine, spec, path, MAX_FACTS_BYTES)
    try:
        return None if content is None else Facts.model_validate_json(content)
    except ValidationError:
        return None


def _in_words(facts: Facts) -> str:
    words = f"beside its training it took {facts.overhead_seconds:.1f} s"
    again = facts.measurements < MOST_MEASUREMENTS
    slowed = "; other load slowed it" if facts.disturbed else ""
    slowed += ", so the next run measures again" if facts.disturbed and again else ""
    return f"{words}, and a trial's scoring takes {facts.scoring_seconds:.1f} s{slowed}"


class _Judge:
    """What the judge of a calibration says."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self.scored: ScoreFinished | None = None
        self.answers: queue.Queue[Message] = queue.Queue()

    def forget_answers(self) -> None:
        """Drop what the judge answered until now."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.answers.get_nowait()

    def take(self, message: Message) -> bool:
        """Take up a message, in the thread that reads the judge's container."""
        if isinstance(message, ScoreFinished):
            self.scored = message
        if isinstance(message, Problem | Stopped):
            self.answers.put(message)
            return True
        return self._judging.take(message)


def _measure(place: Place, measurements: int, report: Callable[[str], None]) -> Facts:
    """Run the pristine train.py once, with a judge of its own, and keep what comes of it."""
    run_id = place.run_id
    remove_run(place.engine, run_id)  # left by a runner that was killed
    judging = Judging()
    said = _Judge(judging)
    volume = heldout_volume(place.data_volume)
    config = judge_config(place.task, place.machine, DEADLINE_SECONDS)
    plan = judge_plan(place.image, config, {}, judging, place.spec.runtime)
    plan = replace(plan, take=said.take, writable_data={volume: "/heldout"})
    with (
        tempfile.TemporaryDirectory(prefix="bakeoff-") as folder,
        standing_judge(place.engine, run_id, plan, judging, lambda *_: None) as sandbox,
    ):
        record = _run(place, RunDir(Path(folder)), judging, run_id, report)
        if record.status != "ok" or said.scored is None:
            raise SandboxError(
                f"measuring the pristine train.py of task {place.task.name}: {record.status}: "
                f"{record.reason}",
                hint="`bakeoff doctor` checks this machine; `--verbose` shows what it printed",
            )
        facts = _facts(place, record, said.scored)
        facts = facts.model_copy(update={"measurements": measurements})
        said.forget_answers()  # a judge that ended while the device was waited for has said so
        sandbox.judge.send(ReferenceKeep(said.scored.session, place.key, facts.model_dump()))
        _wait_kept(said, place.task.name)
    return facts


def _run(
    place: Place, run_dir: RunDir, judging: Judging, run_id: str, report: Callable[[str], None]
) -> TrialRecord:
    """The trial itself. It holds one of the run's devices, as every trial does."""
    trainer = Trainer(
        image=place.image,
        data_volume=place.data_volume,
        train_seconds=place.train_seconds,
        limit_seconds=max(place.task.limit_seconds, DEADLINE_SECONDS / 6),
        allowances=Allowances(place.task.limit_seconds),
        output_bytes=limits()["trial"].output_mb << 20,
        sizes=place.sizes,
        judge_volume=volume_name(run_id, judge_container.PURPOSE),
        runtime=place.spec.runtime,
    )
    spec = place.spec.model_copy(update={"run_id": run_id, "retry_disturbed": False})
    lease = DeviceLease.of_trials(place.machine, place.spec.all_gpus, place.spec.cpu_sets)
    executor = Executor(place.engine, spec, run_dir, trainer, lease, judging)
    order = TrialOrder(
        1, "referee", ROLE, place.pristine, None, place.pristine, terms=REFERENCE,
    )  # fmt: skip
    waits = partial(report, "waiting until the device is free")
    return executor.run(order, Watch(waits, lambda: None, lambda _line: None, report))


def _facts(place: Place, record: TrialRecord, scored: ScoreFinished) -> Facts:
    """What the record of the reference's trial tells."""
    measured, training = record.measured, record.training_seconds
    declared = min(record.declared_seconds or 0.0, training)
    cpu, lost = measured.cpu_seconds_training, measured.lost_seconds
    return Facts(
        train_seconds=place.train_seconds,
        overhead_seconds=round(training - declared, 3),
        scoring_seconds=round(record.scoring_seconds * scored_share(scored) + ENDING_SECONDS, 3),
        lost_share=None if cpu is None or lost is None else round(lost / (cpu + lost or 1.0), 3),
        disturbed=record.disturbed,
    )


def _wait_kept(said: _Judge, task: str) -> None:
    """Wait until the judge has written the reference.

    Raises:
        SandboxError: it could not, or does not answer.
    """
    try:
        answer = said.answers.get(timeout=KEEP_SECONDS)
    except queue.Empty:
        answer = Problem("keeping the reference", f"no answer in {KEEP_SECONDS:.0f} s")
    if isinstance(answer, Problem):
        raise SandboxError(
            f"keeping the reference of task {task}: {answer.message}",
            hint="`bakeoff doctor` shows the room on the engine's disk; `make clean-runs DATA=1` "
            "removes the data of all tasks, which is prepared again when it is needed",
        )
