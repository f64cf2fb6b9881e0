"""The model on this machine's own device, in its own precision, against the CPU in float32.

On a machine with a GPU these are the tests of what runs there alone: the compiled model, attention
in the GPU's kernels, a model that is saved and loaded. On others they hold the CPU's bf16.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handing_out
import pytest
import torch
import train
from device import Device, find_device
from torch import Tensor

CPU = Device(torch.device("cpu"), torch.float32, False, None)
HERE = find_device()
# Rounding of operands: 2^-9 in bf16, some of which adds up over the layers.
TOLERANCE = 2e-2 if HERE.dtype == torch.bfloat16 else 2e-3
SHAPE = train.Shape(
    depth=4, heads=2, head_dim=64, sequence_tokens=256, vocabulary=512, window_pattern="SL"
)


def apart(found: Tensor, wanted: Tensor) -> float:
    """How far two tensors are apart, as a share of the second's norm; NaN counts as far."""
    found, wanted = found.detach().double().cpu(), wanted.detach().double().cpu()
    share = ((found - wanted).norm() / wanted.norm()).item()
    return share if share == share else float("inf")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """As a trial runs it here."""
    return torch.compile(function, dynamic=False) if HERE.compiles else function


def two_models() -> tuple[Any, Any]:
    """The same parameters on the CPU in float32, and here."""
    torch.manual_seed(1)
    plain, own = train.GPT(SHAPE, CPU), train.GPT(SHAPE, HERE)
    with torch.no_grad():
        for parameter in plain.parameters():
            if parameter.dim() == 2 and parameter.abs().max() < 0.01:
                parameter.normal_(0, 0.05)
    own.load_state_dict(plain.state_dict())
    return plain, own


def drawn() -> tuple[Tensor, Tensor]:
    """Random inputs and targets of four sequences."""
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(SHAPE.vocabulary, (4, SHAPE.sequence_tokens + 1), generator=generator)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize("tokens", [256, 1024])
def test_attention_here_is_the_textbooks(tokens: int, share: int) -> None:
    """Output and gradients of a whole and of a short window are those of masked softmax.

    Of the longer sequence a GPU's kernels take some blocks without a mask, and skip others.
    """
    torch.manual_seed(3)
    shape, window = dataclasses.replace(SHAPE, sequence_tokens=tokens), tokens // share
    size = (2, shape.heads, tokens, shape.head_dim)
    parts = [torch.randn(size).requires_grad_() for _ in range(3)]
    own = [part.detach().to(HERE.torch, HERE.dtype).requires_grad_() for part in parts]
    place = torch.arange(tokens)
    back = place[:, None] - place[None, :]
    sees = (back >= 0) & (back <= window)
    wanted = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=sees)
    position = train.Position(shape, HERE)
    found = compiled(lambda q, k, v: position.attend(q, k, v, window))(*own)
    pull = torch.randn(size)
    wanted.backward(pull)
    found.backward(pull.to(HERE.torch, HERE.dtype))
    assert apart(found, wanted) < TOLERANCE
    for name, mine, theirs in zip("qkv", own, parts, strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert apart(mine.grad, theirs.grad) < TOLERANCE, name


def test_loss_and_gradients_here_are_the_cpus() -> None:
    """The model as a trial runs it here has the loss and the gradients of float32 on a CPU."""
    plain, own = two_models()
    tokens, targets = drawn()
    wanted = plain(tokens, targets)
    found = compiled(own)(tokens.to(HERE.torch), targets.to(HERE.torch))
    wanted.backward()
    found.backward()
    assert found.item() == pytest.approx(wanted.item(), rel=1e-3)
    theirs = dict(plain.named_parameters())
    for name, parameter in own.named_parameters():
        assert apart(parameter.grad, theirs[name].grad) < 5 * TOLERANCE, name


def test_a_step_here_is_the_cpus() -> None:
    """From the same gradients, one step of all optimisers leads to the same parameters."""
    plain, own = two_models()
    before = copy.deepcopy(plain.state_dict())
    tokens, targets = drawn()
    plain(tokens, targets).backward()
    theirs = dict(plain.named_parameters())
    for name, parameter in own.named_parameters():
        parameter.grad = theirs[name].grad.to(HERE.torch)
    train.Optimizers(own, HERE).step(0, 0.0)
    train.Optimizers(plain, CPU).step(0, 0.0)
    for name, parameter in own.named_parameters():
        found, wanted = parameter.cpu() - before[name], theirs[name] - before[name]
        assert apart(found, wanted) < 10 * TOLERANCE, name  # Muon lifts what is small


def test_the_scored_model_here_is_the_trained_and_the_saved_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of the running model, of the CPU's and of one that was saved and loaded agree."""
    monkeypatch.setenv("BAKEOFF_HAND_OUT", str(tmp_path / "model.pt"))
    plain, own = two_models()
    tokens, _ = drawn()
    runnable = compiled(own)
    with torch.no_grad():
        wanted, found = plain(tokens), runnable(tokens.to(HERE.torch))
        assert handing_out.hand_out(runnable) is not None
        loaded = torch.load(tmp_path / "model.pt", weights_only=False)
        again = loaded(tokens.to(HERE.torch))
    assert found.dtype == torch.float32
    assert apart(found, wanted) < TOLERANCE
    assert apart(again, wanted) < TOLERANCE
