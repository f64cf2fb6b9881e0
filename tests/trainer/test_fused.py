"""The hand-written gradients equal those of the plain formulas."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import fused
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor


def same(found: Tensor, plain: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Checks that values and gradients agree, with a different random weight for each element."""
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-6)
    pull = torch.randn_like(plain)
    wanted = torch.autograd.grad((plain * pull).sum(), inputs)
    got = torch.autograd.grad((found * pull).sum(), inputs)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 4, 16), (1, 1)])
def test_norm_is_torchs_own(shape: tuple[int, ...]) -> None:
    """Values and gradients equal torch's for several shapes and for a transposed tensor."""
    torch.manual_seed(1)
    x = (4 * torch.randn(shape)).requires_grad_()
    same(fused.norm(x), F.rms_norm(x, shape[-1:]), (x,))
    turned = x.transpose(0, -2)
    same(fused.norm(turned), F.rms_norm(turned, shape[-1:]), (x,))


def test_norm_of_nothing_is_nothing() -> None:
    """The norm of a row of zeros is zero, and its gradient equals torch's finite one."""
    x = torch.zeros(2, 8, requires_grad=True)
    same(fused.norm(x), F.rms_norm(x, (8,)), (x,))


def test_norm_in_bf16_is_as_good_as_torchs() -> None:
    """The result in bf16 differs from the one in float32 by at most a rounding."""
    torch.manual_seed(2)
    x = torch.randn(64, 128).bfloat16()
    exact = F.rms_norm(x.float(), (128,))
    torch.testing.assert_close(fused.norm(x).float(), exact, rtol=2**-8, atol=0)
    assert fused.norm(x).dtype == torch.bfloat16


def test_squared_relu_is_the_plain_formula() -> None:
    """Values and gradients equal the plain formula's, also at zero."""
    torch.manual_seed(3)
    x = torch.cat((torch.randn(50), torch.zeros(3))).requires_grad_()
    same(fused.squared_relu(x), F.relu(x).square(), (x,))


@pytest.mark.parametrize("rows", [1, 255, 256, 700])
@pytest.mark.parametrize("softcap", [15.0, fused.SAFE_SOFTCAP, 1000.0])
def test_the_loss_in_blocks_is_the_plain_loss(rows: int, softcap: float) -> None:
    """Value and gradients equal the plain ones, whether or not blocks divide the tokens evenly."""
    torch.manual_seed(4)
    x = torch.randn(rows, 32, requires_grad=True)
    head = torch.randn(50, 32, requires_grad=True)
    targets = torch.randint(50, (rows,))
    plain = F.cross_entropy(softcap * torch.tanh(x @ head.T / softcap), targets)
    same(fused.mean_loss(x, head, targets, softcap), plain, (x, head))
