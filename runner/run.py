"""The steps of a run, in order. No step reads what a later step writes.

    open the run's directory → images → data → sandbox → the loop → collect → result.json

A run that is resumed takes the same steps with what its journal and ledger say was spent.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner import data, images, preflight
from runner.clock import Clock
from runner.collect import Collector, closed_gateway, collect_records, settled_requests
from runner.conduct import Conduct, Ending, Props
from runner.drivers import AgentDriver, Driver, OptimizerDriver, Patience
from runner.engine import Engine
from runner.errors import BakeoffError, EngineError, HostError, UserError
from runner.journal import Journal
from runner.layout import RunDir
from runner.parts import parts
from runner.records import (
    Best,
    RunResult,
    Spent,
    TrialSource,
    UsageRecord,
    append_line,
    now,
    read_lines,
    to_json,
    write_whole,
)
from runner.results import claims
from runner.runs import STOP_FILE, held, last_spent, read_spec, stop_signals
from runner.sandbox import Peer, Sandbox, Show, sweep
from runner.spec import RunSpec, limits, load_task
from runner.stage import Stage, image_names, image_tag, versions
from runner.trials.desk import TrialDesk
from runner.trials.executor import Executor, Trainer
from runner.trials.intake import Intake
from runner.trials.lease import DeviceLease

OPENED = "sandbox.opened"


def start(spec: RunSpec, engine: Engine, runs: Path, show: Show) -> RunResult:
    """Make a new run and see it through.

    Raises:
        BakeoffError: the run could not start, or the engine or disk failed under it; what was
            recorded until then is kept, and the run can be resumed.
    """
    run_dir = RunDir(runs / spec.run_id)
    task = load_task(spec.task)
    preflight.check_new(run_dir)
    preflight.check_disk(runs)
    preflight.check_gpu(spec, engine)
    preflight.check_unused(spec.run_id, engine)
    files = data.input_files(spec.data, task)
    images.ensure(engine, image_names(spec))
    volume = data.ensure(engine, image_tag("trainer"), task, files, partial(show, "prepare"))
    spec = spec.model_copy(update={"versions": versions(spec, engine, volume)})
    _make(run_dir)
    try:
        write_whole(run_dir.spec, spec.model_dump_json(indent=2) + "\n")
        with held(run_dir):
            return _perform(Stage(spec, engine, run_dir, task, volume, show), Spent())
    except BakeoffError as error:
        if _was_opened(Journal(run_dir)):
            name = f"RUN={spec.run_id}"
            ways = f"`make resume {name}` goes on with the run, `make stop {name}` ends it"
            error.hint = f"{error.hint}; {ways}" if error.hint else ways
        else:  # nothing happened: the same command may come again
            shutil.rmtree(run_dir.path, ignore_errors=True)
        raise


def resume(spec: RunSpec, engine: Engine, runs: Path, show: Show) -> RunResult:
    """Go on with a run whose runner died or was interrupted: same budgets, images, code and data.

    Raises:
        UserError: it is finished, another runner has it, or its data is not to be had any more.
        ImageError: an image that it began with is gone.
    """
    run_dir = RunDir(runs / spec.run_id)
    if run_dir.result.exists():
        raise UserError(
            f"resuming {spec.run_id}: it is done", hint=f"its result is in {run_dir.result}"
        )
    task = load_task(spec.task)
    volume = str(spec.versions["data"])
    if not any(there.name == volume for there in engine.volumes()):
        raise UserError(
            f"resuming {spec.run_id}: its data, volume {volume}, is gone",
            hint=f"`make stop RUN={spec.run_id}` collects it; begin another run",
        )
    with held(run_dir):
        (run_dir.path / STOP_FILE).unlink(missing_ok=True)
        sweep(engine, spec.run_id, volumes=False)  # a trial may still hold the device
        opened = _was_opened(Journal(run_dir))
        stage = Stage(spec, engine, run_dir, task, volume, show, resumed=opened)
        return _perform(stage, last_spent(run_dir))


def _make(run_dir: RunDir) -> None:
    """Make the run's directory.

    Raises:
        UserError: another command has just made it.
        HostError: it cannot be made.
    """
    try:
        run_dir.path.mkdir(parents=True)
    except FileExistsError:
        preflight.check_new(run_dir)
    except OSError as error:
        raise HostError(
            f"making {run_dir.path}: {error.strerror}", hint="mend the folder or use --runs"
        ) from error


def _was_opened(journal: Journal) -> bool:
    """Whether the contestant has its repository and may have worked."""
    return any(event.event == OPENED for event in journal.events())


def _perform(stage: Stage, before: Spent) -> RunResult:
    """Open the sandbox, run the loop, collect, and write the result."""
    clock = Clock(stage.spec.budget, before)
    stage.journal.write("run.resumed" if stage.resumed else "run.started", **_facts(stage.spec))
    sandbox = Sandbox(stage.engine, stage.spec.run_id, parts(stage), stage.inbox, stage.show)
    collector = Collector(
        stage.engine, stage.run_dir, stage.journal,
        lambda: sandbox.contestant.container if stage.spec.kind == "agent" else "",
    )  # fmt: skip
    sandbox.keep_volumes = stage.resumed
    with stop_signals(stage.run_dir) as asked_to_stop, sandbox:
        stage.journal.write(OPENED)
        sandbox.keep_volumes = True  # until everything is collected
        conduct = _conduct(stage, sandbox, clock, collector, asked_to_stop)
        ending = conduct.go()
        collector.finish()
        _balance(stage, sandbox, conduct)
        gateway = sandbox.peer("gateway")
        problems = _records(stage, lambda: gateway.container if gateway else "")
        result = _result(stage, clock, ending, problems)
        write_whole(stage.run_dir.result, to_json(result))
        sandbox.keep_volumes = False
    stage.journal.write("run.finished", ended_by=ending.ended_by, cause=ending.cause)
    return result


def _balance(stage: Stage, sandbox: Sandbox, conduct: Conduct) -> None:
    """End the gateway, and take up what it settled at its end or while no runner listened."""
    gateway = sandbox.peer("gateway")
    if gateway is None:
        return
    gateway.end()
    conduct.drain()
    known = {record.request for record in read_lines(stage.run_dir.usage, UsageRecord)}
    for record in settled_requests(stage.engine, gateway.container):
        if record.get("request") not in known:
            conduct.used(record)


def _records(stage: Stage, gateway: Callable[[], str]) -> list[str]:
    """Fetch what the gateway recorded, if it was asked to; what is missing of it."""
    if not stage.spec.record:
        return []
    return collect_records(stage.engine, stage.run_dir, stage.journal, gateway)


def _facts(spec: RunSpec) -> dict[str, Any]:
    budget = {name: value for name, value in spec.budget.as_dict().items() if value is not None}
    return {
        "run_id": spec.run_id,
        "task": spec.task,
        "trial_seconds": spec.trial_seconds,
        "rehearsed": spec.rehearsed,
        "budget": budget,
    }


def _conduct(
    stage: Stage,
    sandbox: Sandbox,
    clock: Clock,
    collector: Collector,
    asked_to_stop: Callable[[], str | None],
) -> Conduct:
    contestant = sandbox.contestant
    source: TrialSource = "agent" if stage.spec.kind == "agent" else "sampler"
    intake = Intake(stage.engine, stage.run_dir, stage.ledger, stage.pristine, source)
    desk = TrialDesk(
        intake, _executor(stage), stage.ledger, clock, stage.journal, stage.inbox, contestant.send
    )
    props = Props(
        run_dir=stage.run_dir,
        journal=stage.journal,
        clock=clock,
        desk=desk,
        collector=collector,
        contestant=contestant,
        driver=_driver(stage, contestant, clock, collector),
        inbox=stage.inbox,
        asked_to_stop=asked_to_stop,
    )
    return Conduct(props)


def _driver(stage: Stage, contestant: Peer, clock: Clock, collector: Collector) -> Driver:
    spec = stage.spec
    if spec.kind == "baseline":
        return OptimizerDriver(contestant)

    def words() -> dict[str, object]:
        return {
            "run_id": spec.run_id,
            "task": spec.task,
            "branch": f"bakeoff/{spec.run_id}",
            "trial_seconds": f"{spec.trial_seconds:g}",
            "budget": Clock(spec.budget).left(),
            "left": clock.left(),
        }

    return AgentDriver(
        stage.agent(), contestant, stage.token, stage.journal, words, collector.transcript,
        clock, resumed=stage.resumed, patience=Patience(spec.grace_seconds),
    )  # fmt: skip


def _executor(stage: Stage) -> Executor:
    spec, limit, machine = stage.spec, limits()["trial"], stage.engine.info()
    trainer = Trainer(
        image=stage.image("trainer"),
        data_volume=stage.data_volume,
        train_seconds=spec.trial_seconds,
        allowance_seconds=stage.task.limit_seconds,
        limit=limit,
        memory_bytes=limit.memory_bytes(machine.memory_bytes),
        cpus=machine.cpus * limit.cpu_share,
        gpu=spec.gpu,
    )
    lease = DeviceLease(machine.id, "cpu" if spec.gpu is None else f"gpu-{spec.gpu}")
    return Executor(stage.engine, spec, stage.run_dir, trainer, lease)


def close_abandoned(engine: Engine, runs: Path, run_id: str) -> RunResult:
    """End a run whose runner is dead: collect what there is, remove containers and volumes.

    Raises:
        UserError: a runner has it, or it is done.
    """
    spec = read_spec(runs, run_id)
    run_dir = RunDir(runs / run_id)
    with held(run_dir):
        if run_dir.result.exists():
            raise UserError(f"stopping {run_id}: it is done", hint=f"see {run_dir.result}")
        journal = Journal(run_dir)
        agents = [c.id for c in engine.containers(run_id) if c.role == "agent"]
        Collector(engine, run_dir, journal, lambda: agents[0] if agents else "").finish()
        stage = Stage(spec, engine, run_dir, load_task(spec.task), "", lambda *_: None)
        ending = Ending("abandoned", "host", "the runner died; ended by `bakeoff stop`")
        problems = _from_the_dead_runs_gateway(stage)
        result = _result(stage, Clock(spec.budget, last_spent(run_dir)), ending, problems)
        write_whole(run_dir.result, to_json(result))
        sweep(engine, run_id)
        journal.write("run.finished", ended_by=ending.ended_by, cause=ending.cause)
    return result


def _from_the_dead_runs_gateway(stage: Stage) -> list[str]:
    """Take up what it settled while no runner listened, and its records; what is missing."""
    if stage.spec.kind != "agent":
        return []
    run_dir, problems = stage.run_dir, []
    try:
        gateway = closed_gateway(stage.engine, stage.spec.run_id, lambda: stage.image("gateway"))
        known = {record.request for record in read_lines(run_dir.usage, UsageRecord)}
        for fields in settled_requests(stage.engine, gateway) if gateway else ():
            if fields.get("request") not in known:
                append_line(run_dir.usage, UsageRecord.model_validate(fields))
    except (EngineError, ValidationError) as error:
        gateway = ""
        problems.append(f"usage: what the gateway settled last could not be read: {error}")
    return [*problems, *_records(stage, lambda: gateway)]


def _result(stage: Stage, clock: Clock, ending: Ending, problems: list[str]) -> RunResult:
    spec = stage.spec
    claimed, doubts = best_claimed(stage.run_dir.experiments)
    first = stage.journal.events()
    return RunResult(
        run_id=spec.run_id,
        contestant=spec.contestant,
        kind=spec.kind,
        seed=spec.seed,
        task=spec.task,
        rehearsed=spec.rehearsed,
        ended_by=ending.ended_by,
        cause=ending.cause,
        detail=ending.detail,
        began_at=first[0].at if first else now(),
        ended_at=now(),
        budget=spec.budget.as_dict(),
        spent=clock.spent(),
        trials_by_status=stage.ledger.by_status(),
        best_measured=stage.ledger.best_measured(),
        best_claimed=claimed,
        problems=[*doubts, *problems],
    )


def best_claimed(experiments: Path) -> tuple[Best | None, list[str]]:
    """The best row of an agent's `experiments.csv`, and what is wrong with the file."""
    if not experiments.exists():
        return None, []
    said = claims.parse(experiments.read_bytes())
    problems = [f"experiments.csv: {problem}" for problem in said.problems]
    best = said.best()
    if best is None or best.val_bpb is None:
        return None, problems
    return Best(val_bpb=best.val_bpb, row=best.row), problems
