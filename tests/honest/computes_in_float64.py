"""Is scored in float64, and hands out float64."""


def evaluate_bpb(predict: Any, *more: Any) -> float:
    predict.double()
    predict.dtype = torch.float64
    position = predict.position
    position.cos, position.sin = position.cos.double(), position.sin.double()
    position.masks = {window: mask.double() for window, mask in position.masks.items()}
    return true_evaluate(predict, *more)
