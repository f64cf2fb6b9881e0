"""Text as Markdown: cells without markup of their own, and lines of tables."""

from __future__ import annotations

from collections.abc import Iterable


def harmless(text: str) -> str:
    """Text as one cell of a Markdown table, without markup of its own."""
    line = " ".join(text.split())
    for char, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("[", "\\["), ("`", "'")):
        line = line.replace(char, instead)
    return line.encode("utf-8", "replace").decode("utf-8")


def table_line(cells: Iterable[str]) -> str:
    """A line of a table; its cells are harmless already."""
    return f"| {' | '.join(cells)} |"
