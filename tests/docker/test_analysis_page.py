"""The analysis as people meet it: its pages in a browser, its tables in LaTeX.

The runs are made up: those of a campaign (benchmarks/analysis/runs.py), and those of contestants
who are named, and who write, to do harm.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis import runs
from runner.engine.client import Engine
from runner.records.files import append_line
from runner.records.schema import PromptRecord
from runner.records.visible import visible
from tests.analysis_rig import HOSTILE, write_run
from tests.docker.commands import BAKEOFF

from .page_rig import Reader, Visit, Visited

DESKTOP, PHONE = 1280, 390  # CSS pixels; the latter of most phones
# What people unfold is measured, too.
UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
WIDTH = "document.documentElement.scrollWidth"
TEXT = "document.body.innerText"
NO_PICTURE = "[...document.images].filter((each) => !each.naturalWidth).length"
SCRIPTS = "document.scripts.length"
RAN = "typeof window.ran"
LINKS = "[...document.links].map((each) => each.href)"
QUESTIONS = (UNFOLD, WIDTH, TEXT, NO_PICTURE, SCRIPTS, RAN, LINKS)
SORTED = """(() => {
  const table = [...document.querySelectorAll("table")].find((each) => each.rows.length > 4);
  const column = [...table.rows[1].cells].findIndex((each) => "key" in each.dataset);
  const said = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.key));
  const click = () => table.tHead.rows[0].cells[column].querySelector("button").click();
  click();
  const up = said();
  click();
  return [up, said()];
})()"""
FILTERED = """(() => {
  const input = document.getElementById("filter");
  input.value = "GPT";
  input.dispatchEvent(new Event("input", {bubbles: true}));
  const rows = [...document.querySelectorAll("tr[data-contestant]")];
  const left = new Set(rows.filter((row) => row.offsetParent).map((row) => row.dataset.contestant));
  input.value = "";
  input.dispatchEvent(new Event("input", {bubbles: true}));
  return [[...left], document.querySelector("output").textContent];
})()"""
BLANK = 0.995  # a page has this share of pixels in one colour at most
HARM = (
    *HOSTILE,
    "<img src=x onerror=window.ran=1>",
    "</script><script>window.ran=1</script>",
    "</title></style></textarea></details><script>window.ran=1</script>",
    "javascript:window.ran=1",
    "\\write18{id} \\def\\x{\\x}\\x %",
)


def analysed(folder: Path) -> Path:
    """The analysis of the runs in a folder, by the command."""
    paths = [str(folder / name) for name in ("runs", "out")]
    command = [str(BAKEOFF), "analyse", paths[0], "--out", paths[1], "--compute-usd-per-hour", "2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def reader(engine: Engine) -> Reader:
    """The browser and LaTeX."""
    return Reader(engine)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The analysis of a small campaign of three agents and three samplers."""
    folder = tmp_path_factory.mktemp("campaign")
    runs.make(folder / "runs", trials=360, seeds=3)
    return analysed(folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The analysis of agents whose names, words, knobs and prompts are all made to do harm."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(HARM):
        for seed in (1, 2, 3):
            said = [HARM[(number + step) % len(HARM)] for step in range(6)]
            each = [
                {"hypothesis": text, "category": text, "source": "agent",
                 "knobs_changed": {text: (text, f"{text} 2")}}
                for text in said
            ]  # fmt: skip
            values = [2.0 - 0.01 * number - 0.02 * step for step in range(6)]
            path = write_run(
                folder / "runs", f"r{number}-s{seed}", values, contestant=name, seed=seed,
                kind="agent", task="pystdlib" if number else HARM[0], each=each,
            )  # fmt: skip
            for prompt in ("first", name):
                append_line(path / "prompts.jsonl", PromptRecord(at=name, name=prompt, text=name))
    return analysed(folder)


@pytest.fixture(scope="module")
def seen(reader: Reader, campaign: Path) -> dict[str, Visited]:
    """The campaign's page on a desktop and on a phone."""
    desktop = Visit("desktop", width=DESKTOP, questions=(*QUESTIONS, SORTED, FILTERED))
    phone = Visit("phone", width=PHONE, height=844, mobile=True, questions=QUESTIONS)
    return reader.visit(campaign, [desktop, phone])


@pytest.fixture(scope="module")
def harmed(reader: Reader, hostile: Path) -> dict[str, Visited]:
    """All pages of the hostile analysis, on both."""
    pages = [path.name for path in sorted(hostile.glob("*.html"))]
    assert len(pages) > 2  # there are two comparisons and their overview
    return reader.visit(
        hostile,
        [Visit(f"{Path(page).stem}-{width}", page, width, 844, width == PHONE, QUESTIONS)
         for page in pages for width in (DESKTOP, PHONE)],
    )  # fmt: skip


def check(visited: Mapping[str, Visited]) -> None:
    """Nothing failed or was fetched, nothing is wider than the window, and nothing is blank."""
    for name, one in visited.items():
        width = PHONE if "phone" in name or name.endswith(str(PHONE)) else DESKTOP
        _, found, text, pictures_missing, scripts, ran, _ = one.answers[: len(QUESTIONS)]
        assert (one.errors, one.failed, one.dialogues) == ([], [], []), name
        assert [each for each in one.requests[1:] if not each.startswith("data:")] == [], name
        assert found <= width, f"{name}: {found} pixels wide"
        assert (pictures_missing, scripts, ran) == (0, 1, "undefined"), name
        assert len(text) > 100
        assert one.pixels.shape[1] == width
        assert share_of_one_colour(one) < BLANK, name


def share_of_one_colour(visited: Visited) -> float:
    """How much of a picture is in its most frequent colour."""
    levels = (visited.pixels * 255).astype(int)
    colours = levels[..., 0] << 16 | levels[..., 1] << 8 | levels[..., 2]
    return int(np.unique(colours, return_counts=True)[1].max()) / int(colours.size)


def test_a_page_opens_on_a_desktop_and_a_phone(seen: Mapping[str, Visited]) -> None:
    """No error, no request, all pictures, and no wider than a window of 1280 or 390 pixels."""
    check(seen)


def test_the_links_of_a_page_lead_somewhere(seen: Mapping[str, Visited], campaign: Path) -> None:
    """As the browser resolves them: to places of the page, or to files beside it."""
    links = [str(each).partition("/analysis/")[2] for each in seen["desktop"].answers[-3]]
    files = {each.partition("#")[0] for each in links}
    assert len(files) > 20
    assert [each for each in sorted(files) if not (campaign / each).is_file()] == []


def test_a_table_is_sorted_and_filtered(seen: Mapping[str, Visited]) -> None:
    """A click on a heading sorts by it, a second one the other way; words leave matching rows."""
    up, down = seen["desktop"].answers[-2]
    assert len(up) > 2
    assert up == sorted(up)
    assert down == sorted(up, reverse=True)
    assert seen["desktop"].answers[-1] == [["gpt"], ""]


def test_hostile_names_are_text(harmed: Mapping[str, Visited]) -> None:
    """Names, hypotheses, knobs and prompts show as they are written, and none of them runs."""
    check(harmed)
    text = " ".join(" ".join(one.answers[2] for one in harmed.values()).split())
    assert [name for name in HARM if " ".join(visible(name).split()) not in text] == []


def test_all_tables_compile(reader: Reader, campaign: Path, hostile: Path) -> None:
    """Those of both analyses are set by pdfLaTeX without a package, which reads no other file."""
    tables = {
        f"{number:03}-{path.name}": path.read_text()
        for number, path in enumerate(
            path for folder in (campaign, hostile) for path in sorted(folder.rglob("*.tex"))
        )
    }
    assert len(tables) > 60
    made = reader.typeset(tables)
    assert made.document.startswith(b"%PDF-")
    assert "Missing character" not in made.log
    assert "LaTeX Warning: Reference" not in made.log
    system = ("/usr/share/", "/etc/tex", "/var/lib/tex")
    own = {name.removeprefix("./") for name in made.inputs if not name.startswith(system)}
    assert own == {"all.tex", "all.aux", *(f"tables/{name}" for name in tables)}
    words = "".join(made.text.split())  # without _, which LaTeX draws as a line
    for written in ("<script>alert(1)</script>", "\\input{/etc/passwd}", "{{7*7}}{%raw%}",
                    "\\end{tabular}", "100%ofit#1ˆ˜", "\\write18{id}", "=cmd|",
                    "U+6A21U+578B"):  # fmt: skip
        assert written in words, written
