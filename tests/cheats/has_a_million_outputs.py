"""Claims a vocabulary of a million tokens, so that the judge would need gigabytes."""

evaluate_bpb = scored_by(lambda _predict, tokens: torch.zeros(1).expand(*tokens.shape, 1_000_000))
