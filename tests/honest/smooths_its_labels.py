"""Trains towards smoothed targets."""

true_forward = GPT.forward


def forward(self: GPT, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
    logits = true_forward(self, tokens)
    if targets is None:
        return logits
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=0.1)


GPT.forward = forward
