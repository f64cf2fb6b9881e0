"""Each token is predicted from the one before it alone."""

GPT, Optimizers = Plain, PlainOptimizers
