"""What is asked of a baseline that uses a model: everything wrong is one error with the way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import options, samplers, spec
from runner.errors import HostError, UserError
from runner.options import RunOptions, proposing
from runner.spec import Budget, Proposer, RunSpec
from tests.unit.options.rig import MODEL, keep_prompts

BUDGET = Budget(trials=6)
ENV = {"ANTHROPIC_API_KEY": "sk-a", "OPENAI_API_KEY": "sk-o", "GEMINI_API_KEY": "sk-g"}
METHODS = list(samplers.load_methods())


@pytest.fixture(autouse=True)
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all prompts, and a working directory without a .env."""
    monkeypatch.chdir(tmp_path)
    return keep_prompts(tmp_path / "prompts", monkeypatch)


def made(name: str, budget: Budget = BUDGET, **asked: Any) -> RunSpec:
    return options.baseline_run(name, RunOptions(**({"model": MODEL} | asked)), budget, ENV)


def proposer(name: str, **asked: Any) -> Proposer:
    found = made(name, **asked).proposer
    assert found is not None
    return found


def refused(name: str, **asked: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        made(name, **asked)
    assert caught.value.hint
    return caught.value


def test_the_spec_says_all_that_the_method_is_told(prompts: Path) -> None:
    """Its method, its model, its numbers, and its prompts with their hashes."""
    run = made("centaur", ratio=0.5, as_published="automl-2026", seed=3)
    (override,) = proposer("centaur").prompts.values()
    assert override.text == (prompts / "override.md").read_text()
    assert run.proposer == Proposer(
        method="centaur", provider="anthropic", model=MODEL, inner="cmaes", ratio=0.5,
        as_published="automl-2026", prompts={"override": override},
    )  # fmt: skip
    assert (run.kind, run.sampler, run.uses_model) == ("baseline", "centaur", True)
    assert run.api_key is not None
    assert run.api_key.get_secret_value() == "sk-a"
    assert "sk-a" not in run.model_dump_json()


@pytest.mark.parametrize("name", METHODS)
def test_a_spec_comes_back_from_its_file_with_the_prompts_that_it_began_with(
    name: str, prompts: Path
) -> None:
    """A resumed run has them whatever became of the files, and gets its key again."""
    run = made(name)
    for path in prompts.iterdir():
        path.write_text("# another\n")
    read = RunSpec.model_validate_json(run.model_dump_json())
    assert read == run.model_copy(update={"api_key": None})
    assert options.with_key(read, ENV) == run
    with pytest.raises(UserError, match="ANTHROPIC_API_KEY"):
        options.with_key(read, {})


def test_a_spec_of_an_earlier_version_has_no_proposer() -> None:
    """Its file does not have the field, and nothing else of it changes."""
    run = options.baseline_run("tpe", RunOptions(), BUDGET)
    earlier = RunSpec.model_validate_json(run.model_dump_json(exclude={"proposer"}))
    assert earlier == run
    assert not earlier.uses_model


def test_a_prompt_that_was_changed_in_the_spec_is_not_read() -> None:
    """Text and hash belong together: a run does not go on with other prompts."""
    body = made("warm").model_dump(mode="json")
    body["proposer"]["prompts"]["first"]["text"] += "more"
    with pytest.raises(ValueError, match="sha256 is not that of the text"):
        RunSpec.model_validate(body)


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("centaur", {"model": None}, "choosing the model of centaur: there is none"),
        ("centaur", {"model": "--help"}, "not the name of a model"),
        ("centaur", {"model": "my-own-model"}, "no price list names one"),
        ("centaur", {"model": "my-own-model", "provider": "openai"}, "no price is known"),
        ("centaur", {"provider": "opnai"}, "no provider 'opnai'"),
        ("centaur", {"ratio": 1.5}, "RATIO is 1.5"),
        ("centaur", {"ratio": -0.1}, "RATIO is -0.1"),
        ("centaur", {"ratio": float("nan")}, "RATIO is nan"),
        ("centaur", {"inner": "tpe"}, "setting INNER of centaur: it has no such option"),
        ("centaur", {"first": 5}, "setting FIRST of centaur"),
        ("llambo", {"ratio": 0.3}, "setting RATIO of llambo"),
        ("llm-code", {"space": "my.toml"}, "setting SPACE of llm-code"),
        ("llm-code", {"pruner": "median"}, "setting PRUNER of llm-code: it has no such option"),
        ("llm-space", {"as_published": "automl-2026"}, "setting AS_PUBLISHED of llm-space"),
        ("centaur", {"as_published": "automl"}, "no study of AS_PUBLISHED 'automl'"),
        ("warm", {"first": 0}, "FIRST is 0"),
        ("warm", {"first": 1001}, "FIRST is 1001"),
        ("warm", {"inner": "tp"}, "no inner sampler 'tp'"),
        ("warm", {"inner": "centaur"}, "centaur is an optimiser that uses a model itself"),
        ("warm", {"inner": "./my.py:Factory"}, "is a sampler of your own"),
        ("warm", {"inner": "catcma"}, "catcma keeps a state"),
        ("warm", {"inner": "grid"}, "the space has no end"),
        ("llm-space", {"inner": "grid"}, "grid needs a finite space"),
        ("warm", {"storage": "postgresql://me@192.0.2.1/studies"}, "sharing a study: warm"),
        ("warm", {"study": "automl-2026"}, "sharing a study: warm"),
        ("warm", {"base_url": "localhost"}, "BASE_URL"),
        ("warm", {"pruner": "mediam"}, "no pruner 'mediam'"),
        ("warm", {"workers": 0}, "WORKERS is 0"),
        ("warm", {"orphan_minutes": 0.0}, "ORPHAN_MINUTES is 0"),
        ("tpe", {}, "setting MODEL of tpe: it is a sampler without a model"),
        ("tpe", {"model": None, "inner": "gp"}, "setting INNER of tpe"),
        ("tpe", {"model": None, "as_published": "automl-2026"}, "setting AS_PUBLISHED of tpe"),
        ("tpe", {"model": None, "record": True}, "setting RECORD of tpe"),
        ("tpe", {"model": None, "allow_unpriced": True}, "setting ALLOW_UNPRICED of tpe"),
        ("tpe", {"model": None, "orphan_minutes": 5.0}, "setting ORPHAN_MINUTES of tpe"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_starts(
    name: str, asked: dict[str, Any], said: str
) -> None:
    """One sentence with what is wrong, and a hint."""
    assert said in refused(name, **asked).message


def test_a_loop_may_rehearse_all_contestants() -> None:
    """A sampler without a model runs as it would without that option."""
    assert made("tpe", model=None, rehearsal=True) == made("tpe", model=None)


def test_no_key_is_an_error_that_names_its_variable() -> None:
    """As for an agent of the same provider; a server of one's own needs none."""
    with pytest.raises(UserError, match="starting centaur: there is no GEMINI_API_KEY or GOOGLE"):
        options.baseline_run("centaur", RunOptions(model="gemini-3-flash-preview"), BUDGET, {})
    asked = RunOptions(model="mine", base_url="http://192.0.2.1:8000/v1", allow_unpriced=True)
    run = options.baseline_run("centaur", asked, BUDGET, {})
    assert (run.base_url, run.api_key is not None) == (asked.base_url, True)
    assert run.proposer is not None
    assert run.proposer.provider == "openai"


@pytest.mark.parametrize(
    ("model", "provider"),
    [(MODEL, "anthropic"), ("gpt-5.4", "openai"), ("o3", "openai"), ("gemini-2.5-pro", "google")],
)
def test_the_provider_is_found_by_the_models_name(model: str, provider: str) -> None:
    """By the agents' table or the price list; one that is given counts more."""
    assert proposer("llambo", model=model).provider == provider
    given = proposer("llambo", model=model, provider="openai", allow_unpriced=True)
    assert given.provider == "openai"


def test_a_rehearsal_needs_neither_model_nor_key() -> None:
    """Its model is that of the first agent, of the provider if one is named."""
    for provider, model in ((None, MODEL), ("openai", "gpt-5.4")):
        asked = RunOptions(rehearsal=True, provider=provider)
        run = options.baseline_run("llm-knobs", asked, BUDGET, {})
        assert run.rehearsed
        assert run.proposer is not None
        assert run.proposer.model == model
        assert run.api_key is not None
        assert run.api_key.get_secret_value() == options.REHEARSAL_KEY


def test_a_model_bounds_its_run_by_dollars_and_tokens() -> None:
    """Dollars of a model without a price never come to a bound, and nothing else does without."""
    assert made("llambo", Budget(usd=1)).budget.usd == 1
    assert made("centaur", Budget(tokens=1000)).budget.tokens == 1000
    unpriced: dict[str, Any] = {"model": "mine", "provider": "openai", "allow_unpriced": True}
    assert made("llambo", Budget(tokens=9), **unpriced).allow_unpriced
    with pytest.raises(UserError, match="nothing that this run spends is bounded"):
        made("llambo", Budget(usd=1), **unpriced)


@pytest.mark.parametrize(
    ("name", "asked"), [("warm", {}), ("llm-space", {}), ("centaur", {"ratio": 0.0})]
)
@pytest.mark.parametrize("bounds", [{"usd": 1}, {"tokens": 9}])
def test_a_model_that_is_asked_no_more_bounds_no_run(
    name: str, asked: dict[str, Any], bounds: dict[str, Any]
) -> None:
    """The sampler that searches afterwards spends neither dollars nor tokens."""
    with pytest.raises(UserError, match="neither USD nor TOKENS bounds this run"):
        made(name, Budget(**bounds), **asked)
    assert made(name, Budget(hours=1, **bounds), **asked).budget.hours == 1


def test_a_prompt_that_is_missing_or_no_template_stops_the_start(prompts: Path) -> None:
    """The error names the file."""
    (prompts / "override.md").write_text("# costs $5\n")
    with pytest.raises(HostError, match=r"override\.md: it is no template"):
        made("centaur")
    (prompts / "override.md").unlink()
    with pytest.raises(HostError, match=r"override\.md: No such file"):
        made("centaur")


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked", "contestant"),
    [
        ("centaur", {}, f"centaur-{MODEL}"),
        ("centaur", {"ratio": 0.8, "pruner": "median"}, f"centaur-r0.8-{MODEL}-median"),
        ("warm", {"inner": "gp", "first": 8}, f"warm-gp-f8-{MODEL}"),
        ("llm-space", {"inner": "tpe"}, f"llm-space-{MODEL}"),
        ("llambo", {"as_published": "automl-2026"}, f"llambo-{MODEL}-automl"),
        ("llambo", {"provider": "anthropic"}, f"llambo-{MODEL}"),
    ],
)
def test_runs_that_differ_have_different_names(
    name: str, asked: dict[str, Any], contestant: str
) -> None:
    """So they stand beside each other, and are not averaged with each other."""
    run = made(name, seed=4, **asked)
    assert (run.contestant, run.run_id) == (contestant, f"{contestant}-s4")
    assert run.sampler == name


def test_models_that_are_not_the_same_have_different_names() -> None:
    """What the name leaves out or changes, and whose server answers, is in its digits."""
    own: dict[str, Any] = {"allow_unpriced": True, "provider": "openai"}
    asked: list[dict[str, Any]] = [
        {"model": "qwen3.5-27b", **own},
        {"model": "Qwen3.5-27B", **own},
        {"model": "qwen/qwen3.5-27b", **own},
        {"model": "other/qwen3.5-27b", **own},
        {"model": "qwen3.5-27b", **own, "provider": "anthropic"},
        {"model": "qwen3.5-27b", **own, "base_url": "http://192.0.2.1:8000/v1"},
        {"model": "qwen3.5-27b", **own, "base_url": "http://192.0.2.2:8000/v1"},
    ]
    names = {made("centaur", **each).contestant for each in asked}
    assert len(names) == len(asked)
    assert all(re.fullmatch(r"centaur-qwen3\.5-27b-[0-9a-f]{4}", name) for name in names)


def test_a_name_has_room_for_a_seed_of_six_digits_and_says_what_is_too_long() -> None:
    """The same contestant has the same name with every seed."""
    long: dict[str, Any] = {"model": "claude-opus-4-5-20251101-and-more", **SERVER}
    runs = [made("llambo-optuna", seed=seed, **long) for seed in (1, 123456)]
    assert len({run.contestant for run in runs}) == 1
    error = refused("llambo-optuna", seed=123456789, **long)
    assert "naming the run: llambo-optuna-" in error.message
    assert "has 51 characters, at most 48" in error.message


@given(
    name=st.sampled_from(METHODS),
    inner=st.sampled_from(sorted(samplers.load())),
    model=st.text(min_size=1, max_size=128),
    ratio=st.floats(0, 1),
    first=st.integers(1, 1000),
    published=st.booleans(),
    pruner=st.sampled_from(spec.PRUNERS),
)
def test_any_model_makes_a_name_that_can_be_a_run_id(
    name: str, inner: str, model: str, ratio: float, first: int, published: bool, pruner: str
) -> None:
    """However long or odd it is: what is cut ends in digits of its hash."""
    row = samplers.load_methods()[name]
    asked = Proposer(
        method=name,
        provider="openai",
        model=model,
        inner=inner if "INNER" in row.takes else row.inner,
        ratio=round(ratio, 3) if "RATIO" in row.takes else spec.RATIO,
        first=first if "FIRST" in row.takes else spec.FIRST,
        as_published="automl-2026" if published and "AS_PUBLISHED" in row.takes else "",
    )
    contestant = proposing.contestant_of(asked, pruner)
    assert spec.check_run_id(spec.run_id(contestant, 9999))
    assert contestant.startswith(name)


def test_long_names_that_differ_at_their_end_stay_different() -> None:
    """The start of both is the same, so their hashes tell them apart."""
    long = "a-model-with-a-name-that-goes-on-and-on-and-on"
    names = {
        proposing.contestant_of(proposer("llambo-optuna", model=f"{long}-{end}", **SERVER), "none")
        for end in ("a", "b")
    }
    assert len(names) == 2
    assert all(re.fullmatch(r"llambo-optuna-a-model-with.*-[0-9a-f]{4}", name) for name in names)


SERVER: dict[str, Any] = {"base_url": "http://192.0.2.1", "allow_unpriced": True}
