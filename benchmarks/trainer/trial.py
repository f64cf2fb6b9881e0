"""One trial of a trainer as a run's executor starts it, with a judge and a clock on its parts."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.trainer.rows import Row, read_row
from runner import task_data, tasks
from runner.build import images
from runner.configs import as_config
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.records.layout import volume_name
from runner.tasks import Task
from runner.trials.judge_container import PURPOSE, judge_plan, standing_judge
from runner.trials.judging import Judging
from runner.wire.judge_terms import JUDGE_FOLDER
from runner.wire.messages import MESSAGES, Ready, Start, TrialExited
from runner.wire.protocol import decode, encode, pack_text
from runner.wire.start_config import JudgeConfig, TrialConfig

IMAGE = "bakeoff/trainer:0.1.0"
WITHIN_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Bench:
    """What all trials of a benchmark share.

    Attributes:
        volume: the task's prepared data.
        judging: the sessions of the judge that scores them.
        judge_volume: the volume that holds the judge's socket.
        seconds: training time of a trial.
        cpus: cores of a trial.
        gpu: the device's id, or None.
        cpuset: which cores, such as "0-3"; None for any.
    """

    engine: Engine
    volume: str
    judging: Judging
    judge_volume: str
    seconds: float
    cpus: float
    gpu: str | None = None
    cpuset: str | None = None


def prepared(engine: Engine, name: str, data: str | None = None) -> tuple[Task, str]:
    """The task of that name, and the volume with its prepared data; the images are built first.

    Args:
        engine: the engine.
        name: the task's.
        data: the user's own data, for a task that needs them.

    Raises:
        BakeoffError: there is no such task, or it cannot be prepared.
    """
    images.ensure(engine, ["trainer", "data"])
    task = tasks.load_task(name)
    files = task_data.input_files(data, task)
    return task, task_data.ensure(engine, images.image_tag("data"), task, files, print)


@contextlib.contextmanager
def opened(
    engine: Engine, task: Task, volume: str, seconds: float, cpus: float, gpu: str | None = None
) -> Iterator[Bench]:
    """A benchmark with a judge of its own; for the arguments see `Bench`.

    Raises:
        BakeoffError: the judge cannot be started.
    """
    run_id = f"bench-{uuid.uuid4().hex[:12]}"
    judging = Judging()
    config = JudgeConfig(
        deadline_seconds=WITHIN_SECONDS,
        judged_tokens=task.judged_tokens,
        estimate_tokens=task.estimate_tokens,
        threads=max(1, int(cpus)),
    )
    plan = judge_plan(IMAGE, config, {task_data.heldout_volume(volume): "/heldout"}, judging)
    with standing_judge(engine, run_id, plan, judging, lambda _role, line: print(line)):
        yield Bench(engine, volume, judging, volume_name(run_id, PURPOSE), seconds, cpus, gpu)


def run(bench: Bench, name: str, repeat: int, text: str) -> Row:
    """Trains once in a fresh trial container; `text` comes from `rows.harnessed`.

    Raises:
        SystemExit: the trial failed; with the end of its output.
    """
    run_id = f"bench-{uuid.uuid4().hex[:12]}"
    wanted = ContainerSpec(
        name=f"bakeoff-{run_id}-trial", image=IMAGE, run_id=run_id, role="trial",
        mounts=(
            Mount(bench.volume, "/data", read_only=True),
            Mount(bench.judge_volume, JUDGE_FOLDER, read_only=True),
        ),
        tmpfs={"/trial": 1 << 28, "/tmp": 1 << 30},
        memory_bytes=8 << 30, cpus=bench.cpus, gpu=bench.gpu, cpuset=bench.cpuset,
    )  # fmt: skip
    container = bench.engine.create(wanted)
    try:
        with bench.judging.session(cores=bench.cpuset) as session:
            lines = _output(bench, container, name, text, session.token)
    finally:
        bench.engine.remove(container)
    row = read_row(name, repeat, "\n".join(lines))
    print(f"{name} {repeat}: {row.tokens_per_second:,.0f} tokens/s, val_bpb {row.val_bpb:.4f}")
    return row


def _output(bench: Bench, container: str, name: str, text: str, token: str) -> list[str]:
    limit = 20 * bench.seconds + 600
    config = TrialConfig(
        train_py_gz=pack_text(text),
        train_seconds=bench.seconds,
        limit_seconds=limit,
        output_bytes=16 << 20,
        threads=max(1, int(bench.cpus)),
        deadline_seconds=limit,
        judge_token=token,
    )
    lines: list[str] = []
    channel = bench.engine.attach(container)
    bench.engine.start(container)
    for is_stdout, line in channel.lines():
        message = decode(line, MESSAGES) if is_stdout else None
        if isinstance(message, Ready):
            channel.send(encode(Start(as_config(config))))
        elif isinstance(message, TrialExited) and message.exit_code != 0:
            raise SystemExit(f"error: the trial of {name} failed:\n" + "\n".join(lines[-20:]))
        elif is_stdout and message is None:
            lines.append(line)
    channel.close()
    return lines
