"""Reads what a trial prints, line by line.

The text is written by a `train.py` that an agent edited: all of it is a claim, and nothing in it
can raise. Up to the first request for the final score, everything may be passed on. From then on
the trial knows held-out tokens, and what it prints could carry them out: passed on are only numbers
under known names, each once, and of an error its kind and its line. The value that it prints counts
for nothing: the judge has measured it.
"""

from __future__ import annotations

import builtins
import math
import re
from collections import deque
from dataclasses import dataclass, field

CLOSING_LINE = re.compile(r"([a-z][a-z0-9_]{0,63})\s*:\s*(\S{1,64})\s*$", re.IGNORECASE)
PAIR = re.compile(r"(?<![a-z0-9_])([a-z_][a-z0-9_]*+)=([-+.0-9einfa]+)", re.IGNORECASE)
ROUNDED = re.compile(r"rounded: ([A-Z][A-Z0-9_]{0,63}) \S{1,64} -> (\S{1,64})\s*$")
PLACE = re.compile(r'File "[^"]{0,200}\btrain\.py", line (\d{1,7})\b')
RAISED = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,63})(?::|$)")
# What colours, erases, names a window: control sequences, and strings up to their terminator.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
LONGEST_LINE = 2000  # characters of a line that can mean anything; ours have 40
CLOSING_KEYS = frozenset({
    "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent", "total_tokens_M",
    "num_steps", "num_params_M", "depth",
})  # fmt: skip
DIGITS = 6  # of a number that is passed on once the trial knows held-out tokens
MAX_ROUNDED = 32
TAIL_LINES = 12
OOM_WORDS = ("OutOfMemoryError", "CUDA out of memory", "MemoryError", "can't allocate memory")
ERRORS = frozenset(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
) | {"torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError", "torch.AcceleratorError"}
OWN_ERROR = "an error of its own"


def number(text: str) -> float | None:
    """The finite number that the text is, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass
class TrialOutput:
    """The known figures, the rounded knobs and the last lines of a trial's output.

    Attributes:
        tail: the last lines, for the host alone once `scoring` is set.
        failed: it printed FAIL, which is how train.py says that its loss is lost.
        scoring: the trial has asked for its final score.
    """

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    failed: bool = False
    scoring: bool = False
    _train_seconds: float | None = None
    _rounded: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)
    _after: dict[str, float] = field(default_factory=dict)
    _place: int | None = None
    _raised: str = ""

    def read_line(self, line: str) -> str | None:
        """Read one line, without its newline.

        Returns:
            What of it may be passed on; None for nothing.
        """
        passed_on = None if self.scoring else line
        if line.strip():
            self.tail.append(line[:500])
        if len(line) > LONGEST_LINE:
            return passed_on
        line = ESCAPES.sub("", line).strip()
        self._read_error(line)
        if line == "FAIL":
            self.failed = True
        elif line.startswith("rounded:"):
            self._read_rounded(line)
        elif line.startswith("progress:"):
            self._read_progress(line)
        else:
            return self._read_figure(line) if self.scoring else self._read_early(line, passed_on)
        return passed_on

    @property
    def summary(self) -> dict[str, float | str]:
        """The knobs that train.py had to round, and the figures under known names."""
        return {**self._rounded, **self._before, **self._after}

    @property
    def declared_seconds(self) -> float | None:
        """The training seconds that were printed last, or None."""
        return self._after.get(
            "training_seconds", self._before.get("training_seconds", self._train_seconds)
        )

    @property
    def out_of_memory(self) -> bool:
        """Whether an allocator's complaint was printed lately."""
        return any(word in line for line in self.tail for word in OOM_WORDS)

    def why_failed(self, lines: int) -> str:
        """The reason of a crash, as far as the contestant may know it; "" if none was printed.

        Args:
            lines: how many lines the text of train.py has.
        """
        if not self.scoring:
            return self.tail[-1].strip()[:200] if self.tail else ""
        if not self._raised:
            return ""
        place = self._place if self._place is not None and self._place <= lines else None
        return self._raised if place is None else f"{self._raised} (train.py, line {place})"

    def _read_early(self, line: str, passed_on: str | None) -> str | None:
        figure = _figure(line)
        if figure is not None:
            self._before[figure[0]] = figure[1]
        return passed_on

    def _read_figure(self, line: str) -> str | None:
        """A figure of the closing block, the first one of its name; as it may be passed on."""
        figure = _figure(line)
        if figure is None or figure[0] in self._after:
            return None
        name, value = figure[0], float(f"{figure[1]:.{DIGITS}g}")
        self._after[name] = value
        return f"{name}: {value:g}"

    def _read_rounded(self, line: str) -> None:
        found = None if self.scoring else ROUNDED.match(line)
        value = number(found[2]) if found else None
        if found and value is not None and len(self._rounded) < MAX_ROUNDED:
            self._rounded[found[1]] = value

    def _read_progress(self, line: str) -> None:
        for key, text in PAIR.findall(line):
            seconds = number(text)
            if key == "train_seconds" and seconds is not None and not self.scoring:
                self._train_seconds = seconds

    def _read_error(self, line: str) -> None:
        """Note the kind of an error and where it was raised, as a traceback shows them."""
        place, raised = PLACE.match(line), RAISED.match(line)
        if line.startswith("Traceback "):
            self._place, self._raised = None, OWN_ERROR
        elif place is not None:
            self._place = int(place[1])
        elif raised is not None and self._raised and raised[1] in ERRORS:
            self._raised = raised[1]


def _figure(line: str) -> tuple[str, float] | None:
    """A line with a number under a known name."""
    found = CLOSING_LINE.match(line)
    value = number(found[2]) if found and found[1] in CLOSING_KEYS else None
    return None if found is None or value is None else (found[1], value)
