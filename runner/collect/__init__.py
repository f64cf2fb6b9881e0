"""Copies what a run's containers hold into the run's directory."""
