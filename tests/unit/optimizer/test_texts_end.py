"""How a search of texts ends: its model is of no use any more, or its budget is spent."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from methods.fallbacks import GaveUpError
from models.terms import Answer, NoAnswer, OutOfBudgetError, Prompt, UselessModelError
from texts import UNUSED_IN_A_ROW

from images.rehearsal.scripted_model.proposing.answers import BAD

from .texts_rig import TRAIN_PY, Opener, Saying, ScriptedModel, code, run, variant

DOES_NOT_PARSE = code(f"{TRAIN_PY}if True print\n")


@pytest.fixture
def open_search() -> Opener:
    """Opens searches."""
    return Opener()


def test_it_gives_up_after_five_in_a_row(open_search: Opener, tmp_path: Path) -> None:
    """A model whose answers are all unusable ends the search; a resumed one asks it anew."""
    model, notes = ScriptedModel(quality=BAD), list[str]()
    search = open_search(tmp_path, model, notes)
    run(search, 1)
    with pytest.raises(GaveUpError, match="5 answers in a row could not be used, the last one"):
        search.ask()
    assert len(notes) == UNUSED_IN_A_ROW
    assert len(model.prompts) == 2 * UNUSED_IN_A_ROW
    again = open_search(tmp_path, model, notes)
    with pytest.raises(GaveUpError, match="5 answers in a row"):
        again.ask()
    assert len(notes) == 2 * UNUSED_IN_A_ROW
    mended = Saying([code(variant(1))])
    made = open_search(tmp_path, mended).ask()
    assert made is not None
    assert made.proposal["by"] == "model"
    assert len(made.proposal["requests"]) == 4 * UNUSED_IN_A_ROW + 1
    assert mended.prompts[0].text.count('"outcome": "not run') == 2 * UNUSED_IN_A_ROW


def test_a_usable_answer_ends_the_row(open_search: Opener, tmp_path: Path) -> None:
    """Four and four unusable answers with a trial between them are no reason to give up."""
    bad: list[str | None] = [""] * 8
    model = Saying([*bad, code(variant(1)), *bad, code(variant(2))])
    search = open_search(tmp_path, model)
    run(search, 3)
    assert len(model.prompts) == 18


def test_the_published_search_gives_up_too(open_search: Opener, tmp_path: Path) -> None:
    """After ten trials of the best text again it asks no more; a resumed search counts anew."""
    search = open_search(tmp_path, Saying([DOES_NOT_PARSE] * 20), as_published="automl-2026")
    made = run(search, 11)
    assert len({text for _, text in made}) == 1
    with pytest.raises(GaveUpError, match="10 of the last 10 proposals"):
        search.ask()
    again = open_search(tmp_path, Saying([code(variant(1))]), as_published="automl-2026").ask()
    assert again is not None
    assert again.proposal["by"] == "model"


def test_a_provider_without_a_model_ends_the_asking(open_search: Opener, tmp_path: Path) -> None:
    """The error passes through, as no answer that was of no use, and a resumed search goes on."""

    class Unserved(Saying):
        def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
            raise UselessModelError(f"the key is refused ({len(prompts)} requests)")

    notes = list[str]()
    search = open_search(tmp_path, Unserved([]), notes)
    run(search, 1)
    with pytest.raises(UselessModelError, match="the key is refused"):
        search.ask()
    assert not notes
    made = open_search(tmp_path, Saying([code(variant(1))])).ask()
    assert made is not None
    assert (made.number, made.proposal["repairs"]) == (1, [])


def test_a_spent_budget_ends_the_asking(open_search: Opener, tmp_path: Path) -> None:
    """The error passes through, and the search is as it was."""
    search = open_search(tmp_path, Saying([]))
    run(search, 1)
    with pytest.raises(OutOfBudgetError):
        search.ask()
    assert search.outstanding() == []
    assert search.best() is not None
