"""The measure: bits per byte, worked out by hand."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import prepare
import pytest
import torch
from catalog import Task, token_type
from torch import Tensor

CPU = torch.device("cpu")


class KnownLoss:
    """A model whose loss for a target is 0.01 nats times its id."""

    def __call__(self, tokens: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """As the trained model is called."""
        assert reduction == "none"
        assert tokens.shape == targets.shape
        return targets.flatten().float() * 0.01


def write_data(folder: Path, task: Task, rows: list[list[int]], sizes: list[int]) -> None:
    """A validation split and how many bytes each token stands for."""
    np.array(rows, token_type(task)).tofile(folder / "val.bin")
    np.save(folder / "token_bytes.npy", np.array(sizes, np.int32))


def test_bits_per_byte_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    """Σ nats / (ln 2 · Σ bytes); a special token counts on neither side."""
    task = prepare.load_task()
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    row = [0] + [3, 5, 0, 7] * 64  # 257 tokens; the targets are 64 each of 3, 5, 0 and 7
    write_data(tmp_path, task, [row], [0, 1, 1, 2, 1, 4, 1, 6])
    nats, size = 64 * (0.03 + 0.05 + 0.07), 64 * (2 + 4 + 6)
    expected = nats / (math.log(2) * size)
    assert prepare.evaluate_bpb(KnownLoss(), task, 1, CPU) == pytest.approx(expected, rel=1e-6)


def test_the_batch_does_not_change_the_measure(data: Path) -> None:
    """Whatever the batch, the same targets are covered."""
    task = prepare.load_task()
    found = {
        round(prepare.evaluate_bpb(KnownLoss(), task, rows, CPU, tokens), 5)
        for rows in (1, 3, 16)
        for tokens in (2560, 2800)
    }
    assert len(found) == 1


@pytest.mark.parametrize(("device", "length"), [("cuda", 4), ("cpu", 3)])
def test_a_compiled_model_sees_batches_of_one_size_only(device: str, length: int) -> None:
    """On a GPU the last batch is filled with its last row; the measure leaves the filling out."""
    some = np.arange(6).reshape(3, 2)
    filled = prepare._filled(some, 4, torch.device(device))
    assert len(filled) == length
    assert filled[:3].tolist() == some.tolist()
    assert filled[-1].tolist() == [4, 5]


def test_an_estimate_covers_less_than_the_whole(data: Path) -> None:
    """The first targets of the split, the more the more are asked for, all of it at most."""
    task = prepare.load_task()
    whole = len(prepare.rows_of("val", task))
    covered: list[int] = []

    class Counting(KnownLoss):
        def __call__(self, tokens: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
            covered[-1] += len(targets)
            return super().__call__(tokens, targets, reduction)

    for wanted in (1, 2 * 256, 10**9):
        covered.append(0)
        prepare.evaluate_bpb(Counting(), task, 4, CPU, wanted)
    assert covered == [1, 2, whole]


def test_the_referee_measures_on_text_that_no_trial_has(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test split is in a folder of its own and holds other rows."""
    task = prepare.load_task()
    assert not list(data.glob("test*"))
    on_val = prepare.evaluate_bpb(KnownLoss(), task, 4, CPU)
    monkeypatch.setenv("BAKEOFF_EVAL_SPLIT", "test")
    assert prepare.evaluate_bpb(KnownLoss(), task, 4, CPU) != on_val
    rows = {
        split: {r.tobytes() for r in prepare.rows_of(split, task)}
        for split in ("val", "test", "train")
    }
    assert not rows["val"] & rows["test"]
    assert not rows["val"] & rows["train"]


def test_batches_go_through_every_row_once_an_epoch_in_a_seeded_order(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets are the inputs one on; the same seed gives the same order, another another."""
    task = prepare.load_task()
    rows = prepare.rows_of("train", task)

    def epoch() -> list[bytes]:
        loader = prepare.batches(prepare.load_task(), 1, CPU)
        found = []
        for _ in range(len(rows)):
            tokens, targets, number = next(loader)
            assert number == 1
            assert torch.equal(tokens[0, 1:], targets[0, :-1])
            found.append(tokens.numpy().tobytes())
        assert next(loader)[2] == 2
        return found

    first, again = epoch(), epoch()
    assert first == again
    monkeypatch.setenv("BAKEOFF_SEED", "7")
    other = epoch()
    assert other != first
    assert sorted(other) == sorted(first)
