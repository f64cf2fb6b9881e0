"""Adds a constant to all logits of a place, which no chance depends on."""


def evaluate_bpb(predict: Any, *more: Any) -> float:
    return true_evaluate(lambda tokens: predict(tokens) * 1.0 + 300.0, *more)
