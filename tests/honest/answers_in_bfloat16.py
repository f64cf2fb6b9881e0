"""Hands out its logits in bfloat16."""


def evaluate_bpb(predict: Any, *more: Any) -> float:
    return true_evaluate(lambda tokens: predict(tokens).to(torch.bfloat16), *more)
