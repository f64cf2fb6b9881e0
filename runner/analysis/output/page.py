"""The pages: one file each, which works offline, on a phone, and without scripts too.

Names and texts of contestants are escaped by the template. If one got through, the page's policy
would still forbid it to run, to load anything, or to send anything: scripts and styles are allowed
by their hashes alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from runner import __version__
from runner.analysis.comparison import Comparison, Section
from runner.analysis.output.cells import is_number, plain, shown
from runner.analysis.output.figures import DPI, Picture
from runner.analysis.output.findings import source_of
from runner.analysis.output.tables import numeric_columns
from runner.analysis.report import Figure, Table
from runner.records.schema import PromptRecord
from runner.records.visible import visible

HERE = Path(__file__).parent
LONGEST_TABLE = 200  # rows on a page; the CSV file has all of them
LONGEST_TEXT = 20_000  # characters of a prompt on a page; its file has all of them
LONGEST_LINE = 32  # characters of a cell that stay on one line
CODE = re.compile("`([^`]*)`")
CSS_PIXELS = 96  # to the inch
CONTESTANT = "contestant"  # the column by which rows are filtered


@dataclass(frozen=True)
class ShownCell:
    """A cell; `key` is what its column is sorted by, where that is not its text."""

    text: str
    key: str = ""

    @property
    def is_long(self) -> bool:
        """Whether the text may take several lines."""
        return len(self.text) > LONGEST_LINE


@dataclass(frozen=True)
class ShownTable:
    """A table as the template needs it.

    Attributes:
        source: the table.
        headings: the columns' names.
        numeric: whether each column holds numbers.
        rows: the contestant of each row, if the table has such a column, and its cells.
        left_out: how many more rows there are.
        file: the CSV file.
    """

    source: Table
    headings: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, tuple[ShownCell, ...]], ...]
    left_out: int
    file: str


@dataclass(frozen=True)
class ShownFigure:
    """A figure with its picture and the name of its PDF file."""

    source: Figure
    picture: Picture
    file: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, in CSS pixels."""
        shown = (self.picture.width, self.picture.height)
        width, height = (round(pixels * CSS_PIXELS / DPI) for pixels in shown)
        return width, height

    @property
    def address(self) -> str:
        """The picture itself, as an address."""
        return "data:image/png;base64," + base64.b64encode(self.picture.content).decode()


@dataclass(frozen=True)
class ShownPrompts:
    """What the agent of a run was told at its start, and the file that has all of it, if any."""

    contestant: str
    run: str
    file: str
    prompts: Sequence[PromptRecord]


@dataclass(frozen=True)
class PageContent:
    """What a page shows.

    Attributes:
        comparison: what was found.
        figures: name of a section → its figures.
        prompts: for the first run of each agent.
        others: name of each comparison → its page; of this one too.
        problems: what could not be read.
    """

    comparison: Comparison
    figures: Mapping[str, Sequence[ShownFigure]] = field(default_factory=dict)
    prompts: Sequence[ShownPrompts] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()


def comparison_page(content: PageContent) -> str:
    """The page of a comparison, as HTML."""
    tables = {
        section.name: [_shown_table(section, table) for table in section.tables]
        for section in content.comparison.sections
    }
    return _render("page.html", content=content, comparison=content.comparison, tables=tables)


def overview_page(comparisons: Sequence[Comparison], problems: Sequence[str]) -> str:
    """The page that leads to those of several comparisons, or says that there is none."""
    return _render("overview.html", comparisons=comparisons, problems=problems)


def _render(template: str, **values: object) -> str:
    style, script = (_part(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template(template).render(
        policy=policy, style=Markup(style), script=Markup(script), version=__version__, **values
    )  # fmt: skip


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["source_of"] = source_of
    made.filters["visible"] = visible
    made.filters["prose"] = _prose
    made.filters["bounded"] = _bounded
    made.filters["file_name"] = lambda path: path.rpartition("/")[2]
    return made


@cache
def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """How the page's policy names a script or a style (CSP Level 3, hash-source)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _prose(text: str) -> Markup:
    """A sentence; what stands between backticks is set as code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(visible(text)))))


def _bounded(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT} more characters: see the file"


def _shown_table(section: Section, table: Table) -> ShownTable:
    headings = tuple(shown(name) for name in table.rows.columns)
    numeric = tuple(numeric_columns(table))
    by = headings.index(CONTESTANT) if CONTESTANT in headings else None
    rows = []
    for row in table.rows.head(LONGEST_TABLE).itertuples(index=False, name=None):
        cells = tuple(ShownCell(shown(each), _key(each)) for each in row)
        rows.append(("" if by is None else cells[by].text, cells))
    left_out = max(0, len(table.rows) - LONGEST_TABLE)
    file = section.files.get(table.name, "")
    return ShownTable(table, headings, numeric, tuple(rows), left_out, file)


def _key(cell: object) -> str:
    return str(float(plain(cell))) if is_number(cell) else ""
