"""The speed of the analysis, on run directories that are made up."""
