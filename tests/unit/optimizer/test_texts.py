"""llm-code: a model rewrites the best train.py, and what is better is kept."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop import Loop
from messages import TrialFinished
from methods.fallbacks import GaveUpError
from models.terms import OutOfBudgetError
from search import UnknownTrialError

from images.rehearsal.scripted_model.proposing.answers import GOOD

from .texts_rig import (
    TRAIN_PY,
    Opener,
    Saying,
    ScriptedModel,
    code,
    run,
    step,
    variant,
)

DOES_NOT_PARSE = code(f"{TRAIN_PY}if True print\n")


@pytest.fixture
def open_search() -> Opener:
    """Opens searches."""
    return Opener()


def told(search: Any, number: int, value: float | None, status: str = "ok") -> None:
    search.tell(number, status, value, {})


def test_trial_0_is_train_py_as_it_is(open_search: Opener, tmp_path: Path) -> None:
    """It is handed in byte by byte, and no model is asked for it."""
    model = Saying([])
    first = open_search(tmp_path, model).ask()
    assert first is not None
    assert first.text is not None
    assert first.text.read_bytes() == TRAIN_PY.encode()
    assert (first.number, first.knobs, first.words) == (0, {}, "train.py as it is")
    assert first.proposal["by"] == "default"
    assert model.prompts == []


@pytest.mark.parametrize("seed", range(5))
def test_hill_climbing_improves_on_train_py(open_search: Opener, tmp_path: Path, seed: int) -> None:
    """With the scripted model, twelve trials are clearly better than train.py as it is."""
    search = open_search(tmp_path, ScriptedModel(seed))
    run(search, 1)
    [first, _] = search.best() or [9.9, 0]
    run(search, 11)
    best = search.best()
    assert best is not None
    assert best[0] < first - 0.05
    assert best[1] > 0


def test_a_worse_text_is_reverted_and_a_better_one_kept(
    open_search: Opener, tmp_path: Path
) -> None:
    """Each request shows the best text, and what became of the trials before."""
    model = Saying([code(variant(n), f"change {n}") for n in (1, 2, 3, 4)])
    search = open_search(tmp_path, model)
    for number, value in enumerate([2.0, 2.1, 1.9, None]):
        search.ask()
        told(search, number, value, "ok" if value else "oom")
    last = search.ask()
    assert last is not None
    shown = [prompt.text.partition("## Best train.py")[2] for prompt in model.prompts]
    assert [("0.0002" in text, "0.04" in text) for text in shown] == [
        (False, True), (False, True), (True, False), (True, False),
    ]  # fmt: skip
    lines = [json.loads(x) for x in model.prompts[3].text.splitlines() if x.startswith('{"trial"')]
    assert lines == [
        {"trial": 0, "val_bpb": 2.0, "outcome": "kept", "change": "train.py as it is"},
        {"trial": 1, "val_bpb": 2.1, "outcome": "reverted", "change": "change 1"},
        {"trial": 2, "val_bpb": 1.9, "outcome": "kept", "change": "change 2"},
        {"trial": 3, "val_bpb": None, "outcome": "failed (oom)", "change": "change 3"},
    ]
    assert search.best() == (1.9, 2)
    assert last.proposal == {
        "by": "model", "requests": ["r-4"], "changed": {}, "repairs": [], "duplicate": False,
        "why": "",
    }  # fmt: skip


def test_a_metric_to_be_maximised(open_search: Opener, tmp_path: Path) -> None:
    """The highest value is the best one, and the prompt says so."""
    model = Saying([code(variant(1)), code(variant(2))])
    search = open_search(tmp_path, model, minimize=False)
    for number, value in enumerate([0.5, 0.7, 0.6]):
        search.ask()
        told(search, number, value)
    assert search.best() == (0.7, 1)
    assert "the goal is the highest value" in model.prompts[0].text


def test_what_has_no_sound_value_is_no_best(open_search: Opener, tmp_path: Path) -> None:
    """A pruned trial, a NaN and a refused text are reverted; a second result changes nothing."""
    search = open_search(tmp_path, Saying([code(variant(n)) for n in (1, 2, 3)]))
    for number, (status, value) in enumerate(
        [("ok", 2.0), ("pruned", 1.0), ("ok", float("nan")), ("refused", None)]
    ):
        search.ask()
        assert search.tell(number, status, value, {})
    assert not search.tell(3, "ok", 0.5, {})
    assert search.best() == (2.0, 0)
    with pytest.raises(UnknownTrialError):
        search.tell(4, "ok", 0.5, {})
    with pytest.raises(UnknownTrialError):
        search.report(-1, 50, 0.5)
    assert not search.report(0, 50, 0.5)


def test_only_the_last_results_are_shown(open_search: Opener, tmp_path: Path) -> None:
    """However long a search is, a prompt has the last fifteen."""
    model = Saying([code(variant(n)) for n in range(1, 21)])
    search = open_search(tmp_path, model)
    for number in range(21):
        search.ask()
        told(search, number, 2.0)
    lines = [x for x in model.prompts[-1].text.splitlines() if x.startswith('{"trial"')]
    assert [json.loads(line)["trial"] for line in lines] == list(range(5, 20))


def test_the_prompt_is_whole(open_search: Opener, tmp_path: Path) -> None:
    """It has its heading, the task, the text in a fence, and room for the whole answer."""
    model = Saying([code(variant(1))])
    search = open_search(tmp_path, model)
    run(search, 1)
    search.ask()
    [prompt] = model.prompts
    assert prompt.text.startswith("# Rewrite train.py\n")
    assert f"## Best train.py\n```python\n{TRAIN_PY}```\n" in prompt.text
    assert "Task: pystdlib" in prompt.text
    assert "$" not in prompt.text
    assert (prompt.purpose, prompt.max_tokens, prompt.schema) == ("code", 16_384, None)


def test_a_text_with_a_fence_in_it(open_search: Opener, tmp_path: Path) -> None:
    """The fence around it is longer than any inside, in the prompt and in the answer."""
    fenced = f'{TRAIN_PY}print("""\n```python\n""")\n'
    model = Saying([f"DESCRIPTION: x\n````python\n{fenced}````\n", code(variant(2))])
    search = open_search(tmp_path, model)
    run(search, 1)
    made = search.ask()
    assert made is not None
    assert made.text is not None
    assert made.text.read_text() == fenced
    told(search, 1, 1.0)
    search.ask()
    assert f"````python\n{fenced}````\n" in model.prompts[1].text


def test_one_more_try_says_what_was_wrong(open_search: Opener, tmp_path: Path) -> None:
    """The second request is the first one with the reason; both are the trial's."""
    model = Saying([DOES_NOT_PARSE, code(variant(1), "better")])
    search = open_search(tmp_path, model)
    run(search, 1)
    made = search.ask()
    assert made is not None
    assert made.words == "better"
    assert made.proposal["requests"] == ["r-1", "r-2"]
    assert made.proposal["repairs"] == ["second answer"]
    first, second = (prompt.text for prompt in model.prompts)
    assert second.startswith(first)
    assert "the file does not parse: line 10: invalid syntax" in second


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (DOES_NOT_PARSE, "does not parse: line 10"),
        ("", "empty"),
        ("I cannot do this.", "no code fence"),
        ("DESCRIPTION: nothing\n", "no code fence"),
        (code(f"{TRAIN_PY}\n\n"), "the best train.py without a change"),
        (code(f"{variant(1)}\n"), "that of trial 1 again"),
        (code("x = '\0'\n"), "does not parse"),
        (code(f"x = {'(' * 500}{')' * 500}\n"), "does not parse"),
        (code("#" * (1 << 20) + "\n"), "longer than 1024 KiB"),
        (None, "there was no answer: HTTP 503"),
    ],
)
def test_an_answer_that_cannot_be_used_costs_no_trial(
    open_search: Opener, tmp_path: Path, said: str | None, why: str
) -> None:
    """It is named to people, its requests go to the next trial, and the next request is made."""
    notes: list[str] = []
    model = Saying([code(variant(1)), said, said, code(variant(2))])
    search = open_search(tmp_path, model, notes)
    for number, value in enumerate([2.0, 2.1]):
        search.ask()
        told(search, number, value)
    made = search.ask()
    assert made is not None
    assert (made.number, made.proposal["by"]) == (2, "model")
    assert made.proposal["requests"] == ["r-2", "r-3", "r-4"]
    assert made.proposal["repairs"] == ["no trial for answers: 1"]
    [note] = notes
    assert note.startswith("no trial for answer 2: ")
    assert why in note
    assert '{"answer": 2, "outcome": "not run: ' in model.prompts[3].text


@settings(max_examples=40)
@given(
    said=st.lists(
        st.text(max_size=40)
        | st.sampled_from([code(variant(3)), f"```python\n{variant(4)}```", DOES_NOT_PARSE])
        | st.text(max_size=40).map(code),
        min_size=20,
        max_size=20,
    )
)
def test_whatever_a_model_says_a_trial_is_a_text_that_parses(
    tmp_path_factory: pytest.TempPathFactory, said: list[str | None]
) -> None:
    """Any answers lead to new texts that parse, or to the end of the search with a reason."""
    search = Opener()(tmp_path_factory.mktemp("state"), Saying(said))
    made = []
    with suppress(GaveUpError, OutOfBudgetError):
        while True:
            made.append(search.ask())
    found = [one.text.read_bytes() for one in made if one and one.text]
    assert len(found) == len(set(found)) == len(made) >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert all(ast.parse(text) for text in found)


def test_the_study_ran_the_best_text_again(open_search: Opener, tmp_path: Path) -> None:
    """Under `automl-2026` a syntax error is a trial of the best text, named as a fallback."""
    model = Saying([code(variant(1)), DOES_NOT_PARSE, code(variant(1))])
    search = open_search(tmp_path, model, as_published="automl-2026")
    for number, value in enumerate([2.0, 1.9]):
        search.ask()
        told(search, number, value)
    made, again = search.ask(), search.ask()
    assert made is not None
    assert again is not None
    assert made.text is not None
    assert made.text.read_text() == variant(1)
    assert made.proposal["by"] == "fallback"
    assert "does not parse" in made.proposal["why"]
    assert again.proposal["by"] == "model"  # the study ran what it had run before
    assert [prompt.max_tokens for prompt in model.prompts] == [8192] * 3


def test_three_at_a_time_are_all_different(open_search: Opener, tmp_path: Path) -> None:
    """Each is asked for from the best at its time, and is told which others are running."""
    model = ScriptedModel(quality=GOOD)
    search = open_search(tmp_path, model)
    made = run(search, 12, parallel=3)
    assert [number for number, _ in made] == list(range(12))
    assert len({text for _, text in made}) == 12
    assert sum('"outcome": "running"' in prompt.text for prompt in model.prompts) >= 10
    assert len(search.outstanding()) == 2


def test_the_loop_hands_texts_in(
    open_search: Opener, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The runner gets the file's path, its hash, the description and where it came from."""
    search = open_search(tmp_path, Saying([code(variant(1), "a lower rate")]))
    loop = Loop(search, 1)
    loop.begin({})
    loop.handle(TrialFinished("ask-0", 1, "ok", 2.0, 5.0))
    asked = [json.loads(line) for line in capfd.readouterr().out.splitlines() if "ask-1" in line]
    [request] = [one for one in asked if one["event"] == "trial.requested"]
    assert request["hypothesis"] == "a lower rate"
    assert request["proposal"]["requests"] == ["r-1"]
    text = Path(request["path"]).read_bytes()
    assert text == variant(1).encode()
    assert request["sha256"] == hashlib.sha256(text).hexdigest()


def test_step_tells_a_failure(open_search: Opener, tmp_path: Path) -> None:
    """Code that wants the network is run and fails like any other; the best stays."""
    search = open_search(tmp_path, Saying([code(f"import socket\n{variant(1)}")]))
    step(search)
    assert "import socket" in step(search)[1]
    assert search.best() is not None
    assert search.best()[1] == 0
