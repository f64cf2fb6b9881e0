"""A user's own search space: what is proposed for a train.py, and what is read back."""
