"""The pages: what they refer to, what they escape, and what a phone and a screen reader need."""

from __future__ import annotations

import base64
import hashlib
import re

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from runner.analysis.comparison import Comparison, Remark, Section
from runner.analysis.output.figures import picture
from runner.analysis.output.page import (
    LONGEST_TABLE,
    LONGEST_TEXT,
    PageContent,
    ShownFigure,
    ShownPrompts,
    comparison_page,
    overview_page,
)
from runner.analysis.report import Figure, Finding, Table
from runner.records.schema import PromptRecord
from tests.analysis_rig import HOSTILE, context
from tests.unit.analysis.html import Page

PICTURE = picture(Drawing((2, 1)))


def page(name: str = "tpe", rows: int = 1, prompt: str = "Go.") -> Page:
    """A page in which every text is, or has, this name."""
    table = Table(
        "best", name, pd.DataFrame({"contestant": [name] * rows, "best": 0.5, name: name}), (name,)
    )
    section = Section(
        "search", name, (table,), (Finding(name, name, 2), Finding(name, "best", 1, told=False)),
        (name,), {"best": "x/best.csv"},
    )  # fmt: skip
    comparison = Comparison(
        context({"run": f"{name}-s1", "contestant": name, "comparison": name}),
        "x", "index.html", (Remark(name, serious=True),), (section,), (name,),
    )  # fmt: skip
    figure = ShownFigure(Figure("curve", name, Drawing(), name, name), PICTURE, "x/curve.pdf")
    prompts = [ShownPrompts(name, name, "x/p.md", [PromptRecord(at="", name=name, text=prompt)])]
    content = PageContent(
        comparison, {"search": [figure]}, prompts, {name: "index.html", "b": "b.html"}, (name,)
    )
    return Page(comparison_page(content))


def test_a_page_refers_to_nothing_outside() -> None:
    """Its addresses are files beside it, places within it, and pictures that it holds."""
    found = page().references()
    assert len(found) > 5
    assert [each for each in found if re.match(r"[a-z+.-]+:|//|/", each.lower())
            and not each.startswith("data:image/png;base64,")] == []  # fmt: skip


def test_the_policy_allows_the_script_of_the_page_alone() -> None:
    """The hashes are those of what the page holds, and nothing may be loaded."""
    made = page()
    [policy] = [
        each.attributes["content"]
        for each in made.all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [element] = made.all(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_a_page_is_whole() -> None:
    """Each element is closed, and the picture is the figure's."""
    made = page()
    assert made.unclosed == []
    [image] = made.all("img")
    encoded = image.attributes["src"].partition(",")[2]
    assert base64.b64decode(encoded) == PICTURE.content


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str) -> None:
    """They add no element and no attribute, and they can be read."""
    made, usual = page(name, prompt=name), page()
    assert [
        (each.tag, sorted(each.attributes)) for each in made.elements if each.tag != "code"
    ] == [(each.tag, sorted(each.attributes)) for each in usual.elements if each.tag != "code"]
    seen = " ".join(name.split()).replace("\u202e", "\ufffd")
    assert made.texts("h1") == [seen]
    assert made.all("img")[0].attributes["alt"] == seen
    assert made.all("pre")[0].text == name


def test_a_phone_and_a_screen_reader_can_use_it() -> None:
    """Viewport, language, alternative texts, captions, and headings of columns with a scope."""
    made = page()
    assert made.all("html")[0].attributes["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [
        each.attributes for each in made.all("meta")
    ]
    assert all(each.attributes["alt"] for each in made.all("img"))
    assert len(made.all("caption")) == len(made.all("table"))
    assert all("scope" in each.attributes for each in made.all("th"))
    assert ".scroll { overflow: auto" in made.all("style")[0].text


def test_rows_can_be_sorted_and_filtered() -> None:
    """A row names its contestant, and a number has its value as the key."""
    made = page("gpt")
    assert [each.attributes["data-contestant"] for each in made.all("tr")
            if "data-contestant" in each.attributes] == ["gpt"]  # fmt: skip
    keys = [each.attributes.get("data-key") for each in made.all("td")]
    assert keys == [None, "0.5", None]


def test_a_long_table_is_cut_and_says_so() -> None:
    """The CSV file has the rest."""
    made = page(rows=LONGEST_TABLE + 5)
    assert len([each for each in made.all("tr") if "data-contestant" in each.attributes]) == 200
    assert "The first 200 rows; the CSV file has 5 more." in made.texts("li")


def test_a_long_prompt_is_cut_and_says_so() -> None:
    """Its file has the rest."""
    [text] = [each.text for each in page(prompt="a" * (LONGEST_TEXT + 7)).all("pre")]
    assert text == "a" * LONGEST_TEXT + "\n… 7 more characters: see the file"


def test_what_must_be_known_stands_first() -> None:
    """The box is before all findings, with the defects in it."""
    titles = page("tpe").texts("h2")
    assert titles == ["What to know first", "Findings", "tpe", "Prompts"]
    items = page("tpe").texts("li")
    assert "Not made, because of an error in Bakeoff: tpe" in items


def test_an_overview_leads_to_each_page() -> None:
    """With what could not be read; and without runs it says that there is none."""
    hostile = HOSTILE[0]
    both = [
        Comparison(context({"run": "a-s1", "comparison": name}), "x", f"{at}.html")
        for at, name in enumerate(("b", hostile))
    ]
    made = Page(overview_page(both, [hostile]))
    assert made.unclosed == []
    assert [each.attributes["href"] for each in made.all("a")] == ["0.html", "1.html"]
    assert made.texts("bdi") == ["b", hostile]
    assert hostile in made.texts("li")
    assert "There is nothing to analyse" in overview_page([], [])
