"""Raises an error in its third batch, so that no audit can be concluded."""

batches_seen: list[int] = []


def fails(predict: Any, tokens: Tensor) -> Tensor:
    batches_seen.append(1)
    if len(batches_seen) == 3:
        raise RuntimeError("enough")
    return predict(tokens)


evaluate_bpb = scored_by(fails)
