"""What the scripted model remembers of its research, and what it concludes from a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from .plan import Experiment


@dataclass
class Notebook:
    """What the agent remembers.

    `best` is the val_bpb (bits per byte) of `kept_commit`; `trials` the number of the last trial;
    `over` says that the run ended while a trial ran.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    best: float | None = None
    kept_commit: str = "HEAD"
    trials: int = 0
    over: bool = False

    def judge(
        self, experiment: Experiment, change: str, commit: str, val_bpb: str
    ) -> dict[str, str]:
        """Decide by the measured val_bpb: keep, revert or crash (empty). Returns the row for it."""
        value = float(val_bpb) if val_bpb else None
        delta = "" if value is None or self.best is None else f"{value - self.best:+.6f}"
        better = value is not None and (self.best is None or value < self.best)
        if better:
            self.best, self.kept_commit = value, commit
        row = {
            "experiment": str(len(self.rows) + 1),
            "commit": commit,
            "hypothesis": experiment.hypothesis,
            "category": experiment.category,
            "change": change,
            "val_bpb": val_bpb,
            "delta": delta,
            "status": "keep" if better else "crash" if value is None else "revert",
        }
        self.rows.append(row)
        return row

    def improved(self) -> bool:
        """Whether something better than the baseline was kept."""
        return sum(row["status"] == "keep" for row in self.rows) > 1

    def status(self) -> str:
        """The text of STATUS.md."""
        tried = [
            f"- {row['experiment']}: {row['change']}: {row['val_bpb'] or 'none'} ({row['status']})"
            for row in self.rows
        ]
        best = f"val_bpb {self.best} at commit {self.kept_commit}" if self.best else "none yet"
        lines = ["# Status", "", "## Best", best, "", "## Tried", *tried, ""]
        return "\n".join([*lines, "## Next", "More changes of one knob around the best commit."])
