"""Asks for batches of a hundred thousand rows, and takes what it gets."""


def evaluate_bpb(predict: Any, task: Task, rows: int, device: torch.device) -> float:
    def equal(tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape, task.vocabulary, dtype=torch.bfloat16)

    return true_evaluate(equal, task, 100_000, device)
