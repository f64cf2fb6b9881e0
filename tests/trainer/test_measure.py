"""The score, bits per byte, is compared with values computed by hand and with the plain formula."""
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import frames
import numpy as np
import prepare
import pytest
import scoring
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from catalog import token_type
from device import Device
from judge_rig import CPU, Chain, Predict
from torch import Tensor, nn
from trainer_source import with_knobs

if TYPE_CHECKING:
    from conftest import JudgeOf


def by_the_plain_formula(predict: Predict, chain: Chain, rows: range) -> float:
    """Σ nats / (ln 2 · Σ bytes) by torch's own cross-entropy, all rows at once."""
    own = torch.from_numpy(chain.rows[rows.start : rows.stop])
    logits = predict(own[:, :-1]).float()
    nats = F.cross_entropy(logits.flatten(0, 1), own[:, 1:].flatten(), reduction="none")
    size = torch.tensor([0] + [2] * (chain.task.vocabulary - 1))[own[:, 1:].flatten()]
    return float((nats * (size > 0)).double().sum()) / (math.log(2) * int(size.sum()))


def test_bits_per_byte_by_hand(data: Path, tmp_path: Path, judge_of: JudgeOf) -> None:
    """The score is Σ nats / (ln 2 · Σ bytes), and a special token counts in neither sum."""
    task = prepare.load_task()
    row = [0] + [3, 5, 0, 7] * 64  # 257 tokens; the targets are 64 each of 3, 5, 0 and 7
    np.array([row] * 3, token_type(task)).tofile(tmp_path / "val.bin")
    sizes = np.zeros(task.vocabulary, np.int32)
    sizes[[1, 2, 3, 4, 5, 6, 7]] = [1, 1, 2, 1, 4, 1, 6]
    np.save(tmp_path / "token_bytes.npy", sizes)
    (tmp_path / "task.json").write_text((data / "task.json").read_text())
    chances = torch.full((task.vocabulary,), 1e-9)
    chances[[0, 3, 5, 7]] = torch.tensor([0.4, 0.3, 0.2, 0.1])
    judge = judge_of(tmp_path, judged_tokens=256)
    found = prepare.evaluate_bpb(lambda t: chances.log().expand(*t.shape, -1), task, 2, CPU)
    nats = -64 * (math.log(0.3) + math.log(0.2) + math.log(0.1))
    assert found == pytest.approx(nats / (math.log(2) * 64 * (2 + 4 + 6)), rel=1e-5)
    assert judge.finished["values"] == {"val": found}
    assert judge.finished["tokens"] == 192


@pytest.mark.parametrize("rows", [1, 5, 16, 10_000])
def test_the_batch_does_not_change_the_score(rows: int, chain: Chain, judge_of: JudgeOf) -> None:
    """For every batch size the score is the plain formula's to a millionth."""
    judge = judge_of(chain.folder)
    found = prepare.evaluate_bpb(chain.honest, chain.task, rows, CPU)
    plain = by_the_plain_formula(chain.honest, chain, range(96))
    assert found == pytest.approx(plain, abs=1e-6)
    assert judge.finished["status"] == "scored"


def test_the_score_of_the_real_model_is_that_of_its_own_loss(data: Path, judge_of: JudgeOf) -> None:
    """Scored by logits, the real model has the value that its own loss gives, to a millionth."""
    task = prepare.load_task()
    module = with_knobs("text", DEPTH=2, HEAD_DIM=32)
    torch.manual_seed(3)
    device = Device(CPU, torch.float32, False, None)  # a GPU's sums depend on the batch
    model = module.GPT(module.plan_shape(task), device)
    with torch.no_grad():
        model.head.weight.normal_(0, 0.3)
    judge_of(data, judged_tokens=2560)
    found = prepare.evaluate_bpb(model, task, 4, CPU)
    rows = torch.from_numpy(prepare.rows_of("val", task)[:10].astype(np.int64))
    sizes = torch.from_numpy(np.load(data / "token_bytes.npy"))
    nats, total = 0.0, 0
    for row in rows:
        logits = model(row[None, :-1])[0].detach().float()
        losses = F.cross_entropy(logits, row[1:], reduction="none")
        nats += float((losses * (sizes[row[1:]] > 0)).double().sum())
        total += int(sizes[row[1:]].sum())
    assert found == pytest.approx(nats / (math.log(2) * total), abs=1e-6)


@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.bfloat16, 3e-3), (torch.float16, 3e-4), (torch.float64, 1e-6)]
)
def test_logits_of_other_precision_are_scored_as_they_are(
    dtype: torch.dtype, within: float, chain: Chain, judge_of: JudgeOf
) -> None:
    """bfloat16 and float16 cross as they are; float64 is sent as float32."""
    judge_of(chain.folder)
    found = prepare.evaluate_bpb(lambda t: chain.honest(t).to(dtype), chain.task, 8, CPU)
    rounded = by_the_plain_formula(lambda t: chain.honest(t).to(dtype), chain, range(96))
    assert found == pytest.approx(rounded, abs=1e-6)
    assert found == pytest.approx(by_the_plain_formula(chain.honest, chain, range(96)), abs=within)


def test_logits_need_not_be_normalised(chain: Chain, judge_of: JudgeOf) -> None:
    """The judge takes the softmax itself: a constant that is added to all logits gains nothing."""
    plain = by_the_plain_formula(chain.honest, chain, range(96))
    judge_of(chain.folder)
    more = prepare.evaluate_bpb(lambda t: chain.honest(t) + 20, chain.task, 8, CPU)
    assert more == pytest.approx(plain, abs=1e-5)


def test_every_batch_has_one_size(chain: Chain, judge_of: JudgeOf) -> None:
    """Batches are filled up: a compiled model sees one shape, in estimates and at the end."""
    seen: set[tuple[int, ...]] = set()

    def predict(tokens: Tensor) -> Tensor:
        seen.add(tuple(tokens.shape))
        assert tokens.dtype == torch.int64
        return chain.honest(tokens)

    judge = judge_of(chain.folder)
    scoring.estimate_bpb(predict, chain.task, 7, CPU, 0.25)
    prepare.evaluate_bpb(predict, chain.task, 7, CPU)
    assert seen == {(7, 32)}
    (estimate,) = judge.estimates
    assert estimate["fraction"] == 0.25
    plain = by_the_plain_formula(chain.honest, chain, range(96, 120))
    assert estimate["value"] == pytest.approx(plain, abs=1e-6)


def test_a_model_is_in_eval_mode_and_then_as_before(chain: Chain, judge_of: JudgeOf) -> None:
    """A module, or the module whose method predicts, is switched over and back; no gradients."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part, self.frozen = nn.Dropout(0.5), nn.Dropout(0.5).eval()
            self.modes: set[tuple[bool, bool]] = set()

        def forward(self, tokens: Tensor) -> Tensor:
            self.modes.add((self.training, torch.is_grad_enabled()))
            return self.part(chain.honest(tokens))

    model = Model().train()
    model.frozen.eval()
    judge_of(chain.folder)
    value = prepare.evaluate_bpb(model.forward, chain.task, 8, CPU)
    assert model.modes == {(False, False)}
    assert (model.training, model.part.training, model.frozen.training) == (True, True, False)
    assert value == pytest.approx(by_the_plain_formula(chain.honest, chain, range(96)), abs=1e-6)


def test_a_second_call_is_not_scored_again(chain: Chain, judge_of: JudgeOf) -> None:
    """It returns the first score and asks for nothing."""
    judge_of(chain.folder)
    first = prepare.evaluate_bpb(chain.honest, chain.task, 8, CPU)
    again = prepare.evaluate_bpb(chain.ahead, chain.task, 8, CPU)  # never called
    assert again == first


def test_estimates_are_rationed(chain: Chain, judge_of: JudgeOf) -> None:
    """Later ones than the eighth are not asked for."""
    judge = judge_of(chain.folder)
    for _ in range(frames.MAX_ESTIMATES + 3):
        scoring.estimate_bpb(chain.honest, chain.task, 24, CPU, 0.5)
    assert len(judge.estimates) == frames.MAX_ESTIMATES


def test_without_a_judge_the_error_says_what_to_run(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names `judge.py run`."""
    monkeypatch.delenv("BAKEOFF_JUDGE", raising=False)
    monkeypatch.setenv("BAKEOFF_JUDGE_TOKEN", "of nobody")
    with pytest.raises(scoring.ScoringError, match=r"judge\.py run"):
        prepare.evaluate_bpb(chain.honest, chain.task, 8, CPU)


def test_a_models_error_is_told_and_raised(chain: Chain, judge_of: JudgeOf) -> None:
    """The judge hears its type, and train.py gets it."""

    def predict(tokens: Tensor) -> Tensor:
        raise FloatingPointError("a text that must not travel")

    judge = judge_of(chain.folder)
    with pytest.raises(FloatingPointError):
        prepare.evaluate_bpb(predict, chain.task, 8, CPU)
    assert (judge.finished["status"], judge.finished["reason"]) == ("failed", "model error")
    assert judge.finished["audit"] == {"model error": {"type": "FloatingPointError"}}


def test_batches_go_through_every_row_once_an_epoch_in_a_seeded_order(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets are the inputs shifted by one, and the seed alone decides the order of the rows."""
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
