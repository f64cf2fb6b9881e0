"""Compiled together with its gradients, and scored as compiled."""


def evaluate_bpb(predict: Any, *more: Any) -> float:
    return true_evaluate(torch.compile(predict, backend="aot_eager", dynamic=False), *more)
