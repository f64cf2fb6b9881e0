"""The steps of a run, in order. No step reads what a later step writes.

    checks → images and data → the run's directory → sandbox and the proof of its lock → the loop →
    collect and settle → result.json

`start` takes all of them. `resume` takes those from the sandbox on, with what the journal, the
ledger and the usage say was spent; so does a run whose engine went away and came back, in the same
process. `close_abandoned` takes the last two for a run that no runner has any more.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from runner import calibration, task_data
from runner.budget_clock import BudgetClock
from runner.build import images
from runner.build.images import image_tag
from runner.calibration import Calibration, Place
from runner.collect.abandoned import collect_abandoned
from runner.collect.gateway_state import closed_gateway
from runner.engine.client import Engine
from runner.errors import BakeoffError, HostError, UserError
from runner.preflight import checks, database, reach
from runner.proof.program import begin_listing
from runner.records.files import write_whole
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import RunResult, Spent
from runner.run.container_plan import agent_plan, provider_url
from runner.run.context import image_names, open_context, versions
from runner.run.lives import journal_finish, see_through, was_opened, write_result
from runner.run.lock_proof import Prove, prove_lock
from runner.run.loop_parts import Ending
from runner.run.proposal_costs import ProposalCosts
from runner.run.settlement import UsageLog, settle_abandoned
from runner.run.spent import last_spent
from runner.run_lock import held, interrupted_by_signals
from runner.sandbox.peer import Show
from runner.sandbox.removal import remove_run
from runner.spec import RunSpec, read_spec
from runner.tasks import Task, load_task, pristine_text
from runner.trials.orders.pending import end_pending


def start(
    spec: RunSpec,
    engine: Engine,
    runs: Path,
    show: Show,
    prove: Prove = prove_lock,
) -> RunResult:
    """Make a new run and see it through.

    Args:
        spec: the run.
        engine: where its containers run.
        runs: the folder of all runs.
        show: is called with (role, line) of what the containers print for people.
        prove: how its lock is proved, as in `see_through`.

    Raises:
        BakeoffError: the run could not start, or the engine or the disk failed under it. What was
            recorded until then is kept, and the run can be resumed.
    """
    begin_listing(spec.runtime)
    run_dir = RunDir(runs / spec.run_id)
    task = load_task(spec.task)
    _check(spec, engine, run_dir, show)
    volume = _prepare(spec, engine, task, show)
    known = versions(spec, engine, volume)
    known["calibration"] = _calibrate(spec, engine, task, volume, show).as_version()
    spec = spec.model_copy(update={"versions": known})
    _make(run_dir)
    try:
        write_whole(run_dir.spec, spec.model_dump_json(indent=2) + "\n")
        with held(run_dir):
            context = open_context(spec, engine, run_dir, task, volume, show)
            return see_through(context, Spent(), prove)
    except BakeoffError as error:
        if was_opened(Journal(run_dir)):
            _say_how_to_continue(error, run_dir)
        else:  # nothing happened yet, so the same command may be given again
            shutil.rmtree(run_dir.path, ignore_errors=True)
        raise


def resume(
    spec: RunSpec, engine: Engine, runs: Path, show: Show, prove: Prove = prove_lock
) -> RunResult:
    """Go on with a run whose runner died or was interrupted: same budgets, images, code and data.

    The arguments are those of `start`.

    Raises:
        UserError: the run is finished, another runner has it, or its data is gone.
        ImageError: an image that it began with is gone.
    """
    run_dir = RunDir(runs / spec.run_id)
    if run_dir.result.exists():
        raise UserError(
            f"resuming {spec.run_id}: it is done", hint=f"its result is in {run_dir.result}"
        )
    checks.check_runtime(spec, engine)
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
        opened = was_opened(Journal(run_dir))
        context = open_context(spec, engine, run_dir, task, volume, show, resumed=opened)
        try:
            return see_through(context, last_spent(run_dir), prove)
        except BakeoffError as error:
            _say_how_to_continue(error, run_dir)
            raise


def close_abandoned(engine: Engine, runs: Path, run_id: str) -> RunResult:
    """End a run that no runner has: collect what there is, remove its containers and volumes.

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
        task, show = load_task(spec.task), lambda *_: None
        context = open_context(spec, engine, run_dir, task, "", show, resumed=True)
        # No time passes for a run that no runner has.
        clock = BudgetClock(spec.budget, last_spent(run_dir), now=lambda: 0.0)
        usage = UsageLog(run_dir, context.journal, clock)
        ending = _end_of_abandoned(context.journal)
        problems = settle_abandoned(
            context, usage, lambda: closed_gateway(engine, run_id, lambda: context.image("gateway"))
        )
        killed = end_pending(
            context.ledger, context.journal, ending.detail, rehearsed=spec.rehearsed,
            priced=ProposalCosts(usage, context.ledger).priced,
        )  # fmt: skip
        for record in killed:
            clock.count_trial(record.train_seconds)
        if spec.kind == "agent":
            problems += collect_abandoned(
                engine, run_dir, context.journal, lambda: agent_plan(context, context.agent())
            )
        result = write_result(context, clock, ending, problems)
        remove_run(engine, run_id)
        journal_finish(context, ending)
    return result


# --- the steps ------------------------------------------------------------------------------------


def _check(spec: RunSpec, engine: Engine, run_dir: RunDir, show: Show) -> None:
    """Refuse a run that could not work on this machine, before anything is made for it."""
    checks.check_new(run_dir)
    checks.check_disk(run_dir.path.parent)
    divided = checks.check_devices(spec, engine)
    if divided:
        show("cores", divided)
    runtime = checks.check_runtime(spec, engine)
    if runtime:
        show("runtime", runtime)
    checks.check_unused(spec.run_id, engine)
    reach.check_not_itself(spec, engine)
    database.check_address(spec, engine)


def _prepare(spec: RunSpec, engine: Engine, task: Task, show: Show) -> str:
    """Build the images, see that provider and database can be reached, and prepare the data.

    Returns:
        The volume of the data.
    """
    files = task_data.input_files(spec.data, task, partial(show, "prepare"))
    images.ensure(engine, image_names(spec))
    if spec.uses_model and not spec.rehearsed:
        reach.check(engine, image_tag("gateway"), spec, provider_url(spec))
    if spec.storage is not None:
        database.check(engine, image_tag("relay"), spec)
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


def _end_of_abandoned(journal: Journal) -> Ending:
    """How a run ends that no runner has: it was suspended, or its runner died."""
    last = next(
        (e for e in reversed(journal.events()) if e.event in ("run.suspended", "run.resumed")), None
    )
    if last is None or last.event == "run.resumed":
        return Ending("abandoned", "host", "the runner died; ended by `bakeoff stop`")
    detail = f"suspended ({last.fields.get('detail', '')}), then ended by `bakeoff stop`"
    return Ending("stopped", "user", detail)


def _say_how_to_continue(error: BakeoffError, run_dir: RunDir) -> None:
    """Add to the hint of an error what can be done with the run that it interrupted."""
    run_id = run_dir.path.name
    ways = f"`make resume RUN={run_id}` continues the run, `make stop RUN={run_id}` ends it"
    if run_dir.result.exists():
        ways = f"`make verify RUN={run_id}` verifies it"
    error.hint = f"{error.hint}; {ways}" if error.hint else ways
