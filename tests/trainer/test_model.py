"""The model is compared with a slow, simple reference: one token at a time, in float64.

The reference shares only the parameters with the model.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import train
from catalog import named_task
from device import Device
from torch import Tensor
from trainer_source import with_knobs

CPU = Device(torch.device("cpu"), torch.float32, False, None)
TINY = train.Shape(
    depth=3, heads=2, head_dim=16, sequence_tokens=12, vocabulary=24, window_pattern="SL"
)


def tiny_model(shape: Any = TINY) -> Any:
    """A model whose zero matrices are filled with values, so that every part has an effect."""
    torch.manual_seed(1)
    model = train.GPT(shape, CPU)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2 and parameter.abs().max() < 0.01:
                parameter.normal_(0, 0.3)
        model.residual_lambdas.uniform_(0.7, 1.3)
        model.x0_lambdas.uniform_(-0.3, 0.3)
    return model


def tokens_and_targets(shape: Any = TINY) -> tuple[Tensor, Tensor]:
    """Random inputs and targets of three sequences."""
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randint(shape.vocabulary, (3, shape.sequence_tokens + 1), generator=generator)
    return drawn[:, :-1].contiguous(), drawn[:, 1:].contiguous()


# --- the reference ---


def rms(x: Tensor) -> Tensor:
    """A vector divided by its root mean square."""
    return x / (x.square().mean() + torch.finfo(torch.float32).eps).sqrt()


def turned(x: Tensor, place: int) -> Tensor:
    """A head's vector with each pair of channels rotated by its angle for that place."""
    half = len(x) // 2
    out = list(x)
    for d in range(half):
        angle = place / 10_000.0 ** (2 * d / len(x))
        out[d] = x[d] * math.cos(angle) + x[d + half] * math.sin(angle)
        out[d + half] = x[d + half] * math.cos(angle) - x[d] * math.sin(angle)
    return torch.stack(out)


def slow_attention(
    w: dict[str, Tensor], prefix: str, x: Tensor, embedded: Any, window: int
) -> Tensor:
    """The attention of one sequence [T, C], computed head by head and token by token."""
    heads, size = TINY.heads, TINY.head_dim
    mixed = []
    for i in range(len(x)):
        row = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            seen = range(max(0, i - window), i + 1)
            q = rms(turned(w[f"{prefix}.query.weight"][part] @ x[i], i))
            scores, values = [], []
            for j in seen:
                k = rms(turned(w[f"{prefix}.key.weight"][part] @ x[j], j))
                v = w[f"{prefix}.value.weight"][part] @ x[j]
                if embedded is not None:
                    gate = 2 * torch.sigmoid(w[f"{prefix}.gate.weight"][h] @ x[j][:32])
                    v = v + gate * embedded[j][part]
                scores.append(q @ k / math.sqrt(size))
                values.append(v)
            chances = torch.stack(scores).softmax(0)
            row.append(sum(c * v for c, v in zip(chances, values, strict=True)))
        mixed.append(torch.cat([torch.as_tensor(r) for r in row]))
    return torch.stack(mixed) @ w[f"{prefix}.output.weight"].T


def slow_loss(w: dict[str, Tensor], tokens: Tensor, targets: Tensor) -> Tensor:
    """The mean loss in nats, written from the description; tokens and targets are [B, T]."""
    losses = []
    for sequence, wanted in zip(tokens, targets, strict=True):
        x0 = torch.stack([rms(w["embedding.weight"][t]) for t in sequence])
        x = x0
        for layer, window in enumerate([6, 12, 12]):  # S, L, and the last layer is always L
            x = w["residual_lambdas"][layer] * x + w["x0_lambdas"][layer] * x0
            table = w.get(f"value_embeddings.{layer}.weight")
            embedded = None if table is None else table[sequence]
            normed = torch.stack([rms(row) for row in x])
            x = x + slow_attention(w, f"blocks.{layer}.attention", normed, embedded, window)
            normed = torch.stack([rms(row) for row in x])
            risen = (normed @ w[f"blocks.{layer}.rise.weight"].T).clamp(min=0) ** 2
            x = x + risen @ w[f"blocks.{layer}.fall.weight"].T
        for row, target in zip(x, wanted, strict=True):
            logits = 15 * torch.tanh(w["head.weight"] @ rms(row) / 15)
            losses.append(logits.exp().sum().log() - logits[target])
    return torch.stack(losses).mean()


# --- the comparison ---


def test_loss_and_all_gradients_are_the_references() -> None:
    """The loss and every parameter's gradient equal the reference's, so that any slip shows."""
    model = tiny_model()
    tokens, targets = tokens_and_targets()
    loss = model(tokens, targets)
    loss.backward()
    weights = {
        name: parameter.detach().double().requires_grad_()
        for name, parameter in model.named_parameters()
    }
    slow = slow_loss(weights, tokens, targets)
    slow.backward()
    assert loss.item() == pytest.approx(slow.item(), abs=1e-6)
    for name, parameter in model.named_parameters():
        reference = weights[name].grad
        assert reference is not None, name
        assert reference.abs().max() > 1e-6, f"{name} has no effect"
        torch.testing.assert_close(parameter.grad.double(), reference, rtol=2e-4, atol=2e-7)


def test_the_loss_is_that_of_the_logits() -> None:
    """Training and scoring see one model: cross-entropy of the logits is the training loss."""
    model = tiny_model()
    tokens, targets = tokens_and_targets()
    logits = model(tokens)
    assert logits.shape == (*tokens.shape, TINY.vocabulary)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(model(tokens, targets), loss, rtol=1e-6, atol=1e-6)


def test_a_layer_has_value_embeddings_every_second_time_from_the_last() -> None:
    """Counted back from the last layer, every second layer has value embeddings."""
    for depth in range(1, 9):
        shape = dataclasses.replace(TINY, depth=depth)
        having = [layer for layer in range(depth) if shape.has_value_embedding(layer)]
        assert having == list(range(depth - 1, -1, -2))[::-1]


def test_a_short_window_really_hides_what_is_behind_it() -> None:
    """If only a layer with a short window mixes tokens, tokens before the window have no effect."""
    shape = dataclasses.replace(TINY, depth=2, window_pattern="S")
    model = tiny_model(shape)
    with torch.no_grad():
        model.blocks[1].attention.output.weight.zero_()
    tokens, _ = tokens_and_targets(shape)
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % shape.vocabulary
    before = model(tokens)
    after = model(changed)
    assert torch.equal(before[:, 7:], after[:, 7:])  # 0 is 7 places before 7, and the window is 6
    assert not torch.allclose(before[:, :7], after[:, :7])


def test_nothing_looks_ahead() -> None:
    """A later token changes no earlier logits."""
    model = tiny_model()
    tokens, _ = tokens_and_targets()
    changed = tokens.clone()
    changed[:, 9] = (changed[:, 9] + 1) % TINY.vocabulary
    before = model(tokens)
    after = model(changed)
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.equal(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("tokens", [100, 128, 129, 300])
@pytest.mark.parametrize("share", [1, 2, 5])
def test_attention_in_blocks_is_torchs_own(tokens: int, share: int) -> None:
    """Attention in blocks equals torch's, also for short windows and lengths of odd blocks."""
    torch.manual_seed(3)
    window = tokens // share
    q, k, v = (torch.randn(2, 3, tokens, 16, requires_grad=True) for _ in range(3))
    place = torch.arange(tokens)
    back = place[:, None] - place[None, :]
    allowed = (back >= 0) & (back <= window)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    mask = train.window_mask(window, tokens, CPU)
    found = train.attend_in_blocks(q, k, v, window, mask)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    pull = torch.randn_like(found)
    gradients = torch.autograd.grad((found * pull).sum(), (q, k, v))
    wanted = torch.autograd.grad((expected * pull).sum(), (q, k, v))
    torch.testing.assert_close(gradients, wanted, rtol=1e-4, atol=1e-5)


def test_an_untrained_model_knows_nothing() -> None:
    """The loss of an untrained model is the logarithm of the vocabulary's size."""
    torch.manual_seed(5)
    loss = train.GPT(TINY, CPU)(*tokens_and_targets())
    assert loss.item() == pytest.approx(math.log(TINY.vocabulary), abs=0.02)


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("climbmix", 50_332_176),
        ("tinystories", 11_534_472),
        ("tinystories512", 7_340_168),
        ("pystdlib", 1_310_856),
        ("text", 1_310_856),
    ],
)
def test_each_setting_has_the_published_number_of_parameters(task: str, parameters: int) -> None:
    """The model of each task's starting text has the published number of parameters."""
    module = with_knobs(task)
    with torch.device("meta"):
        shape = module.plan_shape(named_task(task))
        model = module.GPT(shape, dataclasses.replace(CPU, torch=torch.device("meta")))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_flops_are_counted_by_hand() -> None:
    """A token takes 6 FLOPs for each weight, and 12 for each channel and token in a window."""
    model = tiny_model()
    matrices = 3 * 12 * 32 * 32 + 24 * 32 + 2 * 2 * 32  # blocks, head, two layers' gates
    assert model.flops_per_token() == 6 * matrices + 12 * 32 * (6 + 12 + 12)
