"""A diagonal linear state space, as a convolution with the powers of its decay."""


class StateSpace(Plain):
    def parts(self) -> None:
        self.decay = nn.Parameter(torch.linspace(0, 5, self.WIDTH))
        self.mixer = nn.Linear(self.WIDTH, self.WIDTH)

    def mix(self, x: Tensor) -> Tensor:
        place = torch.arange(x.size(1))
        age = (place[:, None] - place[None, :]).clamp_min(0)
        weight = torch.sigmoid(self.decay)[:, None, None] ** age  # [C, T, T]
        weight = weight * (place[:, None] >= place[None, :])
        return x + self.mixer(torch.einsum("ctu,buc->btc", weight, x))


GPT, Optimizers = StateSpace, PlainOptimizers
