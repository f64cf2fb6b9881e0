"""The optimizer as a process that asks a model through a gateway, is killed, and goes on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runner.records.layout import ROOT
from runner.wire.messages import Problem, Stopped, TrialFinished, TrialRequested
from runner.wire.model_config import GAVE_UP
from runner.wire.protocol import pack_text

from .models.providers import Said, bodies, config_of, gateway_of, text_of
from .process import OptimizerProcess

PROMPTS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in (ROOT / "setup_prompts" / "optimisers").glob("*.md")
}


def model_table(**changed: Any) -> dict[str, Any]:
    """The table `language_model` of a config."""
    return asdict(config_of("anthropic")) | {"prompts": PROMPTS} | changed


def answered(request: TrialRequested, value: float) -> TrialFinished:
    """The ledger's answer to a request."""
    number = int(request.request.rpartition("-")[2])
    return TrialFinished(request.request, number, "ok", value, 1.0)


def test_a_killed_process_pays_for_no_answer_twice(tmp_path: Path) -> None:
    """The proposal names the gateway's request, before and after the death."""
    said = Said('```json\n{"RATE": 5, "DEPTH": 6}\n```')
    with gateway_of("anthropic", tmp_path, lambda _: said) as gateway:
        program = OptimizerProcess(tmp_path, gateway.socket, language_model=model_table())
        program.up()
        first = program.next(TrialRequested)
        program.say(answered(first, 2.0))
        second = program.next(TrialRequested)
        program.again(second)
        [record] = gateway.usage_records(1)
        [body] = bodies(gateway)
        program.kill()
    assert (first.proposal["by"], first.knobs) == ("default", {"RATE": 0.1, "DEPTH": 4})
    assert (second.proposal["by"], second.knobs) == ("model", {"RATE": 1.0, "DEPTH": 6})
    assert second.proposal["requests"] == [record["request"]]
    assert second.proposal["changed"] == {"RATE": "clamped"}
    assert text_of(body).startswith("# Propose the next setting\n")
    assert json.dumps({"trial": 0, "val_bpb": 2.0, "knobs": first.knobs}) in text_of(body)


def test_a_process_gives_up_on_a_model_that_says_nothing_usable(tmp_path: Path) -> None:
    """After ten fallbacks the runner is told, and the reason begins as it expects."""
    with gateway_of("anthropic", tmp_path, lambda _: Said("I would rather not.")) as gateway:
        program = OptimizerProcess(tmp_path, gateway.socket, language_model=model_table())
        program.up()
        by = []
        for _ in range(11):
            request = program.next(TrialRequested)
            by.append(request.proposal["by"])
            program.say(answered(request, 2.0))
        problem, stopped = program.next(Problem), program.next(Stopped)
        program.kill()
    assert by == ["default", *["fallback"] * 10]
    assert problem.during == "asking the model"
    assert stopped.reason.startswith(GAVE_UP)
    assert len(bodies(gateway)) == 20


def test_a_process_without_a_space_gives_up_before_its_first_trial(tmp_path: Path) -> None:
    """The runner is told why, nothing is trained, and a resumed process asks the model anew."""
    model = model_table(method="llm-space", train_py_gz=pack_text("RATE = 0.1\nDEPTH = 4\n"))
    with gateway_of("anthropic", tmp_path, lambda _: Said("I would rather not.")) as gateway:
        program = OptimizerProcess(tmp_path, gateway.socket, language_model=model)
        for _ in range(2):
            program.up()
            problem, stopped = program.next(Problem), program.next(Stopped)
            program.kill()
            assert problem.during == "asking the model"
            assert stopped.reason.startswith(f"{GAVE_UP}the model gave no space")
    assert len(bodies(gateway)) == 4


def test_the_runner_is_told_what_requests_go_without(tmp_path: Path) -> None:
    """A part that the provider refuses is named, and the answer without it is used."""

    def script(body: dict[str, Any]) -> Said:
        refused = "temperature" in body
        return Said("temperature: not taken", status=400) if refused else Said('{"DEPTH": 6}')

    with gateway_of("anthropic", tmp_path, script) as gateway:
        program = OptimizerProcess(tmp_path, gateway.socket, language_model=model_table())
        program.up()
        program.say(answered(program.next(TrialRequested), 2.0))
        problem, request = program.next(Problem), program.next(TrialRequested)
        program.kill()
    assert problem.during == "asking the model"
    assert "without temperature" in problem.message
    assert request.knobs["DEPTH"] == 6


def test_a_spent_cap_ends_the_process_with_its_cause(tmp_path: Path) -> None:
    """The gateway admits no request, and what is said is about the budget."""
    caps = {"usd": 0.0, "tokens": None}
    with gateway_of("anthropic", tmp_path, caps=caps) as gateway:
        program = OptimizerProcess(tmp_path, gateway.socket, language_model=model_table())
        program.up()
        program.say(answered(program.next(TrialRequested), 2.0))
        stopped = program.next(Stopped)
        program.kill()
    assert "the model's budget is spent" in stopped.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ratio": 1.5}, "ratio must be 0 to 1"),
        ({"provider": "nobody"}, "provider"),
        ({"surprise": 1}, "surprise is no field"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """The field is in the problem, and nothing has begun."""
    program = OptimizerProcess(tmp_path, language_model=model_table(**changed))
    with pytest.raises(AssertionError, match=f"reading start.config.*{words}"):
        program.up()
    program.kill()
    assert not list(tmp_path.iterdir())
