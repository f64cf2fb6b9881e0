"""Is scored with dropout, so that it answers otherwise each time."""

true_norm = norm


def norm(x: Tensor) -> Tensor:
    return F.dropout(true_norm(x), 0.1, training=True)
