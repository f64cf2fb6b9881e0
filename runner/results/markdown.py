"""Text as Markdown: cells without markup of their own, and lines of tables."""

from __future__ import annotations

from collections.abc import Iterable

from runner.results.visible import visible

_INSTEAD = (
    ("\\", "\\\\"), ("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("[", "\\["), ("`", "'"),
)  # fmt: skip


def harmless(text: str) -> str:
    """Text as one cell of a Markdown table, without markup of its own."""
    line = visible(text)
    for char, instead in _INSTEAD:
        line = line.replace(char, instead)
    return line


def table_line(cells: Iterable[str]) -> str:
    """A line of a table; its cells are harmless already."""
    return f"| {' | '.join(cells)} |"
