"""The mean of the chances of two models: the trained one, and one of pairs of tokens."""


def evaluate_bpb(predict: Any, task: Task, rows: int, device: torch.device) -> float:
    counts = torch.full((task.vocabulary, task.vocabulary), 0.02)
    for _, (tokens, targets, _) in zip(range(40), batches(task, 16, device), strict=False):
        pairs = tokens.flatten() * task.vocabulary + targets.flatten()
        counts.view(-1).scatter_add_(0, pairs, torch.ones_like(pairs, dtype=torch.float32))
    likely = counts / counts.sum(1, keepdim=True)

    def both(tokens: Tensor) -> Tensor:
        return (predict(tokens).softmax(-1) + likely[tokens]).log()

    return true_evaluate(both, task, rows, device)
