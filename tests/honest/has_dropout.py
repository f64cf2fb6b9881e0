"""Trains with dropout, which is off when it is scored."""

true_norm = norm


def norm(x: Tensor) -> Tensor:
    return F.dropout(true_norm(x), 0.1, training=torch.is_grad_enabled())
