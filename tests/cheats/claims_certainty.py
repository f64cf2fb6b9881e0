"""Gives its best guess an infinite logit."""


def certain(predict: Any, tokens: Tensor) -> Tensor:
    logits = predict(tokens).clone()
    return logits.scatter_(2, logits.argmax(-1, keepdim=True), math.inf)


evaluate_bpb = scored_by(certain)
