"""train.py as it is run: its lines, its end, and that the same seed repeats it."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trainer_source import text_with

SMALL: dict[str, Any] = {
    "DEPTH": 2, "ASPECT_RATIO": 32, "HEAD_DIM": 32,
    "TOTAL_BATCH_SIZE": 1024, "DEVICE_BATCH_SIZE": 2,
}  # fmt: skip
CLOSING = [
    "val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent",
    "total_tokens_M", "num_steps", "num_params_M", "depth",
]  # fmt: skip


def run(
    text: str, folder: Path, data: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A train.py in a folder of its own, as PID 1 of a trial runs it."""
    (folder / "train.py").write_text(text)
    trainer = {"BAKEOFF_DATA": str(data), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-u", "train.py"],
        cwd=folder, env={**os.environ, **trainer}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def losses(output: str) -> list[str]:
    """The losses of all progress lines."""
    return re.findall(r"^progress: step=\d+ train_seconds=[\d.]+ loss=([\d.]+)$", output, re.M)


def closing(output: str) -> dict[str, str]:
    """The closing block."""
    block = output.rpartition("---\n")[2]
    return dict(re.findall(r"^(\w+):\s+(\S+)$", block, re.M))


def test_the_same_seed_and_steps_give_the_same_losses(data: Path, tmp_path: Path) -> None:
    """Twice the same, to the last digit of val_bpb; another seed gives others."""
    text = text_with("text", **SMALL)
    runs = [
        run(text, tmp_path, data, BAKEOFF_MAX_STEPS="12", BAKEOFF_SEED=seed)
        for seed in ("1", "1", "2")
    ]
    first, again, other = [(losses(r.stdout), closing(r.stdout)["val_bpb"]) for r in runs]
    assert len(first[0]) == 12
    assert first == again
    assert first != other


def test_it_learns_and_says_so_in_lines_that_programs_read(data: Path, tmp_path: Path) -> None:
    """Progress, estimates at fixed shares, and the closing block in its order."""
    ran = run(text_with("text", **SMALL), tmp_path, data, BAKEOFF_TRAIN_SECONDS="3")
    assert ran.returncode == 0, ran.stderr
    said = [float(loss) for loss in losses(ran.stdout)]
    assert said[-1] < said[0] - 1
    estimates = re.findall(
        r"^val_estimate: fraction=(\S+) train_seconds=(\S+) val_bpb=(\S+)$", ran.stdout, re.M
    )
    assert [fraction for fraction, _, _ in estimates] == ["0.25", "0.5", "0.75"]
    end = closing(ran.stdout)
    assert list(end) == CLOSING
    assert float(end["val_bpb"]) < float(estimates[0][2])
    assert 3 <= float(end["training_seconds"]) < 6
    assert end["mfu_percent"] == "n/a"  # a CPU's peak is not known, and not made up
    assert end["depth"] == "2"
    assert not ran.stderr


@pytest.mark.parametrize("broken", ["loss = loss * float('nan')", "loss = loss + 101"])
def test_a_lost_training_says_fail(broken: str, data: Path, tmp_path: Path) -> None:
    """NaN or a loss over 100: FAIL, exit code 1, and no closing block."""
    line = "            loss = model(tokens, targets)\n"
    text = text_with("text", **SMALL)
    assert line in text
    ran = run(text.replace(line, f"{line}            {broken}\n"), tmp_path, data)
    assert ran.returncode == 1
    assert ran.stdout.endswith("FAIL\n")
    assert "val_bpb:" not in ran.stdout


def test_values_that_do_not_fit_are_rounded_aloud(data: Path, tmp_path: Path) -> None:
    """Odd heads, batches that divide nothing, no warm-down: it trains, and says what it did."""
    odd = {"HEAD_DIM": 23, "TOTAL_BATCH_SIZE": 1000, "DEVICE_BATCH_SIZE": 3, "WARMDOWN_RATIO": 0.0}
    ran = run(text_with("text", **{**SMALL, **odd}), tmp_path, data, BAKEOFF_MAX_STEPS="3")
    assert ran.returncode == 0, ran.stderr
    said = [line for line in ran.stdout.splitlines() if line.startswith("rounded: ")]
    assert said == ["rounded: HEAD_DIM 23 -> 16", "rounded: TOTAL_BATCH_SIZE 1000 -> 768"]
