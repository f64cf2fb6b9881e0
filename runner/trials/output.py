"""What a trial printed, read as it comes.

The text is written by a `train.py` that an agent edited: every value is a claim until the exit of
the trial is known, and nothing in it can raise.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field

SUMMARY_LINE = re.compile(r"([a-z][a-z0-9_]{0,63})\s*:\s*(\S{1,64})\s*$", re.IGNORECASE)
PAIR = re.compile(r"([a-z_]+)=([-+.0-9einfa]+)", re.IGNORECASE)
ROUNDED = re.compile(r"rounded: ([A-Z][A-Z0-9_]{0,63}) \S{1,64} -> (\S{1,64})\s*$")
MAX_SUMMARY_KEYS = 32
MAX_ESTIMATES = 64
TAIL_LINES = 12


def number(text: str) -> float | None:
    """The finite number that the text is, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass
class TrialOutput:
    """The closing block, the estimates on the way, and the last lines of a trial's output.

    The summary begins with the knobs that train.py had to round, at the values that it ran.
    """

    summary: dict[str, float | str] = field(default_factory=dict)
    estimates: list[dict[str, float]] = field(default_factory=list)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    train_seconds: float = 0.0
    failed: bool = False
    _closing: bool = False
    _rounded: dict[str, float | str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Read one line, without its newline."""
        if line.strip():
            self.tail.append(line[:500])
        if line.strip() == "---":
            self._closing, self.summary = True, dict(self._rounded)
        elif self._closing:
            self._take_summary(line)
        elif line.startswith("val_estimate:"):
            self._take_estimate(line)
        elif line.startswith("rounded:"):
            self._take_rounded(line)
        elif line.startswith("progress:"):
            self._take_progress(line)
        if line.strip() == "FAIL":
            self.failed = True

    @property
    def val_bpb(self) -> float | None:
        """The closing block's val_bpb, if it is a number that a bits-per-byte can be."""
        value = self.summary.get("val_bpb")
        return value if isinstance(value, float) and 0.0 < value < 100.0 else None

    def seconds_trained(self, fallback: float) -> float:
        """Training seconds as printed, never more than the wall time that the runner saw."""
        said = self.summary.get("training_seconds", self.train_seconds)
        seconds = said if isinstance(said, float) and said > 0 else fallback
        return min(seconds, fallback)

    def _take_summary(self, line: str) -> None:
        found = SUMMARY_LINE.match(line.strip())
        if found and len(self.summary) < MAX_SUMMARY_KEYS:
            value = number(found[2])
            self.summary[found[1]] = found[2] if value is None else value

    def _take_rounded(self, line: str) -> None:
        found = ROUNDED.match(line)
        value = number(found[2]) if found else None
        if found and value is not None and len(self._rounded) < MAX_SUMMARY_KEYS // 2:
            self._rounded[found[1]] = value

    def _take_estimate(self, line: str) -> None:
        pairs = {key: number(value) for key, value in PAIR.findall(line[:500])}
        whole = {key: value for key, value in pairs.items() if value is not None}
        if "val_bpb" in whole and len(self.estimates) < MAX_ESTIMATES:
            self.estimates.append(whole)

    def _take_progress(self, line: str) -> None:
        for key, value in PAIR.findall(line[:500]):
            seconds = number(value)
            if key == "train_seconds" and seconds is not None:
                self.train_seconds = seconds
