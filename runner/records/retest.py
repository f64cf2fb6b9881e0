"""`retest.json`: what a run's best text came to when it was trained for longer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.records.layout import RunDir
from runner.records.schema import Record, TrialRecord


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
