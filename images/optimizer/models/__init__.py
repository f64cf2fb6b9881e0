"""A language model as an optimiser uses it: prompts out, answers in, every answer kept."""
