"""Report "knobs": which knobs matter, where trials lie among them, and value against dollars."""

from runner.analysis.knobs.overview import report

__all__ = ["report"]
