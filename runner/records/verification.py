"""`verification.json` and `retest.json`: what the referee's own runs of a text came to."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.records.layout import RunDir
from runner.records.schema import Record, TrialRecord, Verdict

WithoutMemory = Literal["equal", "differs", "not handed out", "not done"]


class Memory(BaseModel):
    """Whether a model gave the same logits without the memory of what it was shown.

    Args:
        state: equal, differs, not handed out (then hidden rows alone verify it), or not done.
        why: why it could not be compared, for people.
        verdict: what was measured where the logits differ.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    state: WithoutMemory = "not done"
    why: str = ""
    verdict: Verdict | None = None


class Scores(BaseModel):
    """The scores of one referee trial, in the metric's unit; None where it has none.

    Args:
        seed: the training seed; None for the task's own.
        judged: on the very rows that a contestant's trial is scored on.
        val: on the task's `eval_tokens` of the validation split.
        test: the same on the test split, which no contestant's trial ever saw.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    seed: int | None = None
    judged: float | None = None
    val: float | None = None
    test: float | None = None


class Verified(BaseModel):
    """One text of a contestant as the referee found it. Values are in the metric's unit.

    Args:
        trial: the contestant's trial that had this text.
        sha256: of the text.
        measured: what that trial measured.
        own_seed: the referee's scores with the task's own training seed.
        held_out: its scores with training seeds that no contestant knew.
        mean: of `judged` over the held-out seeds.
        sd: its standard deviation; None of a single seed.
        test_mean: the mean of `test` over the held-out seeds.
        sigmas: `mean` against `measured`, in standard deviations of the task, positive if better.
        standing: accepted, sceptical or within noise; None where the task's noise is not known.
        memory: whether fresh containers with the trained model alone gave equal logits.
        verdicts: what probes and reading found.
        problems: what could not be done, a phrase each.
        complete: whether every referee trial that was asked for has ended.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    trial: int
    sha256: str
    measured: float
    own_seed: Scores | None = None
    held_out: tuple[Scores, ...] = ()
    mean: float | None = None
    sd: float | None = None
    test_mean: float | None = None
    sigmas: float | None = None
    standing: Literal["accepted", "sceptical", "within noise"] | None = None
    memory: Memory = Memory()
    verdicts: tuple[Verdict, ...] = ()
    problems: tuple[str, ...] = ()
    complete: bool = False

    @property
    def rejected(self) -> bool:
        """Whether a probe took the text its score."""
        return any(verdict.rejects for verdict in self.verdicts)


class Verification(Record):
    """`verification.json` of a run: its verified texts, and the referee's trials of them.

    A record of `trials` has the source `referee`, and its `request` is `referee-<trial>-<seed>`.
    `seeds` are the held-out training seeds, which were drawn when the verification began.
    """

    run_id: str
    seeds: tuple[int, ...] = ()
    verified: tuple[Verified, ...] = ()
    trials: tuple[TrialRecord, ...] = ()

    def of_trial(self, trial: int) -> Verified | None:
        """What was found about the text of a contestant's trial."""
        return next((one for one in self.verified if one.trial == trial), None)


def read_verification(run_dir: RunDir) -> Verification:
    """What was found so far; nothing where the file is missing or not readable."""
    try:
        return Verification.model_validate_json(run_dir.verification.read_bytes())
    except (OSError, ValidationError):
        return Verification(run_id=run_dir.path.name)


class Retested(BaseModel):
    """One training of a text.

    Args:
        sha256: of the text.
        times: how many times the run's own training time it was given.
        seed: its training seed, which is the same for all runs of a task.
        record: what the ledger would hold of it; its source is `referee`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    sha256: str
    times: float
    seed: int
    record: TrialRecord


class Retest(Record):
    """All longer trainings of a run's texts, those of an earlier best text included.

    Args:
        run_id: the run.
        trainings: in the order in which they ended.
    """

    run_id: str
    trainings: tuple[Retested, ...] = ()

    def find(self, sha256: str, times: float, seed: int) -> Retested | None:
        """The training of this text for so long with this seed, if it went through."""
        return next(
            (
                one
                for one in self.trainings
                if (one.sha256, one.times, one.seed) == (sha256, times, seed)
            ),
            None,
        )


def read_retest(run_dir: RunDir) -> Retest:
    """What was found so far; nothing where the file is missing or not readable."""
    try:
        return Retest.model_validate_json(run_dir.retest.read_bytes())
    except (OSError, ValidationError):
        return Retest(run_id=run_dir.path.name)
