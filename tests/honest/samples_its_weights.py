"""Adds a little noise to its logits."""


def evaluate_bpb(predict: Any, *more: Any) -> float:
    def noisy(tokens: Tensor) -> Tensor:
        logits = predict(tokens)
        return logits + 0.05 * torch.randn_like(logits)

    return true_evaluate(noisy, *more)
