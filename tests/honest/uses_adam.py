"""Adam for everything."""

Optimizers = PlainOptimizers
