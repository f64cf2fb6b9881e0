"""Parts of a GPT, each as one step of differentiation with its gradient worked out by hand. Fixed.

On a CPU nothing compiles a model, and what torch makes of these formulas, one pass through memory
an operation, takes as long as the matrix products do. On other devices the plain formulas are
used, which their compilers fuse. A train.py may take any of them or write its own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

LOSS_BLOCK = 256  # tokens whose logits stay in a CPU's cache
SAFE_SOFTCAP = 60.0  # the sum of a vocabulary's e^softcap stays far within float32


def norm(x: Tensor) -> Tensor:
    """RMSNorm over the last axis, without weights."""
    return _Norm.apply(x) if x.device.type == "cpu" else F.rms_norm(x, (x.size(-1),))


def squared_relu(x: Tensor) -> Tensor:
    """relu², element by element."""
    return _SquaredRelu.apply(x) if x.device.type == "cpu" else F.relu(x).square()


def mean_loss(x: Tensor, head: Tensor, targets: Tensor, softcap: float) -> Tensor:
    """The mean cross-entropy in nats of softcapped logits, for training.

    A score is not made with it: the judge is given the logits and takes their softmax itself.

    Args:
        x: what the model made of N tokens, [N, C].
        head: float32, [V, C]; logits are x·headᵀ, held within ±softcap by a tanh.
        targets: the token that comes next, [N].
        softcap: the height of the cap.
    """
    if x.device.type == "cpu" and softcap <= SAFE_SOFTCAP:
        return _MeanLoss.apply(x, head, targets, softcap)
    logits = F.linear(x, head.to(x.dtype)).float()
    return F.cross_entropy(softcap * torch.tanh(logits / softcap), targets)


class _Norm(torch.autograd.Function):
    """y = x·s with s = 1/√(mean(x²) + ε), and dx = s·(dy - y·mean(dy·y))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        wide = x.float()
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        scale = squares.div_(x.size(-1)).add_(torch.finfo(torch.float32).eps).rsqrt_()
        normed = (wide * scale).to(x.dtype)
        ctx.save_for_backward(normed, scale.to(x.dtype))
        return normed

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Tensor:
        normed, scale = ctx.saved_tensors
        along = (outer * normed).mean(-1, keepdim=True)
        return torch.addcmul(outer, normed, along, value=-1).mul_(scale)


class _SquaredRelu(torch.autograd.Function):
    """y = r² with r = max(x, 0), and dx = 2·r·dy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        risen = x.relu()
        ctx.save_for_backward(risen)
        return risen * risen

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Tensor:
        (risen,) = ctx.saved_tensors
        return (outer * risen).mul_(2)


class _MeanLoss(torch.autograd.Function):
    """Head, softcap and cross-entropy, a block of tokens at a time.

    Whole, the logits and what is made of them cost as much as the blocks of a small model: they do
    not fit a cache. The gradient is made in the same pass, while a block is there. With s the
    squashed logits and p their softmax at softcap·s, the slope of the loss before the tanh is
    softcap·(p - target)·(1 - s²).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, softcap: float) -> Tensor:
        head, total = (weight / softcap).to(x.dtype), x.new_zeros((), dtype=torch.float32)
        x_gradient, head_gradient = torch.empty_like(x), torch.zeros_like(weight)
        blocks = [part.split(LOSS_BLOCK) for part in (x, targets.unsqueeze(1), x_gradient)]
        for some, target, gradient in zip(*blocks, strict=True):
            squashed = F.linear(some, head).float().tanh_()
            likely = (squashed * softcap).exp_()  # at most e^softcap: no largest is subtracted
            sums = likely.sum(1, keepdim=True)
            total += (sums.log() - softcap * squashed.gather(1, target)).sum()
            likely.div_(sums).scatter_add_(1, target, sums.new_full((len(some), 1), -1))
            slope = likely.addcmul_(likely, squashed.square_(), value=-1).to(x.dtype)
            torch.mm(slope, head, out=gradient)
            head_gradient += slope.T @ some
        ctx.save_for_backward(x_gradient * (softcap / len(x)), head_gradient / len(x))
        return total / len(x)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x_gradient, head_gradient = ctx.saved_tensors
        return x_gradient * outer.to(x_gradient.dtype), head_gradient * outer, None, None
