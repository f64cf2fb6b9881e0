"""Two layers of a recurrent network with dropout between them."""


class Recurrent(Plain):
    def parts(self) -> None:
        self.recurrent = nn.LSTM(self.WIDTH, self.WIDTH, 2, batch_first=True, dropout=0.2)

    def mix(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0]


GPT, Optimizers = Recurrent, PlainOptimizers
