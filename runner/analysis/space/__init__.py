"""Report "space": which part of a gain came from inside the baselines' space."""

from runner.analysis.space.report import report

__all__ = ["report"]
