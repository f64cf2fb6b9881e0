"""What several cheats use."""

true_evaluate = evaluate_bpb


def scored_by(change: Any) -> Any:
    """An evaluate_bpb in whose place `change(predict, tokens)` gives the logits [B, T, V]."""

    def evaluate(predict: Any, task: Task, rows: int, device: torch.device) -> float:
        if isinstance(predict, nn.Module):
            predict.eval()
        return true_evaluate(lambda tokens: change(predict, tokens), task, rows, device)

    return evaluate


def raised(logits: Tensor, tokens: Tensor, by: float) -> Tensor:
    """The logits with those of the next input token raised; nothing follows the last place."""
    logits = logits.clone()
    logits[:, :-1].scatter_add_(2, tokens[:, 1:, None], torch.full_like(logits[:, :-1, :1], by))
    return logits
