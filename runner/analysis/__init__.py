"""What the studies of the field report, made of runs and imported results. docs/analysis.md."""
