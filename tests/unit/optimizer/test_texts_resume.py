"""A search of texts that is killed anywhere and resumed equals one that ran through."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.terms import Prompt
from search import SearchError
from texts import TextSearch
from texts_journal import JOURNAL, TEXTS, TextJournal

from .texts_rig import Opener, Saying, ScriptedModel, code, run, step, variant

TRIALS = 6
SEED = 15  # whose answers are a text, one that needs a second try, and one of no use


@pytest.fixture
def open_search() -> Opener:
    """Opens searches."""
    return Opener()


def finish(search: TextSearch, state: Path, parallel: int) -> list[str]:
    """Go on until trial `TRIALS - 1` has a result; the texts of all trials until then."""
    while (state / JOURNAL).read_text().count('"event": "told"') < TRIALS:
        step(search, parallel)
    return texts(state)


def texts(state: Path) -> list[str]:
    return [(state / TEXTS / f"{number:04d}.py").read_text() for number in range(TRIALS)]


def killed(state: Path, journal: bytes, target: Path) -> Path:
    """The directory as a death leaves it that cut the journal: its texts and answers are there."""
    target.mkdir()
    shutil.copytree(state / TEXTS, target / TEXTS)
    shutil.copy(state / "answers.jsonl", target)
    (target / JOURNAL).write_bytes(journal)
    return target


def test_resumed_at_every_cut(open_search: Opener, tmp_path: Path) -> None:
    """Wherever the journal ends, it is written to the same end, and nobody is asked again."""
    for parallel in (1, 3):
        whole = tmp_path / f"whole-{parallel}"
        model = ScriptedModel(SEED)
        run(open_search(whole, model), TRIALS, parallel)
        expected, journal = texts(whole), (whole / JOURNAL).read_bytes()
        ends = [place + 1 for place, byte in enumerate(journal) if byte == ord("\n")]
        assert len(ends) > 2 * TRIALS
        assert parallel > 1 or (b"second answer" in journal and b'"unused", ' in journal)
        cuts = [0, *ends, *(end - 1 for end in ends), *(end - 40 for end in ends if end > 40)]
        for cut in cuts:
            state = killed(whole, journal[:cut], tmp_path / f"cut-{parallel}-{cut}")
            nobody = Saying([])
            assert finish(open_search(state, nobody), state, parallel) == expected
            assert (state / JOURNAL).read_bytes() == journal
            shutil.rmtree(state)


def test_outstanding_trials_are_asked_for_again(open_search: Opener, tmp_path: Path) -> None:
    """The same numbers, files, words and proposals, and the same best."""
    first = open_search(tmp_path, Saying([code(variant(1), "one"), code(variant(2), "two")]))
    run(first, 1, parallel=3)
    again = open_search(tmp_path, Saying([]))
    assert again.outstanding() == first.outstanding()
    assert len(again.outstanding()) == 3 - 1
    assert again.best() == first.best()
    assert again.best() is not None


class Dying:
    """Answers so many prompts, and dies at the next one."""

    def __init__(self, model: ScriptedModel, left: int) -> None:
        self._model, self._left = model, left

    def ask(self, prompts: Sequence[Prompt]) -> list[object]:
        if not self._left:
            raise InterruptedError
        self._left -= 1
        return [*self._model.ask(prompts)]


def test_a_death_at_every_request(open_search: Opener, tmp_path: Path) -> None:
    """However often it dies, each prompt is paid once, and the trials are those of one run."""
    whole = tmp_path / "whole"
    alone = ScriptedModel(seed=5)
    run(open_search(whole, alone), TRIALS)
    state, paid = tmp_path / "dying", ScriptedModel(seed=5)
    deaths = 0
    for _ in range(len(alone.prompts) + 1):
        try:
            finish(open_search(state, Dying(paid, 1)), state, 1)
            break
        except InterruptedError:
            deaths += 1
    assert deaths == len(alone.prompts) - 1
    assert texts(state) == texts(whole)
    assert [one.text for one in paid.prompts] == [one.text for one in alone.prompts]


def test_another_search_is_refused(open_search: Opener, tmp_path: Path) -> None:
    """A directory holds one search; another direction is another search, and nothing is lost."""
    run(open_search(tmp_path, Saying([])), 1)
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(SearchError, match="another search: llm-code, seed 1, minimize"):
        open_search(tmp_path, Saying([]), minimize=False)
    assert (tmp_path / JOURNAL).read_bytes() == before


@pytest.mark.parametrize("damage", ["changed", "missing", "not UTF-8"])
def test_a_damaged_text_is_named(open_search: Opener, tmp_path: Path, damage: str) -> None:
    """What was trained can no longer be said, so the search does not go on."""
    run(open_search(tmp_path, Saying([])), 1)
    path = tmp_path / TEXTS / "0000.py"
    path.write_bytes({"changed": b"x = 1\n", "not UTF-8": b"\xff"}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    with pytest.raises(SearchError, match="resuming the search: the text of trial 0"):
        open_search(tmp_path, Saying([]))


def test_entries_that_no_search_wrote_are_named(open_search: Opener, tmp_path: Path) -> None:
    """A journal with a result of a trial that it does not have is no journal of this program."""
    run(open_search(tmp_path, Saying([])), 1)
    with (tmp_path / JOURNAL).open("a") as file:
        file.write(json.dumps({"event": "told", "number": 7, "status": "ok", "value": 1.0}) + "\n")
    with pytest.raises(SearchError, match="its journal has"):
        open_search(tmp_path, Saying([]))


@settings(max_examples=30)
@given(rest=st.binary(max_size=60))
def test_whatever_follows_the_last_whole_line_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes
) -> None:
    """A torn line, NULs or noise at the end cost nothing of what is before them."""
    state = tmp_path_factory.mktemp("state")
    TextJournal(state).append({"event": "owner", "owner": "x"})
    whole = (state / JOURNAL).read_bytes()
    (state / JOURNAL).write_bytes(whole + b"\0" + rest)
    assert TextJournal(state).entries == [{"event": "owner", "owner": "x"}]
    assert (state / JOURNAL).read_bytes() == whole
