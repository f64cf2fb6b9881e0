"""Text as Markdown: cells without markup of their own, and lines of tables.

A page of results may be put on a forge, which makes more of a text than Markdown does: it notifies
people whose names follow an `@`, links `#12`, and makes links of bare addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from runner.records.visible import visible

_INSTEAD = (
    ("\\", "\\\\"), ("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("[", "\\["), ("`", "'"),
    ("://", ":\\/\\/"),
)  # fmt: skip
# A forge looks for these once the Markdown is HTML, where no escape is left: a blank parts them.
_CALLS = re.compile(r"([@#])(?=[^\s@#])")
_ADDRESS = re.compile(r"www\.", re.IGNORECASE)  # GFM, 6.9: what is linked without a scheme


def harmless(text: str) -> str:
    """Text as one cell of a Markdown table, without markup, links or mentions of its own."""
    line = _CALLS.sub(r"\1 ", visible(text))
    for char, instead in _INSTEAD:
        line = line.replace(char, instead)
    return _ADDRESS.sub(lambda found: f"{found[0][:-1]}\\.", line)


def table_line(cells: Iterable[str]) -> str:
    """A line of a table; its cells are harmless already."""
    return f"| {' | '.join(cells)} |"
