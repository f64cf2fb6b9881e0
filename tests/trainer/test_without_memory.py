"""A model that is tried without its memory: what is handed out, and what the judge compares."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import handing_out
import prepare
import pytest
import torch
from judge_rig import CPU, Chain, Predict
from test_audit import cautious, remembering
from torch import nn

if TYPE_CHECKING:
    from conftest import JudgeOf

CALLS = 4


def compared(
    chain: Chain,
    judge_of: JudgeOf,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Predict],
) -> dict[str, Any]:
    """How the judge ends after one batch from each of some models that share no memory."""
    judge = judge_of(chain.folder, mode="fresh", hidden=CALLS)
    for call in range(CALLS):
        # The client of one token asks once.
        monkeypatch.setenv("BAKEOFF_JUDGE_TOKEN", f"{judge.path} {call}")
        prepare.evaluate_bpb(make(), chain.task, 64, CPU)
    found: dict[str, Any] = judge.finished
    return found


def test_an_honest_model_gives_equal_logits(
    chain: Chain, judge_of: JudgeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh or not, the chain's own probabilities are the same up to every cut."""
    found = compared(chain, judge_of, monkeypatch, lambda: chain.honest)
    numbers = found["audit"]["without memory"]
    assert (found["status"], numbers["passed"]) == ("scored", True), numbers
    assert numbers["containers"] == CALLS
    assert numbers["rows"] > 64


def test_looking_ahead_is_found_without_its_memory(
    chain: Chain, judge_of: JudgeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that replays its first answers has none in a fresh container."""

    def make() -> Predict:
        return remembering(lambda tokens: chain.ahead(tokens, 0.5))

    found = compared(chain, judge_of, monkeypatch, make)
    assert not found["audit"]["without memory"]["passed"]


def test_a_model_that_behaves_when_it_is_watched_is_found(
    chain: Chain, judge_of: JudgeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks ahead on true rows alone, so other containers give other logits."""
    found = compared(chain, judge_of, monkeypatch, lambda: cautious(chain, 0.5))
    assert not found["audit"]["without memory"]["passed"]


def test_the_digest_is_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is told what the file is, and a file that is loaded gives the same logits."""
    monkeypatch.setenv("BAKEOFF_HAND_OUT", str(tmp_path / "model.pt"))
    model = nn.Linear(4, 3)
    digest = handing_out.hand_out(model)
    assert digest == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    assert torch.equal(loaded(torch.ones(2, 4)), model(torch.ones(2, 4)))


def test_nothing_is_saved_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contestant's trial spends no time on it."""
    monkeypatch.delenv("BAKEOFF_HAND_OUT", raising=False)
    assert handing_out.hand_out(nn.Linear(4, 3)) is None


def test_what_cannot_be_saved_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lambda, and a model that is too large, end in one line and no file."""
    monkeypatch.setenv("BAKEOFF_HAND_OUT", str(tmp_path / "model.pt"))
    assert handing_out.hand_out(lambda tokens: tokens) is None
    monkeypatch.setattr(handing_out, "MAX_MODEL_BYTES", 1000)
    assert handing_out.hand_out(nn.Linear(100, 100)) is None
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert all(line.startswith("the model is not handed out: ") for line in said)
    assert not (tmp_path / "model.pt").exists()


def test_the_model_of_ours_can_be_handed_out(
    train_module: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pristine train.py's model comes back whole, its tables of places made anew."""
    from device import Device

    monkeypatch.setenv("BAKEOFF_HAND_OUT", str(tmp_path / "model.pt"))
    shape = train_module.Shape(2, 2, 16, 32, 64, "SL")
    device = Device(torch.device("cpu"), torch.float32, False, None)
    model = train_module.GPT(shape, device)
    nn.init.normal_(model.head.weight)
    assert handing_out.hand_out(model) is not None
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    tokens = torch.arange(64).view(2, 32)
    assert torch.equal(loaded(tokens), model(tokens))
