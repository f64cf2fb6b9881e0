"""Muon, AdamW and their schedules are compared with formulas for one matrix at a time."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import train
from catalog import named_task
from device import Device
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trainer_source import with_knobs

CPU = Device(torch.device("cpu"), torch.float32, False, None)


def polar(matrix: Tensor) -> Tensor:
    """A matrix after the published polynomials are applied to its singular values."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / (matrix.norm() * 1.02 + 1e-6)
    for a, b, c in train.POLAR_EXPRESS:
        values = a * values + b * values**3 + c * values**5
    return left @ torch.diag(values) @ right


def slow_muon(weight: Tensor, gradients: list[Tensor], lr: float, decay: float) -> Tensor:
    """A matrix after some steps of Muon, computed slowly in float64."""
    rows, columns = weight.shape
    along = 1 if rows >= columns else 0
    momentum, variance = torch.zeros_like(weight), torch.zeros(1)
    for step, gradient in enumerate(gradients):
        mu = 0.85 + (0.95 - 0.85) * min(step / 300, 1)
        momentum = mu * momentum + (1 - mu) * gradient
        update = polar((1 - mu) * gradient + mu * momentum)
        squares = update.square().mean(dim=along, keepdim=True)
        variance = 0.95 * variance + 0.05 * squares
        scaled = update / variance.sqrt()
        scaled = scaled * update.norm() / scaled.norm()
        same_way = (scaled * weight >= 0).double()
        rate = lr * max(1, rows / columns) ** 0.5
        weight = weight - rate * scaled - rate * decay * weight * same_way
    return weight


@pytest.mark.parametrize("shape", [(16, 16), (48, 16), (16, 48), (2, 32)])
def test_muon_is_the_formula(shape: tuple[int, int]) -> None:
    """Several steps with decay equal the formula for square, tall, wide and gate matrices."""
    torch.manual_seed(6)
    weights = [torch.nn.Parameter(torch.randn(shape)) for _ in range(3)]
    gradients = [[torch.randn(shape) for _ in range(4)] for _ in weights]
    expected = [
        slow_muon(w.detach().double(), [g.double() for g in gs], lr=0.02, decay=0.3)
        for w, gs in zip(weights, gradients, strict=True)
    ]
    muon = train.Muon(weights, 0.02, CPU)
    for step in range(4):
        for weight, some in zip(weights, gradients, strict=True):
            weight.grad = some[step].clone()
        muon.step(1.0, train.momentum_at(step), 0.3)
    for weight, wanted in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.detach().double(), wanted, rtol=2e-3, atol=2e-4)


def test_orthogonalized_matrices_have_singular_values_about_one() -> None:
    """The singular values of tall and wide matrices stay within the polynomials' bounds."""
    torch.manual_seed(7)
    for shape in ((2, 64, 32), (2, 32, 64)):
        values = torch.linalg.svdvals(train.orthogonalize(torch.randn(shape)))
        assert values.min() > 0.6
        assert values.max() < 1.3


def model_and_optimizers(module: Any = train) -> tuple[Any, Any]:
    """A small model and its optimisers."""
    torch.manual_seed(8)
    model = module.GPT(module.Shape(2, 2, 16, 8, 24), CPU)
    return model, module.Optimizers(model, CPU)


def test_every_parameter_has_one_optimizer_and_its_rate() -> None:
    """Muon has the matrices, AdamW the rest; rates of tables and head are scaled by 1/√width."""
    model, optimizers = model_and_optimizers()
    held = [p for stack in optimizers.muon.stacks for p in stack]
    assert all(p.dim() == 2 for p in held)
    held += [p for adamw in optimizers.adamw for p in adamw.tensors]
    assert {id(p) for p in held} == {id(p) for p in model.parameters()}
    assert len(held) == len(list(model.parameters()))
    scale = (32 / 768) ** -0.5
    rates = [adamw.peak_lr for adamw in optimizers.adamw]
    assert rates == pytest.approx([0.004 * scale, 0.6 * scale, 0.005, 0.5])
    assert [adamw.betas for adamw in optimizers.adamw] == [(0.8, 0.95)] * 3 + [(0.96, 0.95)]


def test_adamw_is_the_formula() -> None:
    """After two steps, the head equals the formula with its moments written out."""
    model, optimizers = model_and_optimizers()
    head = model.head.weight
    expected, first, second = head.detach().double(), 0.0, 0.0
    for step in range(2):
        gradients = {p: torch.randn_like(p) for p in model.parameters()}
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        g = gradients[head].double()
        first, second = 0.8 * first + 0.2 * g, 0.95 * second + 0.05 * g * g
        denominator = (second / (1 - 0.95 ** (step + 1))).sqrt() + 1e-10
        rate = 0.004 * (32 / 768) ** -0.5
        expected = expected - rate * (first / (1 - 0.8 ** (step + 1))) / denominator
        optimizers.step(step, 0.0)
    torch.testing.assert_close(head.detach().double(), expected, rtol=1e-5, atol=1e-7)
    assert all(p.grad is None for p in model.parameters())


def test_momentum_rises() -> None:
    """Momentum rises from 0.85 to 0.95 over 300 steps and then stays."""
    assert [train.momentum_at(step) for step in (0, 150, 300, 900)] == pytest.approx(
        [0.85, 0.9, 0.95, 0.95]
    )


@pytest.mark.parametrize("progress", [0.0, 0.25, 0.5])
def test_weight_decay_falls_as_the_budget_is_spent(progress: float) -> None:
    """Without gradients a matrix shrinks only by the current decay, and a table does not change."""
    model, optimizers = model_and_optimizers()
    matrix, table = model.blocks[0].attention.query.weight, model.embedding.weight
    before = matrix.detach().clone(), table.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizers.step(0, progress)
    shrunk = before[0] * (1 - 0.04 * 0.2 * (1 - progress))
    torch.testing.assert_close(matrix.detach(), shrunk, rtol=1e-6, atol=1e-8)
    assert torch.equal(table.detach(), before[1])


def test_no_trial_pays_for_the_compiler() -> None:
    """On a CPU, a step does not import torch's compiler, which takes over a second."""
    code = (
        "import sys, torch, train, device\n"
        "here = device.Device(torch.device('cpu'), torch.float32, False, None)\n"
        "model = train.GPT(train.Shape(1, 1, 16, 8, 24), here)\n"
        "tokens = torch.zeros(1, 8, dtype=torch.long)\n"
        "optimizers = train.Optimizers(model, here)\n"
        "model(tokens, tokens).backward()\n"
        "optimizers.step(0, 0.0)\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@given(
    warmup=st.floats(0, 0.5), warmdown=st.floats(0, 0.5), final=st.floats(0, 0.5),
    progress=st.floats(0, 1),
)  # fmt: skip
def test_rates_go_up_along_and_down(
    warmup: float, warmdown: float, final: float, progress: float
) -> None:
    """The rate rises linearly, stays, and falls linearly for any knobs, also without warm-down."""
    module = with_knobs(WARMUP_RATIO=warmup, WARMDOWN_RATIO=warmdown, FINAL_LR_FRAC=final)
    factor = module.lr_factor(progress)
    if progress < warmup:
        assert factor == pytest.approx(progress / warmup)
    elif progress <= 1 - warmdown:
        assert factor == 1.0
    else:
        left = (1 - progress) / warmdown
        assert factor == pytest.approx(left + (1 - left) * final, abs=1e-9)


@given(total=st.integers(1, 2**19), rows=st.integers(1, 256))
def test_batches_that_do_not_divide_are_near(total: int, rows: int) -> None:
    """A step misses its tokens by half a sequence for each pass, and by half a sequence more."""
    module = with_knobs(TOTAL_BATCH_SIZE=total, DEVICE_BATCH_SIZE=rows)
    task = named_task("pystdlib")
    found_rows, passes = module.plan_batch(task)
    assert 1 <= found_rows <= rows
    missed = abs(found_rows * passes * task.sequence_tokens - total)
    assert missed <= max(task.sequence_tokens, (passes + 1) / 2 * task.sequence_tokens)


def test_over_the_large_space_a_step_misses_its_tokens_by_half_a_percent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mean over 10,000 settings is at most 0.5 %, and the most is under 4 %."""
    module, task = with_knobs(), named_task("climbmix")
    monkeypatch.setattr(module, "legal", lambda _name, _asked, value: value)
    drawn = np.random.default_rng(1).uniform(size=(10_000, 2))
    misses = []
    for batch, device in drawn:
        total, rows = round(2**16 * 32**batch), round(32 * 8**device)
        module.TOTAL_BATCH_SIZE, module.DEVICE_BATCH_SIZE = total, rows
        found_rows, passes = module.plan_batch(task)
        assert 1 <= found_rows <= rows
        misses.append(abs(found_rows * passes * task.sequence_tokens - total) / total)
    assert np.mean(misses) <= 0.005
    assert max(misses) < 0.04


@pytest.mark.parametrize(
    ("task", "batch"),
    [("climbmix", (128, 2)), ("tinystories", (16, 2)), ("tinystories512", (16, 2)),
     ("pystdlib", (8, 1)), ("text", (8, 1))],
)  # fmt: skip
def test_the_starting_text_asks_for_a_batch_that_fits(
    task: str, batch: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """No task's own batch is rounded."""
    assert with_knobs(task).plan_batch(named_task(task)) == batch
    assert capsys.readouterr().out == ""


def test_fewer_sequences_a_pass_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Both knobs are reported as they were run, so that a sampler learns what it measured."""
    module = with_knobs(TOTAL_BATCH_SIZE=2304, DEVICE_BATCH_SIZE=8)
    assert module.plan_batch(named_task("pystdlib")) == (4, 2)
    said = capsys.readouterr().out.splitlines()
    assert said == ["rounded: DEVICE_BATCH_SIZE 8 -> 4", "rounded: TOTAL_BATCH_SIZE 2304 -> 2048"]


@pytest.mark.parametrize(("asked", "given"), [(64, 64), (100, 96), (7, 16), (250, 256), (1, 16)])
def test_head_sizes_are_rounded_and_said(
    asked: int, given: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A head size becomes the nearest multiple of 16, and a line of output reports the change."""
    module = with_knobs(HEAD_DIM=asked, DEPTH=3, ASPECT_RATIO=30)
    shape = module.plan_shape(named_task("pystdlib"))
    assert shape.head_dim == given
    assert shape.width >= 90
    assert shape.width - 90 < given
    said = f"rounded: HEAD_DIM {asked} -> {given}\n" if asked != given else ""
    assert capsys.readouterr().out == said
