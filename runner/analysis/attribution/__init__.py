"""Report 3: which part of a gain came from inside the baselines' space."""

from runner.analysis.attribution.report import report

__all__ = ["report"]
