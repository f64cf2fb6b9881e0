"""The `bakeoff` command: one module for each group of commands."""

from runner.cli.app import main

__all__ = ["main"]
