"""A recurrent network, one token after the other."""


class Recurrent(Plain):
    def parts(self) -> None:
        self.recurrent = nn.GRU(self.WIDTH, self.WIDTH, batch_first=True)

    def mix(self, x: Tensor) -> Tensor:
        return x + self.recurrent(x)[0]


GPT, Optimizers = Recurrent, PlainOptimizers
