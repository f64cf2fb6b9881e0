"""One matrix embeds the tokens and is the head."""


class Tied(Plain):
    def __init__(self, shape: Shape, device: Device) -> None:
        super().__init__(shape, device)
        self.mixer = nn.Conv1d(self.WIDTH, self.WIDTH, 4)
        self.head.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=0.05)

    def mix(self, x: Tensor) -> Tensor:
        return x + self.mixer(F.pad(x.mT, (3, 0))).mT


GPT, Optimizers = Tied, PlainOptimizers
