"""How fast the trainer is, and what it loses on the way."""
