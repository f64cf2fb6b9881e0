"""The sign of a momentum (Lion)."""


class Lion(PlainOptimizers):
    LR = 1e-3

    def update(self, gradient: Tensor, mean: Tensor, square: Tensor, step: int) -> Tensor:
        direction = torch.sign(mean.lerp(gradient, 0.1))
        mean.lerp_(gradient, 0.01)
        return direction


Optimizers = Lion
