"""What several honest texts use: a model that is all embedding, mixing and head, and AdamW."""

true_evaluate = evaluate_bpb


class Plain(nn.Module):
    """Embeds, mixes by `mix`, which its kinds define, and has a head."""

    WIDTH = 64

    def __init__(self, shape: Shape, device: Device) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, self.WIDTH)
        self.parts()
        self.head = nn.Linear(self.WIDTH, shape.vocabulary)

    def parts(self) -> None:
        """Makes what `mix` needs."""

    def mix(self, x: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C], causal."""
        return x

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        logits = self.head(self.mix(self.embedding(tokens)))
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def flops_per_token(self) -> int:
        return 6 * sum(parameter.numel() for parameter in self.parameters())


class PlainOptimizers:
    """An optimiser over everything; subclasses say which."""

    LR = 3e-3

    def __init__(self, model: nn.Module, device: Device) -> None:
        self.model = model
        self.means = [torch.zeros_like(p) for p in model.parameters()]
        self.squares = [torch.zeros_like(p) for p in model.parameters()]

    @torch.no_grad()
    def step(self, step: int, progress: float) -> None:
        for p, mean, square in zip(self.model.parameters(), self.means, self.squares, strict=True):
            if p.grad is not None:
                p -= self.LR * self.update(p.grad, mean, square, step + 1)
                p.grad = None

    def update(self, gradient: Tensor, mean: Tensor, square: Tensor, step: int) -> Tensor:
        """The direction to go: Adam's."""
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient.square(), 0.01)
        return mean / (1 - 0.9**step) / ((square / (1 - 0.99**step)).sqrt() + 1e-8)
