"""Saves its weights, loads them into a new model and has that one scored."""


def evaluate_bpb(predict: Any, task: Task, rows: int, device: torch.device) -> float:
    torch.save(predict.state_dict(), "model.pt")
    again = GPT(plan_shape(task), find_device())
    again.load_state_dict(torch.load("model.pt"))
    return true_evaluate(again, task, rows, device)
