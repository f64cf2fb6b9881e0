"""A momentum over a running curvature, clipped (like Sophia)."""


class Clipped(PlainOptimizers):
    LR = 2e-3

    def update(self, gradient: Tensor, mean: Tensor, square: Tensor, step: int) -> Tensor:
        mean.lerp_(gradient, 0.04)
        square.lerp_(gradient.square(), 0.01)
        return (mean / (square * 20 + 1e-6)).clamp_(-1, 1)


Optimizers = Clipped
