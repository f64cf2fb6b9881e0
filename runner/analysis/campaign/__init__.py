"""Report "campaign": all runs of a comparison as one campaign. docs/analysis/campaign.md."""

from runner.analysis.campaign.report import report

__all__ = ["report"]
