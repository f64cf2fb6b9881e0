"""Asks for batches of one row."""


def evaluate_bpb(predict: Any, task: Task, rows: int, device: torch.device) -> float:
    return true_evaluate(predict, task, 1, device)
