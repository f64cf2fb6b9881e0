"""Results that were made elsewhere, as `bakeoff import` keeps them in a folder of their own.

`import.json` says where they come from and what was assumed; `trials.jsonl` has a line a trial.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from runner.metrics import Direction
from runner.records.schema import Record, TrialStatus

IMPORT_FILE, TRIALS_FILE = "import.json", "trials.jsonl"


class ForeignMetric(BaseModel):
    """What somebody else's trials measured.

    Args:
        name: as the source calls it, in any language.
        direction: which values are better.
        by: how the direction is known: asked; stated in the source; by its best so far, by its
            name, or by its rows, which are inferences; or assumed.
        column: of the source, which holds the values; empty if it has no such name.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    direction: Direction
    by: str
    column: str = ""


class LeftOut(BaseModel):
    """A row or a line of the source that is no trial here.

    Args:
        line: where it begins in its file, from 1; 0 where the source has no lines.
        raw: what stands there, shortened.
        reason: why it was left out.
        row: whether it is a row of results; a comment, prose and settings are none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    line: int
    raw: str
    reason: str
    row: bool = True


class ImportedRun(BaseModel):
    """One contestant with one seed.

    Args:
        run: its id within the import.
        contestant: whose run it is.
        seed: which replicate; 0 if the source does not say.
        task: what was worked on; empty if the source does not say.
        metric: what its trials measured.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    run: str
    contestant: str
    seed: int = 0
    task: str = ""
    metric: ForeignMetric


class Imported(Record):
    """`import.json`. Each row of the source is a trial or in `left_out`, and each other line too.

    Args:
        name: of the import, which is that of its folder.
        source: the name of the file that was read.
        sha256: of its content, 64 hex digits.
        format: what the file was read as.
        rows: how many rows of results the source has: the trials, and those that were left out.
        runs: who made them.
        assumed: what the source does not say and was taken to be so, a sentence each.
        left_out: the rows and the lines that are no trials.
    """

    name: str
    source: str
    sha256: str
    format: str
    rows: int
    runs: list[ImportedRun]
    assumed: list[str] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)


class ImportedTrial(Record):
    """A line of an import's `trials.jsonl`. Times are in seconds, money is in US dollars.

    Args:
        run: the run that it belongs to.
        trial: its number within the run, from 1, in the order of the source.
        line: where its row begins in the source, from 1; 0 where there are no lines.
        status: how it ended, by the words of the source.
        said: the status as the source wrote it.
        value: what it measured, in the source's own scale; None unless it ended well and the source
            has a figure.
        kept: whether its change was kept, if the source says.
        seconds: how long it trained, if the source says.
        at: when it ended, ISO 8601, if the source says.
        usd: what it cost, if the source says.
        knobs: its settings by name, as far as the source has them.
        change: what was tried, in the words of the source.
        category: the kind of change, in the words of the source.
        commit: of the source, if it names one.
        other: the cells that have no place above, by column.
    """

    run: str
    trial: int
    line: int = 0
    status: TrialStatus
    said: str = ""
    value: float | None = None
    kept: bool | None = None
    seconds: float | None = None
    at: str = ""
    usd: float | None = None
    knobs: dict[str, Any] = Field(default_factory=dict)
    change: str = ""
    category: str = ""
    commit: str = ""
    other: dict[str, str] = Field(default_factory=dict)
