"""Figures as files: their bytes, their fonts and their names."""

from __future__ import annotations

from matplotlib.figure import Figure

from runner.analysis.output.figures import pdf, picture, styled
from runner.analysis.output.style import OTHERS, PALETTE, colours
from tests.analysis_rig import HOSTILE


def drawn(*names: str, scale: str = "linear") -> Figure:
    with styled():
        figure = Figure((4, 3))
        axes = figure.subplots()
        axes.set_xscale(scale)
        for name in names:
            axes.plot([1, 1000], [1, 2], label=name)
        axes.legend()
        axes.set_title(names[0])
        return figure


def test_the_same_figure_has_the_same_bytes() -> None:
    """No file holds a time or a version, so a second analysis changes nothing."""
    assert picture(drawn("gpt")).content == picture(drawn("gpt")).content
    assert pdf(drawn("gpt")) == pdf(drawn("gpt"))


def test_a_picture_knows_its_size() -> None:
    """Four by three inches at 144 dots."""
    made = picture(drawn("gpt"))
    assert (made.width, made.height) == (576, 432)
    assert made.content.startswith(b"\x89PNG")


def test_fonts_are_embedded_as_truetype() -> None:
    """Journals refuse Type 3 fonts, which are matplotlib's usual ones."""
    content = pdf(drawn("gpt"))
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_any_name_can_be_drawn() -> None:
    """No name is a formula, and a character without a picture warns of nothing."""
    figure = drawn(*HOSTILE)
    assert picture(figure).content
    assert pdf(figure)


def test_a_logarithmic_axis_has_numbers() -> None:
    """Its labels would be formulas, which are not drawn as such."""
    figure = drawn("gpt", scale="log")
    picture(figure)
    axis = figure.axes[0].xaxis
    texts = [label.get_text() for label in axis.get_ticklabels()]
    assert {"1", "10", "100", "1000"} <= set(texts)
    assert [text for text in texts if "$" in text] == []


def test_a_contestant_keeps_its_colour() -> None:
    """As long as the palette is enough for all, a colour does not depend on the comparison."""
    everyone = ["tpe", "gpt", "random"]
    first, second = colours(["tpe", "gpt"], everyone), colours(["gpt", "random"], everyone)
    assert first["gpt"] == second["gpt"]
    assert len({*first.values(), *second.values()}) == 3


def test_the_best_of_many_contestants_have_colours() -> None:
    """The palette's are for the best twelve; the others are grey."""
    names = [f"c{number}" for number in range(200)]
    made = colours(names[:100], names)
    assert [made[name] for name in names[:12]] == list(PALETTE)
    assert {made[name] for name in names[12:100]} == {OTHERS}
    assert len(set(PALETTE)) == 12
