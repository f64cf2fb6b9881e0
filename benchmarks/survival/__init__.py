"""Faults of every kind under real runs: what is lost, what is left, and how exact budgets stay."""
