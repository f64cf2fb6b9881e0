"""Answers that are kept: none is asked for twice, whatever ended the process before."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.kept import KeptModel
from models.terms import Answer, NoAnswer, OutOfBudgetError, Prompt

FIRST, SECOND = Prompt("knobs", "first", 10), Prompt("knobs", "second", 10)


class CountingModel:
    """Answers each prompt with its text and the number of the request."""

    def __init__(self, answer: Answer | NoAnswer | None = None) -> None:
        self.asked: list[str] = []
        self._answer = answer

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        answers = []
        for prompt in prompts:
            self.asked.append(prompt.text)
            number = str(len(self.asked))
            answers.append(self._answer or Answer(f"{prompt.text} {number}", number))
        return answers


class DyingModel(CountingModel):
    """Its answers arrive last first, and after `whole` of them it may not ask any more."""

    def __init__(self, whole: int) -> None:
        super().__init__()
        self._whole = whole

    def arriving(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Answer | NoAnswer]]:
        for place in reversed(range(len(prompts))):
            if not self._whole:
                raise OutOfBudgetError("spent")
            self._whole -= 1
            yield place, self.ask([prompts[place]])[0]


def kept(path: Path, model: CountingModel, trial: int = 1) -> KeptModel:
    """A kept model, as a process has it that begins with this trial."""
    made = KeptModel(model, path)
    made.for_trial(trial)
    return made


def test_a_restarted_process_pays_for_nothing_twice(tmp_path: Path) -> None:
    """The same prompts in the same order get the answers of the former process."""
    path = tmp_path / "answers.jsonl"
    before = kept(path, CountingModel())
    answers = [before.ask([FIRST, SECOND]), before.ask([FIRST])]
    model = CountingModel()
    after = kept(path, model)
    assert [after.ask([FIRST, SECOND]), after.ask([FIRST])] == answers
    assert not model.asked


def test_a_reason_is_kept_as_an_answer_is(tmp_path: Path) -> None:
    """What failed before the restart has failed after it, so that the trials are the same."""
    path = tmp_path / "answers.jsonl"
    reason = NoAnswer("the provider answered 500: on demand", "000007")
    before = kept(path, CountingModel(reason))
    before.ask([FIRST])
    after = kept(path, CountingModel())
    assert after.ask([FIRST]) == [reason]


@pytest.mark.parametrize(
    "other", [SECOND, Prompt("knobs", "first", 11), Prompt("knobs", "first", 10, 0.5)]
)
def test_another_prompt_at_the_same_place_is_asked(other: Prompt, tmp_path: Path) -> None:
    """An upgraded prompt file, limit or temperature gets an answer of its own."""
    path = tmp_path / "answers.jsonl"
    before = kept(path, CountingModel())
    before.ask([FIRST])
    model = CountingModel()
    after = kept(path, model)
    assert after.ask([other]) == [Answer(f"{other.text} 1", "1")]


def test_places_are_counted_within_a_trial(tmp_path: Path) -> None:
    """The same prompt in another trial, or twice in one, is a request of its own."""
    model = CountingModel()
    one = kept(tmp_path / "answers.jsonl", model)
    texts = [answer.text for answer in one.ask([FIRST, FIRST])]
    one.for_trial(2)
    texts += [answer.text for answer in one.ask([FIRST])]
    one.for_trial(1)
    texts += [answer.text for answer in one.ask([FIRST])]
    assert texts == ["first 1", "first 2", "first 3", "first 1"]


def test_what_is_forgotten_is_asked_anew(tmp_path: Path) -> None:
    """The answers of that trial do not count any more, after a restart either; others do."""
    path = tmp_path / "answers.jsonl"
    before = kept(path, CountingModel(NoAnswer("an outage")))
    before.ask([FIRST])
    before.for_trial(2)
    before.ask([FIRST])
    before.forget(1)
    model = CountingModel()
    after = kept(path, model)
    assert after.ask([FIRST]) == [Answer("first 1", "1")]
    after.for_trial(2)
    assert after.ask([FIRST]) == [NoAnswer("an outage")]
    again = kept(path, CountingModel())
    assert again.ask([FIRST]) == [Answer("first 1", "1")]
    again.forget(1)
    again.for_trial(1)
    assert again.ask([SECOND, FIRST]) == [Answer("second 1", "1"), Answer("first 2", "2")]


def test_what_arrived_of_a_batch_is_kept(tmp_path: Path) -> None:
    """A batch that ends in the middle is continued with those that are missing, in order."""
    path = tmp_path / "answers.jsonl"
    before = kept(path, DyingModel(whole=2))
    with pytest.raises(OutOfBudgetError):
        before.ask([FIRST, SECOND, FIRST])
    model = DyingModel(whole=9)
    after = kept(path, model)
    texts = [answer.text for answer in after.ask([FIRST, SECOND, FIRST])]
    assert model.asked == ["first"]
    assert texts == ["first 1", "second 2", "first 1"]


@given(cut=st.integers(min_value=0))
def test_a_file_cut_anywhere_is_mended(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """What is whole is kept, the rest is asked again, and the file is whole afterwards."""
    path = tmp_path_factory.mktemp("kept") / "answers.jsonl"
    before = kept(path, CountingModel())
    whole = before.ask([FIRST, SECOND])
    raw = path.read_bytes()
    torn = raw[: cut % len(raw)]
    path.write_bytes(torn)
    model = CountingModel()
    after = kept(path, model)
    answers = after.ask([FIRST, SECOND])
    lines = torn.count(b"\n")
    assert answers[:lines] == whole[:lines]
    assert len(model.asked) == 2 - lines
    assert len([json.loads(line) for line in path.read_bytes().splitlines()]) == 2


@given(damage=st.binary(max_size=200).filter(lambda raw: b"\n" not in raw))
def test_a_damaged_line_costs_no_other(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes
) -> None:
    """Answers before and after any damage that ends are still found."""
    path = tmp_path_factory.mktemp("kept") / "answers.jsonl"
    before = kept(path, CountingModel())
    whole = before.ask([FIRST, SECOND])
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + b"\n" + second)
    model = CountingModel()
    after = kept(path, model)
    assert after.ask([FIRST, SECOND]) == whole
    assert not model.asked


@given(text=st.text())
def test_any_text_comes_back_the_same(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever a model says, the kept answer is what it said."""
    path = tmp_path_factory.mktemp("kept") / "answers.jsonl"
    said = Answer(text, "000001", cut=True)
    before = kept(path, CountingModel(said))
    before.ask([FIRST])
    after = kept(path, CountingModel())
    assert after.ask([FIRST]) == [said]


def test_a_line_says_what_it_was_for(tmp_path: Path) -> None:
    """The file can be read by people: trial, place, purpose, request and text of each answer."""
    path = tmp_path / "answers.jsonl"
    one = kept(path, CountingModel(), trial=7)
    one.ask([FIRST])
    row = json.loads(path.read_text())
    assert len(row.pop("prompt")) == 64
    assert row == {
        "trial": 7, "place": 0, "purpose": "knobs", "text": "first 1", "request": "1", "cut": False,
    }  # fmt: skip
