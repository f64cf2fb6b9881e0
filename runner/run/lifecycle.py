"""The steps of a run, in order. No step reads what a later step writes.

    checks → images and data → the run's directory → sandbox → the loop → collect and settle →
    result.json

`start` takes all of them. `resume` takes those from the sandbox on, with what the journal, the
ledger and the usage say was spent. `close_abandoned` takes the last two for a run whose runner
died.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from runner import calibration, task_data
from runner.budget_clock import BudgetClock
from runner.build import images
from runner.build.images import image_tag
from runner.calibration import Calibration, Place
from runner.collect.artifacts import Collector
from runner.collect.gateway_state import closed_gateway
from runner.engine.client import Engine
from runner.errors import BakeoffError, HostError, UserError
from runner.preflight import checks, reach
from runner.records.files import to_json, write_whole
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import RunResult, Spent
from runner.run.container_plan import container_plans, provider_url
from runner.run.context import RunContext, image_names, open_context, pristine_text, versions
from runner.run.loop import Ending
from runner.run.result import run_result
from runner.run.settlement import UsageLog, settle, settle_abandoned
from runner.run.spent import last_spent
from runner.run.wiring import build_loop
from runner.run_lock import held, interrupted_by_signals, stop_signals
from runner.sandbox.peer import Show
from runner.sandbox.removal import remove_run
from runner.sandbox.sandbox import Sandbox
from runner.spec import RunSpec, read_spec
from runner.tasks import Task, load_task

OPENED = "sandbox.opened"


def start(spec: RunSpec, engine: Engine, runs: Path, show: Show) -> RunResult:
    """Make a new run and see it through.

    Raises:
        BakeoffError: the run could not start, or the engine or the disk failed under it. What was
            recorded until then is kept, and the run can be resumed.
    """
    run_dir = RunDir(runs / spec.run_id)
    task = load_task(spec.task)
    _check(spec, engine, run_dir)
    volume = _prepare(spec, engine, task, show)
    known = versions(spec, engine, volume)
    known["calibration"] = _calibrate(spec, engine, task, volume, show).as_version()
    spec = spec.model_copy(update={"versions": known})
    _make(run_dir)
    try:
        write_whole(run_dir.spec, spec.model_dump_json(indent=2) + "\n")
        with held(run_dir):
            context = open_context(spec, engine, run_dir, task, volume, show)
            return _perform(context, Spent())
    except BakeoffError as error:
        if _was_opened(Journal(run_dir)):
            _say_how_to_continue(error, spec.run_id)
        else:  # nothing happened yet, so the same command may be given again
            shutil.rmtree(run_dir.path, ignore_errors=True)
        raise


def resume(spec: RunSpec, engine: Engine, runs: Path, show: Show) -> RunResult:
    """Go on with a run whose runner died or was interrupted: same budgets, images, code and data.

    Raises:
        UserError: the run is finished, another runner has it, or its data is gone.
        ImageError: an image that it began with is gone.
    """
    run_dir = RunDir(runs / spec.run_id)
    if run_dir.result.exists():
        raise UserError(
            f"resuming {spec.run_id}: it is done", hint=f"its result is in {run_dir.result}"
        )
    task = load_task(spec.task)
    volume = str(spec.versions["data"])
    gone = task_data.missing(engine, volume)
    if gone:
        raise UserError(
            f"resuming {spec.run_id}: of its data, the volume {gone[0]} is gone",
            hint=f"`make stop RUN={spec.run_id}` collects the run; begin another one",
        )
    with held(run_dir):
        run_dir.stop.unlink(missing_ok=True)
        remove_run(engine, spec.run_id, volumes=False)  # a trial may still hold the device
        opened = _was_opened(Journal(run_dir))
        context = open_context(spec, engine, run_dir, task, volume, show, resumed=opened)
        try:
            return _perform(context, last_spent(run_dir))
        except BakeoffError as error:
            _say_how_to_continue(error, spec.run_id)
            raise


def close_abandoned(engine: Engine, runs: Path, run_id: str) -> RunResult:
    """End a run whose runner is dead: collect what there is, remove its containers and volumes.

    Raises:
        UserError: a runner has it, or it is done.
    """
    spec = read_spec(runs, run_id)
    run_dir = RunDir(runs / run_id)
    with held(run_dir):
        if run_dir.result.exists():
            remove_run(engine, run_id)  # left by a verification whose runner died
            raise UserError(
                f"stopping {run_id}: it is done",
                hint=f"see {run_dir.result}; `make verify RUN={run_id}` verifies it",
            )
        context = open_context(spec, engine, run_dir, load_task(spec.task), "", lambda *_: None)
        clock = BudgetClock(spec.budget, last_spent(run_dir))
        usage = UsageLog(run_dir, context.journal, clock)
        ending = Ending("abandoned", "host", "the runner died; ended by `bakeoff stop`")
        agent = next((state.id for state in engine.containers(run_id) if state.role == "agent"), "")
        Collector(engine, run_dir, context.journal, agent).finish()
        problems = settle_abandoned(
            context, usage, lambda: closed_gateway(engine, run_id, lambda: context.image("gateway"))
        )
        result = _write_result(context, clock, ending, problems)
        remove_run(engine, run_id)
        _journal_finish(context, ending)
    return result


# --- the steps ------------------------------------------------------------------------------------


def _check(spec: RunSpec, engine: Engine, run_dir: RunDir) -> None:
    """Refuse a run that could not work on this machine, before anything is made for it."""
    checks.check_new(run_dir)
    checks.check_disk(run_dir.path.parent)
    checks.check_gpu(spec, engine)
    checks.check_unused(spec.run_id, engine)
    reach.check_not_itself(spec, engine)


def _prepare(spec: RunSpec, engine: Engine, task: Task, show: Show) -> str:
    """Build the images, see that the provider can be reached, and prepare the task's data.

    Returns:
        The volume of the data.
    """
    files = task_data.input_files(spec.data, task, partial(show, "prepare"))
    images.ensure(engine, image_names(spec))
    if spec.kind == "agent" and not spec.rehearsed:
        reach.check(engine, image_tag("gateway"), spec, provider_url(spec))
    return task_data.ensure(engine, image_tag("data"), task, files, partial(show, "prepare"))


def _calibrate(spec: RunSpec, engine: Engine, task: Task, volume: str, show: Show) -> Calibration:
    """What the pristine train.py takes on this machine, measured now unless it is known."""
    image = engine.image_digest(image_tag("trainer"))
    place = Place(engine, spec, task, image, volume, pristine_text(task))
    with interrupted_by_signals():
        return calibration.ensure(place, show)


def _make(run_dir: RunDir) -> None:
    """Make the run's directory.

    Raises:
        UserError: another command has just made it.
        HostError: it cannot be made.
    """
    try:
        run_dir.path.mkdir(parents=True)
    except FileExistsError:
        checks.check_new(run_dir)
    except OSError as error:
        raise HostError(
            f"making {run_dir.path}: {error.strerror}", hint="mend the folder or use --runs"
        ) from error


def _perform(context: RunContext, before: Spent) -> RunResult:
    """Open the sandbox, run the loop, collect, settle with the gateway, and write the result."""
    clock = BudgetClock(context.spec.budget, before)
    usage = UsageLog(context.run_dir, context.journal, clock)
    context.journal.write("run.resumed" if context.resumed else "run.started", **_facts(context))
    sandbox = Sandbox(
        context.engine, context.spec.run_id, container_plans(context), context.inbox, context.show
    )
    sandbox.keep_volumes = context.resumed
    with stop_signals(context.run_dir) as asked_to_stop, sandbox:
        context.journal.write(OPENED)
        sandbox.keep_volumes = True  # until everything is collected
        agent = sandbox.contestant.container if context.spec.kind == "agent" else ""
        collector = Collector(context.engine, context.run_dir, context.journal, agent)
        loop = build_loop(context, sandbox, clock, usage, collector, asked_to_stop)
        ending = loop.run()
        sandbox.end()
        loop.drain()
        collector.finish()
        gateway = sandbox.peer("gateway")
        problems = settle(context, usage, gateway.container if gateway else "")
        result = _write_result(context, clock, ending, problems)
        sandbox.keep_volumes = False
    _journal_finish(context, ending)
    return result


def _write_result(
    context: RunContext, clock: BudgetClock, ending: Ending, problems: list[str]
) -> RunResult:
    result = run_result(context, clock, ending, problems)
    write_whole(context.run_dir.result, to_json(result))
    return result


def _journal_finish(context: RunContext, ending: Ending) -> None:
    context.journal.write("run.finished", ended_by=ending.ended_by, cause=ending.cause)


def _say_how_to_continue(error: BakeoffError, run_id: str) -> None:
    """Add to the hint of an error what can be done with the run that it interrupted."""
    ways = f"`make resume RUN={run_id}` continues the run, `make stop RUN={run_id}` ends it"
    error.hint = f"{error.hint}; {ways}" if error.hint else ways


def _was_opened(journal: Journal) -> bool:
    """Whether the contestant has its repository and may have worked."""
    return any(event.event == OPENED for event in journal.events())


def _facts(context: RunContext) -> dict[str, Any]:
    spec = context.spec
    budget = {name: value for name, value in spec.budget.as_dict().items() if value is not None}
    return {
        "run_id": spec.run_id,
        "task": spec.task,
        "trial_seconds": spec.trial_seconds,
        "rehearsed": spec.rehearsed,
        "budget": budget,
    }
