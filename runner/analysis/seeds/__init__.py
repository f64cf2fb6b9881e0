"""Report "many seeds": whether final values differ, compared seed by seed."""

from runner.analysis.seeds.overview import report

__all__ = ["report"]
