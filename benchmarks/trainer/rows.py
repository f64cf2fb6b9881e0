"""What a benchmark of trainers runs and what it finds: texts under the harness, rows, tables.

Needs the standard library alone, so that a GPU machine without an engine can use it.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import constants

ROOT = Path(__file__).parents[2]
HARNESS = Path(__file__).with_name("harness.py")
TRAIN_PY = ROOT / "trainer" / "train.py"
FIVE_MINUTES = 300


@dataclass(frozen=True)
class Row:
    """One trial; times in seconds.

    Attributes:
        peak_memory_mb: the most memory of a GPU in use at once, in MiB; None on a CPU.
        mfu_percent: as the trainer itself says; None if it does not know.
        estimates: what the judge's estimates on the way took.
    """

    trainer: str
    repeat: int
    tokens_per_second: float
    cpu_seconds_per_million_tokens: float
    val_bpb: float
    steps: int
    training: float
    startup: float
    loading: float
    evaluation: float
    whole: float
    peak_memory_mb: float | None = None
    mfu_percent: float | None = None
    estimates: float = 0.0

    @property
    def lost(self) -> float:
        """Seconds that were neither training nor evaluation."""
        return self.whole - self.training - self.evaluation - self.estimates

    @property
    def compiling(self) -> float:
        """Seconds after the start that were neither training nor scoring: compiling, on a GPU."""
        return self.lost - self.startup


def ours(knobs: Mapping[str, Any]) -> str:
    """Our train.py with those knobs, under the harness."""
    return harnessed(constants.rewrite(TRAIN_PY.read_text(encoding="utf-8"), knobs))


def peer(path: Path, knobs: Mapping[str, Any]) -> str:
    """The peer's text with the knobs that ours has, as far as it has them too."""
    source = path.read_text(encoding="utf-8")
    wanted = {**constants.read(TRAIN_PY.read_text(encoding="utf-8")), **knobs}
    theirs = constants.read(source)
    shared = {name: value for name, value in wanted.items() if name in theirs}
    return harnessed(constants.rewrite(source, shared), peer=True)


def harnessed(text: str, *, peer: bool = False, seed: int | None = None) -> str:
    """The text of a train.py that runs another under the harness.

    Args:
        text: the other.
        peer: it is written for CUDA and for another prepare.py.
        seed: training seed in place of the task's own.
    """
    given = {"text": text, "peer": peer, "seed": seed}
    return HARNESS.read_text(encoding="utf-8").replace("Any] = {}", f"Any] = {given!r}")


def read_row(name: str, repeat: int, output: str) -> Row:
    """The row of a trial from what it printed: its closing block, then the harness's last line."""
    block, _, last = output.rpartition("\n---\n")[2].rpartition("bench:")
    said = dict(re.findall(r"^(\w+): +([\d.]+)$", block, re.M))
    spent = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", last)}
    training, steps = float(said["training_seconds"]), int(said["num_steps"])
    timed = spent["tokens"] * (steps - spent["untimed"]) / steps
    return Row(
        name, repeat, timed / training, 1e6 * spent["cpu"] / spent["tokens"],
        float(said["val_bpb"]),
        steps, training,
        spent["startup"], spent["loading"], spent["evaluation"], spent["whole"],
        _number(said, "peak_vram_mb"), _number(said, "mfu_percent"), spent["estimates"],
    )  # fmt: skip


def _number(said: Mapping[str, str], key: str) -> float | None:
    """A figure that some devices do not have; a peer says 0 then."""
    return float(said.get(key, 0)) or None


def table(rows: list[Row]) -> str:
    """The medians of each trainer's trials, as Markdown."""
    head = (
        "| trainer | tokens/s | CPU s a million tokens | val_bpb (min–max) | steps "
        "| start-up s | loading | evaluation s "
        "| neither training nor evaluation s | the same in a 5 min trial |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *_of_each(rows, _line)])


def gpu_table(rows: list[Row]) -> str:
    """The medians that tell most on a GPU, as Markdown."""
    head = (
        "| trainer | tokens/s (min–max) | MFU | peak memory MiB | val_bpb (min–max) | steps "
        "| start-up s | compiling s | loading | estimates s | evaluation s |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *_of_each(rows, _gpu_line)])


def _of_each(rows: list[Row], line: Callable[[str, list[Row]], str]) -> list[str]:
    names = dict.fromkeys(row.trainer for row in rows)
    return [line(name, [row for row in rows if row.trainer == name]) for name in names]


def _line(name: str, own: list[Row]) -> str:
    bpb = [row.val_bpb for row in own]
    lost = _median(row.lost for row in own)
    evaluation = _median(row.evaluation for row in own)
    share = lost / (FIVE_MINUTES + evaluation + lost)
    return (
        f"| {name} | {_median(row.tokens_per_second for row in own):,.0f} "
        f"| {_median(row.cpu_seconds_per_million_tokens for row in own):.0f} "
        f"| {_median(bpb):.4f} ({min(bpb):.4f}–{max(bpb):.4f}) "
        f"| {_median(row.steps for row in own):.0f} | {_median(row.startup for row in own):.1f} "
        f"| {_median(row.loading / row.training for row in own):.1%} | {evaluation:.1f} "
        f"| {lost:.1f} | {share:.1%} |"
    )


def _gpu_line(name: str, own: list[Row]) -> str:
    bpb, speed = [row.val_bpb for row in own], [row.tokens_per_second for row in own]
    return (
        f"| {name} | {_median(speed):,.0f} ({min(speed):,.0f}–{max(speed):,.0f}) "
        f"| {_median(row.mfu_percent or 0 for row in own):.1f} % "
        f"| {_median(row.peak_memory_mb or 0 for row in own):,.0f} "
        f"| {_median(bpb):.4f} ({min(bpb):.4f}–{max(bpb):.4f}) "
        f"| {_median(row.steps for row in own):.0f} | {_median(row.startup for row in own):.1f} "
        f"| {_median(row.compiling for row in own):.1f} "
        f"| {_median(row.loading / row.training for row in own):.1%} "
        f"| {_median(row.estimates for row in own):.1f} "
        f"| {_median(row.evaluation for row in own):.1f} |"
    )


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)
