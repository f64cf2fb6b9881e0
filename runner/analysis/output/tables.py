"""Tables as CSV, Markdown and LaTeX.

The names of contestants, and what they wrote, may be made to mislead: a spreadsheet runs no cell
of them, Markdown shows no HTML, links or code of theirs, and LaTeX runs no command.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable

from runner.analysis.output.cells import is_number, plain, shown
from runner.analysis.report import Table
from runner.results.markdown import harmless, table_line
from runner.results.tables import safe

LATEX = {
    "$": r"\char36{}",  # \$ takes it from fonts that a small TeX has as bitmaps alone
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': "{''}",  # the sign itself needs another encoding of fonts
    "-": "{-}", "`": "{`}", "'": "{'}",  # no two of them become another sign
    "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}",
    "−": r"$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\rightarrow$", "∞": r"$\infty$", "√": r"$\surd$",
    "²": "$^2$", "³": "$^3$", "°": r"$^\circ$", "½": "1/2", "Δ": r"$\Delta$", "Σ": r"$\Sigma$",
    "α": r"$\alpha$", "β": r"$\beta$", "η": r"$\eta$", "κ": r"$\kappa$", "μ": r"$\mu$",
    "µ": r"$\mu$", "ρ": r"$\rho$", "σ": r"$\sigma$", "τ": r"$\tau$", "χ": r"$\chi$",
    "ω": r"$\omega$", "ß": r"\ss{}", "æ": r"\ae{}", "ø": r"\o{}", "ł": r"\l{}",
}  # fmt: skip
MINUS = re.compile(r"(?<![\w.-])-(?=\.?\d)")
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip


def as_csv(table: Table) -> str:
    """All digits; what is not known is an empty cell. A spreadsheet runs nothing of it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe(str(name)) for name in table.rows.columns])
    for row in table.rows.itertuples(index=False, name=None):
        writer.writerow(["" if (cell := plain(each)) is None else safe(cell) for each in row])
    return text.getvalue()


def as_markdown(table: Table) -> str:
    """A table with its title and its notes."""
    lines = [
        f"**{harmless(table.title)}**",
        "",
        table_line(harmless(str(name)) or " " for name in table.rows.columns),
        table_line("---:" if numeric else "---" for numeric in numeric_columns(table)),
        *(table_line(row) for row in _rows(table, harmless)),
        "",
        *(f"- {harmless(note)}" for note in table.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def as_latex(table: Table) -> str:
    """A `tabular` that needs no package; its characters are ASCII."""
    headings = " & ".join(f"\\textbf{{{latex(str(name))}}}" for name in table.rows.columns)
    lines = [
        "% " + latex(table.title),
        *(f"% {latex(note)}" for note in table.notes),
        f"\\begin{{tabular}}{{{''.join('lr'[it] for it in numeric_columns(table)) or 'l'}}}",
        "\\hline",
        f"{headings} \\\\",
        "\\hline",
        # A row that begins with [ would be read as an option of the row before.
        *(f"{{}}{' & '.join(row)} \\\\" for row in _rows(table, latex)),
        "\\hline",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Text as LaTeX sets it; a character that plain LaTeX lacks becomes its number, U+4E2D."""
    return "".join(map(_latex_character, MINUS.sub("−", " ".join(text.split()))))


def _latex_character(char: str) -> str:
    if char in LATEX:
        return LATEX[char]
    if char.isascii():
        return char if char.isprintable() else ""
    parts = unicodedata.normalize("NFD", char)
    base, accent = parts[0], parts[1:]
    if accent in ACCENTS and base.isascii() and base.isalpha():
        dotless = {"i": "\\i", "j": "\\j"}.get(base, base)
        return f"\\{ACCENTS[accent]}{{{dotless}}}"
    return f"U+{ord(char):04X}"


def numeric_columns(table: Table) -> list[bool]:
    """Whether each column holds numbers, as far as it holds anything."""
    rows = table.rows
    cells = ([each for each in rows.iloc[:, at] if plain(each) is not None]
             for at in range(rows.shape[1]))  # fmt: skip
    return [bool(column) and all(map(is_number, column)) for column in cells]


def _rows(table: Table, written: Callable[[str], str]) -> list[list[str]]:
    """The cells, as a format writes them."""
    return [
        [written(shown(cell)) for cell in row]
        for row in table.rows.itertuples(index=False, name=None)
    ]
