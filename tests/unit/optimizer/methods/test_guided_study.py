"""A study that a model guides: what it keeps, how it is resumed, and how it ends."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from loop import Loop, Over
from messages import TrialFinished
from methods import MethodError
from methods.fallbacks import GaveUpError
from methods.settings import random_settings
from models.terms import NoAnswer, Prompt, UselessModelError
from proposals import GIVEN
from search import JOURNAL, SearchError
from space import parse_space
from start_config import KnobRange, SharedStudy

from tests.guided_runs import Doubled, opened
from tests.sampler_conformance import requests

SPACE = parse_space(
    {
        "RATE": KnobRange("float", 0.02, low=0.001, high=0.1, log=True),
        "DEPTH": KnobRange("int", 4, low=2, high=8),
        "PATTERN": KnobRange("categorical", "L", choices=("L", "SL")),
    }
)
METHODS = ("llm-knobs", "warm", "centaur", "llm-space")
TRIALS, SEED = 13, 4


def chatty(prompt: Prompt, trial: int, place: int) -> str | NoAnswer:
    """Good answers, fenced ones, and at some trials one that cannot be used."""
    if (trial + place) % 5 == 4:
        return NoAnswer("an outage")
    if prompt.purpose == "space":
        return '{"MATRIX_LR": {"low": 0.01, "high": 0.1}, "DEPTH": {"low": 4, "high": 9}}'
    drawn = random_settings(SPACE, SEED, 100 * trial + place, 3)
    said = json.dumps({"settings": drawn} if prompt.purpose == "first" else drawn[0])
    return f"```json\n{said}\n```" if trial % 3 == 1 else said


def outages(prompt: Prompt, trial: int, place: int) -> NoAnswer:
    """No answer, ever."""
    return NoAnswer("an outage")


def study(state: Path, method: str, model: Any, **config: Any) -> Any:
    """A search of the small space."""
    return opened(state, method, model, seed=SEED, space=SPACE, ratio=1.0, **config).search


def gone_through(search: Any, trials: int) -> list[Any]:
    """All suggestions up to that trial, each told: what is outstanding first, then the next."""
    made = {one.number: one for one in search.outstanding()}
    while True:
        for one in search.outstanding():
            failed = one.number % 6 == 2
            value = None if failed else 2.0 + one.knobs.get("DEPTH", 0) / 10 + one.number / 1000
            search.tell(one.number, "crash" if failed else "ok", value, {})
        if search._known(0) and len(search._trials()) >= trials:
            return [search._suggestion(trial) for trial in search._trials()]
        one = search.ask()
        made[one.number] = one


@pytest.mark.parametrize("method", METHODS)
def test_a_journal_that_is_cut_anywhere_leads_to_the_same_trials(
    method: str, tmp_path: Path
) -> None:
    """Killed in the middle of an ask or a tell, a search goes on as if not, and pays nothing."""
    model = Doubled(chatty)
    first = study(tmp_path, method, model)
    whole = [first.ask()] and gone_through(first, TRIALS)
    paid = len(model.paid)
    journal = (tmp_path / JOURNAL).read_bytes()
    lines = journal.splitlines(keepends=True)
    for number in range(4, len(lines), max(len(lines) // 16, 1)):
        state = tmp_path / f"cut-{number}"
        state.mkdir()
        torn = lines[number][: len(lines[number]) // 2]
        (state / JOURNAL).write_bytes(b"".join(lines[:number]) + torn)
        again = study(state, method, copy.deepcopy(model))
        if not again._trials():
            again.ask()
        assert gone_through(again, TRIALS) == whole, number
        assert len(again._guide._guided.model.paid) == paid, number


def test_a_proposal_is_kept_with_its_trial(tmp_path: Path) -> None:
    """What is outstanding after a restart carries the same words about where it came from."""
    model = Doubled(lambda *_: '```json\n{"RATE": 7, "DEPTH": 3.2, "X": 1}\n```')
    search = study(tmp_path, "llm-knobs", model)
    assert search.ask().proposal["by"] == "default"
    asked = search.ask()
    assert asked.knobs == {"RATE": 0.1, "DEPTH": 3, "PATTERN": "L"}
    assert asked.proposal == {
        "by": "model", "requests": ["r1"], "repairs": ["fence"], "duplicate": False, "why": "",
        "changed": {"RATE": "clamped", "DEPTH": "rounded", "PATTERN": "default", "X": "unknown"},
    }  # fmt: skip
    assert search.ask().proposal["duplicate"] is True
    assert study(tmp_path, "llm-knobs", model).outstanding()[1] == asked


def test_a_model_sees_what_is_under_way(tmp_path: Path) -> None:
    """Failures, values and trials without a result are in the prompt, each with its setting."""
    model = Doubled(chatty)
    search = study(tmp_path, "llm-knobs", model)
    for number, value in enumerate((2.0, None, 1.5)):
        search.ask()
        search.tell(number, "crash" if value is None else "ok", value, {})
    waiting = search.ask()
    search.ask()
    results = model.paid[-1].text.partition("## Results")[2].partition("## Answer")[0]
    shown = [json.loads(line) for line in results.splitlines() if line.startswith("{")]
    assert [one["val_bpb"] for one in shown] == [2.0, "failed", 1.5, "running"]
    assert shown[-1]["knobs"] == waiting.knobs
    assert '"trial": 2, "val_bpb": 1.5' in model.paid[-1].text.partition("## Best result")[2]


def test_a_pruned_trial_is_shown_as_pruned(tmp_path: Path) -> None:
    """What was measured on the way is no result, and is not among the best."""
    model = Doubled(chatty)
    search = study(tmp_path, "llm-knobs", model)
    for status, value in (("ok", 2.0), ("pruned", 1.2)):
        search.tell(search.ask().number, status, value, {})
    search.ask()
    results = model.paid[-1].text.partition("## Results")[2].partition("## Answer")[0]
    shown = [json.loads(line) for line in results.splitlines() if line.startswith("{")]
    assert [one["val_bpb"] for one in shown] == [2.0, "pruned"]
    assert "1.2" not in model.paid[-1].text.partition("## Best result")[2]


def test_an_answer_that_cannot_be_used_is_asked_for_once_more(tmp_path: Path) -> None:
    """The second answer counts, and both requests are named; after two there is a fallback."""
    said = {(1, 0): "no idea", (1, 1): '{"DEPTH": 7}', (2, 0): "{}", (2, 1): "[1, 2]"}
    search = study(tmp_path, "llm-knobs", Doubled(lambda _, trial, place: said[trial, place]))
    search.ask()
    asked, fallback = search.ask(), search.ask()
    assert (asked.proposal["by"], asked.proposal["requests"]) == ("model", ["r1", "r2"])
    assert (fallback.proposal["by"], fallback.proposal["requests"]) == ("fallback", ["r3", "r4"])
    assert fallback.proposal["why"]
    assert fallback.knobs == random_settings(SPACE, SEED, 2)[0]


def test_a_model_that_gives_nothing_usable_ends_the_search(tmp_path: Path) -> None:
    """After ten fallbacks the loop says so, waits for what is under way and gives up."""
    with requests() as made:
        loop = Loop(study(tmp_path, "llm-knobs", Doubled(outages)), 2)
        loop.begin({})
    over = ""
    while not over:
        request = made.pop(0).request
        try:
            with requests() as more:
                loop.handle(TrialFinished(request, 1, "ok", 2.0, 1.0))
        except Over as end:
            over = str(end)
        made += more
    assert not made
    assert over.startswith("gave up: 10 of the last 10 proposals")
    assert "an outage" in over


def test_a_resumed_search_counts_fallbacks_anew(tmp_path: Path) -> None:
    """What a run's user mends, such as a key, is not held against it afterwards."""
    search = study(tmp_path, "llm-knobs", Doubled(outages))
    for _ in range(11):
        search.ask()
    with pytest.raises(Exception, match="could not be used"):
        search.ask()
    assert study(tmp_path, "llm-knobs", Doubled(chatty)).ask().number == 11


@pytest.mark.parametrize("method", ["llm-knobs", "warm", "centaur"])
def test_a_provider_without_a_model_ends_the_search_at_once(method: str, tmp_path: Path) -> None:
    """No trial is a fallback, what is under way is waited for, and a resumed search asks anew."""

    def useless(*_: Any) -> str:
        raise UselessModelError("the key is refused")

    first = 10 if method == "centaur" else 1
    with requests() as made:
        search = study(tmp_path, method, Doubled(useless))
        loop = Loop(search, 1)
        loop.begin({})
        finished = [TrialFinished(f"ask-{number}", 1, "ok", 2.0, 1.0) for number in range(first)]
        for message in finished[:-1]:
            loop.handle(message)
        with pytest.raises(Over, match=r"gave up: .* no model: the key is refused"):
            loop.handle(finished[-1])
    assert len(made) == first
    said = json.dumps({"RATE": 0.05, "DEPTH": 7, "settings": [{"DEPTH": 7}] * 5})
    asked = study(tmp_path, method, Doubled(lambda *_: said)).ask()
    assert asked.proposal["by"] == ("warm" if method == "warm" else "model")


def test_warm_gives_up_without_a_single_setting(tmp_path: Path) -> None:
    """The sampler does not search under the model's name, and a resumed search asks anew."""
    said: list[str | NoAnswer] = [NoAnswer("an outage"), '{"settings": []}']
    model = Doubled(lambda *_: said.pop(0))
    search = study(tmp_path, "warm", model)
    search.ask()
    with pytest.raises(GaveUpError, match="the model gave no first setting: none of the settings"):
        search.ask()
    said += [json.dumps({"settings": [{"DEPTH": 5 + n % 3} for n in range(5)]})]
    asked = study(tmp_path, "warm", model).ask()
    assert (asked.number, asked.proposal["by"], asked.knobs["DEPTH"]) == (1, "warm", 5)


def test_half_fallbacks_are_no_end(tmp_path: Path) -> None:
    """A model that answers every second time goes on."""
    model = Doubled(lambda _, trial, __: '{"DEPTH": 5}' if trial % 2 else NoAnswer("out"))
    search = study(tmp_path, "llm-knobs", model)
    by = [search.ask().proposal["by"] for _ in range(31)]
    assert by == ["default", *["model", "fallback"] * 15]


def test_a_spent_budget_ends_the_search_after_what_is_under_way(tmp_path: Path) -> None:
    """No further trial is asked for; the last results are still told."""
    search = study(tmp_path, "llm-knobs", Doubled(chatty, budget=2))
    with requests() as made:
        loop = Loop(search, 3)
        loop.begin({})
        loop.handle(TrialFinished(made[0].request if made else "ask-0", 1, "ok", 2.0, 1.0))
        loop.handle(TrialFinished("ask-1", 2, "ok", 1.5, 1.0))
        with pytest.raises(Over, match="the model's budget is spent: no further request"):
            loop.handle(TrialFinished("ask-2", 3, "ok", 1.9, 1.0))
    assert [one.request for one in made] == ["ask-0", "ask-1", "ask-2"]
    assert search.best() == (1.5, 1)


def test_a_study_is_not_that_of_another_model_or_method(tmp_path: Path) -> None:
    """A journal whose trials were proposed in another way is refused, before it is changed."""
    study(tmp_path, "centaur", Doubled(chatty))
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(SearchError, match="another search"):
        study(tmp_path, "llm-knobs", Doubled(chatty))
    with pytest.raises(SearchError, match="another search"):
        study(tmp_path, "centaur", Doubled(chatty), as_published="automl-2026")
    assert (tmp_path / JOURNAL).read_bytes() == before


@pytest.mark.parametrize(
    ("method", "inner", "words"),
    [
        ("centaur", "tpe", "with cmaes alone"),
        ("llm-knobs", "tpe", "without a sampler"),
        ("warm", "simplex", "no sampler 'simplex'"),
        ("ouija", "", "no method 'ouija'"),
    ],
)
def test_a_method_refuses_what_it_cannot_work_with(
    method: str, inner: str, words: str, tmp_path: Path
) -> None:
    """An unknown method or sampler is named before anything is written."""
    with pytest.raises(MethodError, match=words):
        study(tmp_path, method, Doubled(chatty), inner=inner)
    assert not list(tmp_path.iterdir())


def test_a_guided_search_shares_no_study(tmp_path: Path) -> None:
    """Other runs would wait for its model at each ask."""
    shared = SharedStudy("a-study", "a-run", "val_bpb", "a-user", "", "a-database")
    with pytest.raises(SearchError, match="cannot share a study"):
        study(tmp_path, "warm", Doubled(chatty), shared=shared)


def test_warm_makes_one_request_for_its_first_trials(tmp_path: Path) -> None:
    """All settings come from one answer, and then the sampler searches."""
    model = Doubled(
        lambda *_: json.dumps({"settings": random_settings(SPACE, 9, 9, 3)}),
    )
    search = study(tmp_path, "warm", model, first=3)
    asked = [search.ask() for _ in range(6)]
    by = [one.proposal["by"] for one in asked]
    assert by == ["default", "warm", "warm", "warm", "tpe", "tpe"]
    assert [one.knobs for one in asked[1:4]] == random_settings(SPACE, 9, 9, 3)
    assert len(model.paid) == 1
    assert [trial.user_attrs[GIVEN] for trial in search._trials()] == [True] * 4 + [False] * 2


def test_warm_asks_once_more_for_what_is_missing(tmp_path: Path) -> None:
    """The second request names the settings that are there; what is missing then is a fallback."""
    drawn = random_settings(SPACE, 9, 9, 3)
    said = [drawn[:2], drawn[2:]]
    model = Doubled(lambda *at: json.dumps({"settings": said[at[2]]}))
    search = study(tmp_path, "warm", model, first=4)
    asked = [search.ask() for _ in range(6)]
    by = [one.proposal["by"] for one in asked]
    assert by == ["default", "warm", "warm", "warm", "fallback", "tpe"]
    assert asked[4].proposal["why"] == "the model gave 3 of 4 settings"
    assert [one.knobs for one in asked[1:4]] == drawn
    assert "Propose 2 settings" in model.paid[1].text
    assert json.dumps(drawn[1]) in model.paid[1].text
