"""The methods that propose trials with a language model (docs/optimisers.md)."""
