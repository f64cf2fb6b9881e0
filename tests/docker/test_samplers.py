"""Every sampler in the locked image: it starts and asks, also a user's own; two keep the rules."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from runner import samplers
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.records.layout import ROOT
from runner.wire.messages import Stopped, TrialRequested

from .optimizer_rig import IMAGE, Make, answer

FINITE: dict[str, Any] = {
    "DEPTH": {"type": "int", "low": 2, "high": 8, "default": 4},
    "TOTAL_BATCH_SIZE": {"type": "int", "low": 4096, "high": 65536, "step": 4096, "default": 16384},
    "MATRIX_LR": {"type": "float", "low": 0.01, "high": 0.2, "step": 0.01, "default": 0.04},
    "WINDOW_PATTERN": {"type": "categorical", "choices": ["SL", "L", "SSSL"], "default": "L"},
}
OWN = """
class Deeper:
    def __init__(self, space):
        self.space = space

    def ask(self, number):
        return {name: getattr(knob, "high", None) or knob.choices[0]
                for name, knob in self.space.items()}

    def tell(self, number, knobs, value):
        assert knobs["DEPTH"] in (4, 8)
"""
IN_THE_IMAGE = ("gp", "smac")  # whose packages the host lacks
PAST_THE_START = "12"  # trials: the model chooses numbers 10 and 11
SUITE_SECONDS = 400.0


@pytest.mark.parametrize("sampler", samplers.load())
def test_a_sampler_starts_and_asks(make_optimizer: Make, sampler: str) -> None:
    """Three trials with their answers, from the runner's end of the container."""
    optimizer = make_optimizer(sampler, seed=101, space=FINITE)
    optimizer.up()
    asked = []
    for _ in range(3):
        request = optimizer.next(TrialRequested)
        asked.append(request.knobs)
        optimizer.say(answer(request))
    assert asked[0] == {name: knob["default"] for name, knob in FINITE.items()}
    assert asked[1] != asked[2]


def test_a_users_own_sampler_runs_in_the_lock(make_optimizer: Make) -> None:
    """Its text comes with `start`; the trials are those that it asks for, killed or not."""
    own = {"file": "deeper.py", "factory": "Deeper", "text": OWN}
    optimizer = make_optimizer("deeper", seed=102, space=FINITE, own=own)
    optimizer.up()
    optimizer.say(answer(optimizer.next(TrialRequested)))
    request = optimizer.next(TrialRequested)
    wanted = {"DEPTH": 8, "TOTAL_BATCH_SIZE": 65536, "MATRIX_LR": 0.2, "WINDOW_PATTERN": "SL"}
    assert request.knobs == wanted
    optimizer.kill()
    optimizer.up()
    assert optimizer.next(TrialRequested) == request
    optimizer.say(answer(request))
    assert optimizer.next(TrialRequested).knobs == wanted


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return NOTHING", "NameError: name 'NOTHING' is not defined"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
    ],
)
def test_a_users_sampler_that_fails_says_where(make_optimizer: Make, body: str, error: str) -> None:
    """No trial is requested, and the reason has the error of the user's own code."""
    own = {"file": "bad.py", "factory": "Bad", "text": f"def Bad(): {body}"}
    optimizer = make_optimizer("bad", seed=103, space=FINITE, own=own)
    with pytest.raises(AssertionError, match="searching with bad"):
        optimizer.up()
    assert error in optimizer.next(Stopped).reason
    assert optimizer.end().exit_code == 1


@pytest.mark.parametrize("sampler", IN_THE_IMAGE)
def test_a_sampler_of_the_image_keeps_the_rules(engine: Engine, sampler: str) -> None:
    """The rules of tests/sampler_conformance.py, in the image that a run has."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    suite = (ROOT / "tests" / "sampler_conformance.py").read_text()
    spec = ContainerSpec(
        f"bakeoff-{run_id}-rules", IMAGE, run_id, "optimizer", tmpfs={"/tmp": 256 << 20},
        entrypoint=["env", "PYTHONPATH=/opt/bakeoff", "python3", "-c", suite],
        command=[PAST_THE_START, sampler],
    )  # fmt: skip
    ended = one_off.run(engine, spec, one_off.Bounds(SUITE_SECONDS))
    assert ended.exit_code == 0, ended.output
    assert ended.output.endswith(f"{sampler} keeps all rules")
