"""How long it takes from a run's start to its first request of a model."""
