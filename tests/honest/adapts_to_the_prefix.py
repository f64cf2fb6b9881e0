"""Favours the tokens that the row has had so far, place by place: adaptation that is causal."""


def evaluate_bpb(predict: Any, *more: Any) -> float:
    def adapted(tokens: Tensor) -> Tensor:
        logits = predict(tokens)
        had = F.one_hot(tokens, logits.size(-1)).float().cumsum(1)
        return logits + 0.5 * (had + 1).log()

    return true_evaluate(adapted, *more)
