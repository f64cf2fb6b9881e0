"""train.py runs as in a trial: these tests check its lines, its end and its repeatability."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from device import find_device
from judge_rig import scored
from trainer_source import text_with

SMALL: dict[str, Any] = {
    "DEPTH": 2, "ASPECT_RATIO": 32, "HEAD_DIM": 32,
    "TOTAL_BATCH_SIZE": 1024, "DEVICE_BATCH_SIZE": 2,
}  # fmt: skip
CLOSING = [
    "val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent",
    "total_tokens_M", "num_steps", "num_params_M", "depth",
]  # fmt: skip


Ran = tuple[subprocess.CompletedProcess[str], dict[str, Any]]


def run(text: str, folder: Path, data: Path, **environment: str) -> Ran:
    """Runs a train.py under a judge, which scores few rows; what the judge found as well."""
    ran: Ran = scored(text, data, folder, "--judged-tokens", "5120", **environment)
    return ran


def losses(output: str) -> list[str]:
    """The losses of all progress lines."""
    return re.findall(r"^progress: step=\d+ train_seconds=[\d.]+ loss=([\d.]+)$", output, re.M)


def closing(output: str) -> dict[str, str]:
    """The keys and values of the closing block."""
    block = output.rpartition("---\n")[2]
    return dict(re.findall(r"^(\w+):\s+(\S+)$", block, re.M))


def test_the_same_seed_and_steps_give_the_same_losses(data: Path, tmp_path: Path) -> None:
    """Two runs with one seed agree to the last digit of val_bpb, and another seed differs."""
    text = text_with("text", **SMALL)
    runs = [
        run(text, tmp_path, data, BAKEOFF_MAX_STEPS="12", BAKEOFF_SEED=seed)
        for seed in ("1", "1", "2")
    ]
    first, again, other = [(losses(r.stdout), closing(r.stdout)["val_bpb"]) for r, _ in runs]
    assert len(first[0]) == 12
    assert first == again
    assert first != other


def test_it_learns_and_says_so_in_lines_that_programs_read(data: Path, tmp_path: Path) -> None:
    """The run learns, prints progress and the closing block, and is estimated at fixed shares."""
    ran, found = run(text_with("text", **SMALL), tmp_path, data, BAKEOFF_MAX_STEPS="60")
    assert ran.returncode == 0, ran.stderr
    said = [float(loss) for loss in losses(ran.stdout)]
    assert said[-1] < said[0] - 1
    estimates = found["score.estimated"]
    assert [one["fraction"] for one in estimates] == [0.25, 0.5, 0.75]
    asked = [one["purpose"] for one in found["score.requested"]]
    assert asked == ["estimate"] * 3 + ["final"]
    end = closing(ran.stdout)
    assert list(end) == CLOSING
    (finished,) = found["score.finished"]
    assert finished["status"] == "scored", finished
    assert float(end["val_bpb"]) == pytest.approx(finished["values"]["val"], abs=1e-6)
    assert float(end["val_bpb"]) < estimates[0]["value"]
    assert (end["mfu_percent"] == "n/a") == (find_device().peak_flops is None)  # so of a CPU
    assert end["depth"] == "2"
    assert not ran.stderr


def test_it_is_estimated_at_the_shares_that_it_is_told(data: Path, tmp_path: Path) -> None:
    """One estimate for each step, at the last share that was passed: at 1/6, 1/3, 1/2 and 2/3."""
    shares = {"BAKEOFF_ESTIMATE_AT": "0.1 0.3 0.4 0.45 0.6"}
    ran, found = run(text_with("text", **SMALL), tmp_path, data, BAKEOFF_MAX_STEPS="6", **shares)
    assert ran.returncode == 0, ran.stderr
    assert [one["fraction"] for one in found["score.estimated"]] == [0.1, 0.3, 0.45, 0.6]


def test_it_ends_when_its_seconds_are_spent(data: Path, tmp_path: Path) -> None:
    """The step in which the budget ends is the last one."""
    ran, _ = run(text_with("text", **SMALL), tmp_path, data, BAKEOFF_TRAIN_SECONDS="1")
    assert ran.returncode == 0, ran.stderr
    end = closing(ran.stdout)
    spent, steps = float(end["training_seconds"]), int(end["num_steps"])
    assert spent >= 1
    when = [float(s) for s in re.findall(r"^progress: .* train_seconds=(\S+) ", ran.stdout, re.M)]
    assert all(seconds <= 1 for seconds in when[:-1]) or steps == 1  # two decimals: 0.996 is 1.00


@pytest.mark.parametrize("broken", ["loss = loss * float('nan')", "loss = loss + 101"])
def test_a_lost_training_says_fail(broken: str, data: Path, tmp_path: Path) -> None:
    """A loss that is NaN or over 100 gives FAIL, exit code 1 and no closing block."""
    line = "            loss = model(tokens, targets)\n"
    text = text_with("text", **SMALL)
    assert line in text
    ran, found = run(text.replace(line, f"{line}            {broken}\n"), tmp_path, data)
    assert ran.returncode == 1
    assert "\nFAIL\n" in ran.stdout
    assert found["score.finished"][0]["reason"] == "unscored"
    assert "val_bpb:" not in ran.stdout


def test_values_that_do_not_fit_are_rounded_aloud(data: Path, tmp_path: Path) -> None:
    """With head and batch sizes that do not fit, it trains and reports each rounded value."""
    odd = {"HEAD_DIM": 23, "TOTAL_BATCH_SIZE": 1000, "DEVICE_BATCH_SIZE": 3, "WARMDOWN_RATIO": 0.0}
    ran, _ = run(text_with("text", **{**SMALL, **odd}), tmp_path, data, BAKEOFF_MAX_STEPS="3")
    assert ran.returncode == 0, ran.stderr
    said = [line for line in ran.stdout.splitlines() if line.startswith("rounded: ")]
    assert said == [
        "rounded: HEAD_DIM 23 -> 16",
        "rounded: DEVICE_BATCH_SIZE 3 -> 2",
        "rounded: TOTAL_BATCH_SIZE 1000 -> 1024",
    ]
