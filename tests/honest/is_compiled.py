"""Compiled, with a backend that needs no compiler."""

true_train = train


def train(model: Any, *more: Any) -> Progress:
    return true_train(torch.compile(model, backend="eager", dynamic=False), *more)
