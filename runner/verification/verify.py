"""Runs the best texts of a finished run again, as a referee: `bakeoff verify`.

Each text runs alone in clean trials: once with the task's own training seed, then with seeds that
no contestant knew. The referee's judge scores validation and test rows, and has many hidden ones.
Between the two, the model of the first trial is tried without its memory.

Everything is kept in `verification.json` as it is found, so a verification that was stopped goes
on where it was. The run's result is written before any of this begins, and is only added to; what
it says of other texts that were verified stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.engine.client import Engine
from runner.errors import UserError
from runner.records.files import read_lines, to_json, write_whole
from runner.records.layout import RunDir, volume_name
from runner.records.schema import RunResult, TrialRecord
from runner.records.verification import Memory, Verification, read_verification
from runner.referee.noise import Conditions, NoiseFloor, read_noise
from runner.referee.seeds import held_out_seeds
from runner.run_lock import held, stop_signals
from runner.sandbox.peer import Show
from runner.sandbox.removal import remove_run
from runner.spec import RunSpec, Texts, read_spec
from runner.trials.terms import Terms
from runner.verification import summing, texts, without_memory
from runner.verification.bench import Bench, opened
from runner.verification.finished import Finished
from runner.verification.result import with_verified
from runner.verification.without_memory import CONTAINERS
from runner.wire.judge_terms import HANDED_OUT

SPLITS = ("val", "test")
HIDDEN_ROWS = 2000  # as many as the pool has, if it has fewer
FOLDER = "verification"  # of a run's directory: the logs of the referee's trials

FINAL_STATUSES = ("ok", "rejected")  # of a referee's trial; after any other it is run again
DIGEST = re.compile(r"[0-9a-f]{64}")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is to be verified.

    Attributes:
        which: best or kept.
        seeds: how many held-out training seeds each text is trained with.
        hidden_rows: how many hidden rows each trial is sent, on both splits together.
    """

    which: Texts
    seeds: int
    hidden_rows: int = HIDDEN_ROWS


def verify_run(
    engine: Engine, runs: Path, results: Path, run_id: str, asked: Asked, show: Show, report: Report
) -> RunResult:
    """Verify a finished run, and write what was found into its result.

    Args:
        engine: where the trials run.
        runs: the folder of all runs.
        results: the folder with the noise of tasks.
        run_id: the run.
        asked: which texts, and how often.
        show: is given (role, line) of what containers print.
        report: is given a sentence at each step, for people.

    Returns:
        The result as it is now; `verification.json` has all that was found.

    Raises:
        UserError: the run is not done or not there, its data is gone, or somebody asked to stop.
        BakeoffError: the engine or the disk failed. What was found until then is kept.
    """
    spec = read_spec(runs, run_id)
    run_dir = RunDir(runs / run_id)
    finished = _finished(run_dir)
    with held(run_dir):
        result = finished.result()
        chosen = texts.chosen(read_lines(run_dir.trials, TrialRecord), spec.metric, asked.which)
        if not chosen:
            return result
        run_dir.stop.unlink(missing_ok=True)
        with stop_signals(run_dir) as asked_to_stop:
            remove_run(engine, run_id)  # left by a verification that was killed
            context = finished.context(spec, engine, show)
            with opened(context, asked_to_stop, referee=True) as bench:
                work = _Work(bench, run_dir, asked, _noise(spec, results), report)
                for trial in chosen:
                    work.verify(trial)
        now = {trial.trial for trial in chosen}
        result = with_verified(result, work.kept.verified, now, spec.metric)
        write_whole(run_dir.result, to_json(result))
        return result


def add_problem(run_dir: RunDir, problem: str) -> RunResult:
    """Write into the run's result why it was not verified; the result as it is now.

    Raises:
        UserError: another runner has the run, or it has no result.
        HostError: the result cannot be written.
    """
    with held(run_dir):
        result = _finished(run_dir).result()
        result = result.model_copy(update={"problems": [*result.problems, problem]})
        write_whole(run_dir.result, to_json(result))
        return result


def _finished(run_dir: RunDir) -> Finished:
    return Finished(run_dir, "verifying", FOLDER)


def _noise(spec: RunSpec, results: Path) -> NoiseFloor | None:
    conditions = Conditions.of_run(
        spec.task, spec.versions, spec.trial_seconds, spec.gpu, spec.cpu_sets
    )
    return read_noise(results).floor(conditions) if conditions else None


def _worth_keeping(kept: Verification) -> Verification:
    """What need not be run again: a trial that the load or a fault of the machine ended may be."""
    trials = tuple(trial for trial in kept.trials if trial.status in FINAL_STATUSES)
    return kept.model_copy(update={"trials": trials})


class _Work:
    """The verification of one run: it keeps what was found after every step."""

    def __init__(
        self, bench: Bench, run_dir: RunDir, asked: Asked, noise: NoiseFloor | None, report: Report
    ) -> None:
        self._bench, self._run_dir, self._noise, self._report = bench, run_dir, noise, report
        self._hidden_rows = asked.hidden_rows
        self.kept = _worth_keeping(read_verification(run_dir))
        self._own_seed = bench.context.task.seed
        self._seeds = held_out_seeds(self.kept.seeds, asked.seeds, self._own_seed)
        if len(self._seeds) > len(self.kept.seeds):
            self.kept = self.kept.model_copy(update={"seeds": tuple(self._seeds)})
            write_whole(run_dir.verification, to_json(self.kept))

    def verify(self, trial: TrialRecord) -> None:
        """Verify the text of one of the contestant's trials; what is known already is not repeated.

        Raises:
            UserError: somebody asked to stop.
            BakeoffError: the engine or the disk failed.
        """
        before = self.kept.of_trial(trial.trial)
        memory = before.memory if before else Memory()
        if self._known(trial, self._own_seed) is None or memory.state == "not done":
            memory = self._run_own_seed(trial)
        for number, seed in enumerate(self._seeds, start=1):
            if self._known(trial, seed) is None:
                self._report(
                    f"trial {trial.trial}: held-out training seed {number} of {len(self._seeds)}"
                )
                self._keep(trial, self._run(trial, seed, ""), memory)
        self._keep(trial, None, memory)

    def _run_own_seed(self, trial: TrialRecord) -> Memory:
        """Train with the task's own seed, and try the model without its memory."""
        engine, run_id = self._bench.context.engine, self._run_dir.path.name
        volume = volume_name(run_id, "handout")
        engine.remove_volume(volume)
        engine.create_volume(volume, run_id=run_id)
        try:
            self._report(f"trial {trial.trial}: the task's own training seed")
            record = self._run(trial, self._own_seed, volume)
            self._keep(trial, record, Memory())
            memory = self._without_memory(trial, record, volume)
        finally:
            engine.remove_volume(volume)
        self._keep(trial, None, memory)
        return memory

    def _without_memory(self, trial: TrialRecord, record: TrialRecord, volume: str) -> Memory:
        digest = handed_out_digest(record)
        if record.status != "ok":
            return Memory(state="not handed out", why=f"its trial ended as {record.status}")
        if digest is None:
            return Memory(state="not handed out", why="the trial could not save it")
        self._report(f"trial {trial.trial}: its model in {CONTAINERS} fresh containers")
        text = self._text(trial)
        return self._bench.watched(
            lambda abandon: without_memory.compare(self._bench, text, digest, volume, abandon)
        )

    def _run(self, trial: TrialRecord, seed: int, hand_out: str) -> TrialRecord:
        number = 1 + max((record.trial for record in self.kept.trials), default=0)
        other = None if seed == self._own_seed else seed
        terms = Terms("referee", SPLITS, self._hidden_rows, seed=other, hand_out=hand_out)
        try:
            order = texts.order(self._run_dir, trial, number, seed, terms)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"verifying trial {trial.trial}: its train.py cannot be read: {error}",
                hint="the texts of a run lie in trials/ of its directory",
            ) from error
        return self._bench.run(order)

    def _known(self, trial: TrialRecord, seed: int) -> TrialRecord | None:
        wanted = texts.request(trial.trial, seed)
        return next((record for record in self.kept.trials if record.request == wanted), None)

    def _keep(self, trial: TrialRecord, record: TrialRecord | None, memory: Memory) -> None:
        """Write down what is known about a text now."""
        records = list(self.kept.trials)
        if record is not None:
            records = [one for one in records if one.request != record.request] + [record]
        self.kept = self.kept.model_copy(update={"trials": tuple(records)})
        held_out = [
            (seed, known) for seed in self._seeds if (known := self._known(trial, seed)) is not None
        ]
        own = self._known(trial, self._own_seed)
        metric = self._bench.context.spec.metric
        found = summing.summed(trial, own, held_out, memory, self._noise, metric)
        done = own is not None and len(held_out) == len(self._seeds)
        found = found.model_copy(update={"complete": done and memory.state != "not done"})
        others = [one for one in self.kept.verified if one.trial != trial.trial]
        self.kept = self.kept.model_copy(update={"verified": (*others, found)})
        write_whole(self._run_dir.verification, to_json(self.kept))

    def _text(self, trial: TrialRecord) -> str:
        path = self._run_dir.trial(trial.trial) / "train.py"
        return path.read_bytes().decode("utf-8", "replace")


def handed_out_digest(record: TrialRecord) -> str | None:
    """The SHA-256 of the model's file, as the trial told the judge before it was scored."""
    told = record.audit.get(HANDED_OUT)
    digest = told.get("sha256") if isinstance(told, dict) else None
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else None
