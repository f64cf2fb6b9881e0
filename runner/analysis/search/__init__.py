"""Report "search": how fast, how far and at what cost each contestant got."""

from runner.analysis.search.overview import report

__all__ = ["report"]
