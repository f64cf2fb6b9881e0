"""Four experts, of which each token takes one; none is ever full, so rows do not compete."""


class Experts(Plain):
    def parts(self) -> None:
        self.gate = nn.Linear(self.WIDTH, 4)
        self.experts = nn.ModuleList(nn.Linear(self.WIDTH, self.WIDTH) for _ in range(4))

    def mix(self, x: Tensor) -> Tensor:
        chance = self.gate(x).softmax(-1)  # [B, T, E]
        best = chance.argmax(-1, keepdim=True)
        all_of_them = torch.stack([torch.relu(expert(x)) for expert in self.experts], -2)
        chosen = all_of_them.gather(-2, best[..., None].expand(*best.shape, self.WIDTH))
        return x + chosen.squeeze(-2) * chance.gather(-1, best)


GPT, Optimizers = Experts, PlainOptimizers
