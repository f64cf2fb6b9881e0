"""Trains the best text of a finished run for longer, to see whether its lead lasts.

`bakeoff retest`. A change may be better in a trial of five minutes only because five minutes are
short. So the text is trained for 2, 4 and 8 times as long, with training seeds that are the same
for every run of a task, and scored on the very rows that its trial was scored on. Source: the
longer-horizon retest of the study "AutoResearch vs classical tuning" (docs/analysis.md).

Everything is kept in `retest.json` as it is found, so a retest that was stopped goes on where it
was. Training seeds and rows are no secret here; `bakeoff verify` tells what was chosen by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.engine.client import Engine
from runner.errors import UserError
from runner.records.files import read_lines, to_json, write_whole
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.records.verification import Retest, Retested, read_retest
from runner.referee.seeds import derived_seeds
from runner.run_lock import held, stop_signals
from runner.sandbox.peer import Show
from runner.sandbox.removal import remove_run
from runner.spec import RunSpec, read_spec
from runner.tasks import load_task
from runner.trials.terms import Terms
from runner.verification import texts
from runner.verification.bench import AskedToStop, Bench, opened
from runner.verification.finished import Finished

FOLDER = "retest"  # of a run's directory: the logs of these trials
TIMES = (2.0, 4.0, 8.0)
FINAL_STATUSES = ("ok", "rejected", "crash", "oom", "timeout")  # what is not tried once more

Report = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is to be trained.

    Attributes:
        times: how many times the run's own training time; above 0.
        seeds: how many training seeds, the task's own included.
    """

    times: Sequence[float] = TIMES
    seeds: int = 1


def retest_run(
    engine: Engine, runs: Path, run_id: str, asked: Asked, show: Show, report: Report
) -> Retest:
    """Train the best text of a finished run for longer, and keep what comes of it.

    Args:
        engine: where the trials run.
        runs: the folder of all runs.
        run_id: the run.
        asked: for how long, and how often.
        show: is given (role, line) of what containers print.
        report: is given a sentence for each training, for people.

    Returns:
        All longer trainings of the run.

    Raises:
        UserError: the run is not done or has no text with a value, its data is gone, or somebody
            asked to stop.
        BakeoffError: the engine or the disk failed. What was found until then is kept.
    """
    spec = read_spec(runs, run_id)
    finished = Finished(RunDir(runs / run_id), "training the best text of", FOLDER)
    with held(finished.run_dir):
        finished.result()
        ledger = read_lines(finished.run_dir.trials, TrialRecord)
        best = next(iter(texts.chosen(ledger, spec.metric, "best")), None)
        if best is None:
            raise UserError(
                f"training the best text of {run_id} for longer: no trial of it has a value",
                hint="`make collect` shows what became of its trials",
            )
        finished.run_dir.stop.unlink(missing_ok=True)
        with stop_signals(finished.run_dir) as asked_to_stop:
            work = _Work(finished, spec, best, engine, show, report, asked_to_stop)
            for times in asked.times:
                work.train(times, asked.seeds)
            return work.kept


@dataclass
class _Work:
    """The retest of one run: it keeps what was found after every training."""

    finished: Finished
    spec: RunSpec
    best: TrialRecord
    engine: Engine
    show: Show
    report: Report
    asked_to_stop: AskedToStop

    def __post_init__(self) -> None:
        self.kept = read_retest(self.finished.run_dir)

    def train(self, times: float, number: int) -> None:
        """Train the text with each seed for so many times its own training time."""
        task = load_task(self.spec.task)
        seeds = [task.seed, *derived_seeds(f"retest of {task.name}", number - 1, task.seed)]
        missing = [seed for seed in seeds if not self._known(times, seed)]
        if not missing:
            return
        remove_run(self.engine, self.spec.run_id)  # left by a retest that was killed
        seconds = times * self.spec.trial_seconds
        spec = self.spec.model_copy(update={"trial_seconds": seconds})
        context = self.finished.context(spec, self.engine, self.show)
        with opened(context, self.asked_to_stop, referee=False) as bench:
            for seed in missing:
                self.report(f"trial {self.best.trial}: {seconds:g} s, training seed {seed}")
                other = None if seed == task.seed else seed
                self._keep(Retested(
                    sha256=self.best.sha256, times=times, seed=seed,
                    record=self._run(bench, seed, Terms(seed=other)),
                ))  # fmt: skip

    def _known(self, times: float, seed: int) -> bool:
        known = self.kept.find(self.best.sha256, times, seed)
        return known is not None and known.record.status in FINAL_STATUSES

    def _run(self, bench: Bench, seed: int, terms: Terms) -> TrialRecord:
        number = 1 + max((one.record.trial for one in self.kept.trainings), default=0)
        try:
            order = texts.order(self.finished.run_dir, self.best, number, seed, terms)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"training trial {self.best.trial} for longer: its train.py cannot be read: "
                f"{error}",
                hint="the texts of a run lie in trials/ of its directory",
            ) from error
        return bench.run(order)

    def _keep(self, found: Retested) -> None:
        same = self.kept.find(found.sha256, found.times, found.seed)
        others = tuple(one for one in self.kept.trainings if one is not same)
        self.kept = self.kept.model_copy(update={"trainings": (*others, found)})
        write_whole(self.finished.run_dir.retest, to_json(self.kept))
        value = found.record.value
        metric = self.spec.metric
        shown = found.record.status if value is None else f"{metric.name} {metric.shown(value)}"
        self.report(f"  {shown}")
