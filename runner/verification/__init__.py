"""Trials of the referee's own: a run's texts again, and the noise of a task."""
