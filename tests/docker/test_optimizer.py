"""The optimizer image in its lock: what it learns, how it lives, and how it ends."""

from __future__ import annotations

import math
from typing import Any

import pytest

from runner import samplers
from runner.wire.messages import (
    Message,
    Problem,
    Start,
    Started,
    Stop,
    Stopped,
    TrialFinished,
    TrialRefused,
    TrialRequested,
)

from .optimizer_rig import Make, answer, loss


def test_a_gaussian_process_leaves_a_region_where_training_fails(make_optimizer: Make) -> None:
    """Deeper is better but every depth above 5 crashes: most later trials stay below."""
    optimizer = make_optimizer("gp")
    optimizer.up()
    crashed = []
    for number in range(24):
        request = optimizer.next(TrialRequested)
        crashed.append(request.knobs["DEPTH"] > 5)
        status, value = ("oom", None) if crashed[-1] else ("ok", loss(request.knobs))
        optimizer.say(TrialFinished(request.request, number, status, value, 1.0))
    assert any(crashed[:12])
    assert sum(crashed[12:]) <= 6


@pytest.mark.parametrize(("good", "bad"), [(0.02, 0.19), (0.19, 0.02)])
def test_a_rounded_knob_is_learned_as_it_was_run(
    make_optimizer: Make, good: float, bad: float
) -> None:
    """train.py ran one of two rates, whatever was suggested: the next one is near the good rate."""
    optimizer = make_optimizer("tpe")
    optimizer.up()
    for number in range(16):
        request = optimizer.next(TrialRequested)
        rate, value = (good, 2.0) if number % 2 else (bad, 3.0)
        summary = {"MATRIX_LR": rate, "WINDOW_PATTERN": "S", "WARMUP_RATIO": 7.0}
        optimizer.say(TrialFinished(request.request, number, "ok", value, 1.0, summary))
    asked = optimizer.next(TrialRequested).knobs["MATRIX_LR"]
    assert abs(math.log(asked / good)) < abs(math.log(asked / bad))


def test_an_unanswered_request_is_repeated_as_it_was(make_optimizer: Make) -> None:
    """After a restart, and after a second `start`, its request id and knobs are the same."""
    optimizer = make_optimizer("random", parallel=2)
    optimizer.up()
    asked = [optimizer.next(TrialRequested), optimizer.next(TrialRequested)]
    assert asked[0].knobs != asked[1].knobs
    optimizer.say(Start(optimizer.config))
    optimizer.next(Started)
    assert [optimizer.next(TrialRequested), optimizer.next(TrialRequested)] == asked
    optimizer.kill()
    optimizer.up()
    assert [optimizer.next(TrialRequested), optimizer.next(TrialRequested)] == asked
    optimizer.say(answer(asked[1]))
    assert optimizer.next(TrialRequested).request == "ask-2"


def test_an_answer_that_comes_twice_is_told_once(make_optimizer: Make) -> None:
    """The second of two equal answers changes nothing and asks nothing."""
    optimizer = make_optimizer()
    optimizer.up()
    first = optimizer.next(TrialRequested)
    optimizer.say(answer(first))
    second = optimizer.next(TrialRequested)
    optimizer.say(answer(first))
    optimizer.say(answer(second))
    assert optimizer.next(TrialRequested).request == "ask-2"
    assert optimizer.log("(setting 1)").count("(setting 0)") == 1


def test_it_stops_when_told(make_optimizer: Make) -> None:
    """`stop` is answered by `stopped` with its reason, and the exit code is 0."""
    optimizer = make_optimizer()
    optimizer.up()
    optimizer.next(TrialRequested)
    optimizer.say(Stop("trials spent", 5))
    assert optimizer.next(Stopped).reason == "trials spent"
    assert optimizer.end().exit_code == 0


def test_it_stops_when_no_trial_will_be_taken(make_optimizer: Make) -> None:
    """A final refusal ends it, and so does the answer that says it was the last."""
    refused, answered = make_optimizer(), make_optimizer()
    refused.up()
    request = refused.next(TrialRequested)
    refused.say(TrialRefused(request.request, "the budget is spent", final=True))
    assert "the budget is spent" in refused.next(Stopped).reason
    answered.up()
    request = answered.next(TrialRequested)
    answered.say(TrialFinished(request.request, 0, "ok", 2.5, 1.0, last=True))
    assert answered.next(Stopped).reason == "the last trial is done"
    assert (refused.end().exit_code, answered.end().exit_code) == (0, 0)


def test_ten_refusals_in_a_row_end_it(make_optimizer: Make) -> None:
    """A runner that refuses every setting is asked ten times and not again."""
    optimizer = make_optimizer()
    optimizer.up()
    for _ in range(9):
        request = optimizer.next(TrialRequested)
        optimizer.say(TrialRefused(request.request, "train.py has no DEPTH"))
        assert "train.py has no DEPTH" in optimizer.next(Problem).message
    request = optimizer.next(TrialRequested)
    optimizer.say(TrialRefused(request.request, "train.py has no DEPTH"))
    assert "10 requests in a row" in optimizer.next(Stopped).reason


def test_a_space_that_is_used_up_ends_it(make_optimizer: Make) -> None:
    """Two settings in all: after both have been tried there is nothing left to ask."""
    optimizer = make_optimizer(
        space={"X": {"type": "categorical", "choices": [1, 2], "default": 2}}
    )
    optimizer.up()
    tried = set()
    message = optimizer.next(Message)
    while isinstance(message, TrialRequested):
        tried.add(message.knobs["X"])
        optimizer.say(TrialFinished(message.request, 0, "ok", 2.0, 1.0))
        message = optimizer.next(Message)
    assert tried == {1, 2}
    assert message == Stopped("every setting has been tried")


def test_it_ends_at_its_deadline_and_on_sigterm(make_optimizer: Make) -> None:
    """Without a runner it ends itself at the deadline; SIGTERM ends it."""
    lonely, asked = make_optimizer(deadline_seconds=5), make_optimizer()
    lonely.start(lonely.config)
    lonely.hang_up()
    assert lonely.end(60).exit_code == 0
    lonely.log("stopped: deadline")
    asked.up()
    asked.engine.stop(asked.container, 60)
    assert asked.end().exit_code == 143


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"sampler": "tee-pee-ee"}, "known: " + ", ".join(samplers.load())),
        ({"space": {"DEPTH": {"type": "int", "low": 4, "high": 2, "default": 4}}}, "knob DEPTH"),
        ({"seed": None}, "reading start.config"),
        ({"parallel": 0}, "parallel must be at least 1"),
        ({"direction": "sideways"}, "direction must be one of minimize, maximize"),
    ],
)
def test_a_bad_config_is_said_and_ends_it(
    make_optimizer: Make, config: dict[str, Any], complaint: str
) -> None:
    """No trial is requested; `stopped` has the reason, and the exit code is not 0."""
    optimizer = make_optimizer(**config)
    with pytest.raises(AssertionError, match=r"reading start\.config|searching with"):
        optimizer.up()
    assert complaint in optimizer.next(Stopped).reason
    assert optimizer.end().exit_code in (1, 2)


def test_its_log_is_readable(make_optimizer: Make) -> None:
    """A person sees each setting, its result, and the best one so far."""
    optimizer = make_optimizer()
    optimizer.up()
    for trial, value in enumerate((2.5, 2.125, None), 1):
        request = optimizer.next(TrialRequested)
        status = "ok" if value else "crash"
        reason = "" if value else "loss is NaN"
        optimizer.say(TrialFinished(request.request, trial, status, value, 1.0, reason=reason))
    optimizer.next(TrialRequested)
    optimizer.log(
        "asked for setting 0: DEPTH=4 TOTAL_BATCH_SIZE=16384 MATRIX_LR=0.04",
        "trial 2 (setting 1): 2.125 (best 2.125, setting 1)",
        "trial 3 (setting 2): crash loss is NaN (best 2.125, setting 1)",
    )


def test_nothing_that_is_no_message_upsets_it(make_optimizer: Make) -> None:
    """Text, broken JSON, foreign requests and an endless line are reported; the work goes on."""
    optimizer = make_optimizer()
    optimizer.up()
    request = optimizer.next(TrialRequested)
    assert optimizer.channel is not None
    optimizer.channel.send(b"hello\n\n" + b"\xff\xfe\n")
    optimizer.channel.send(b'{"event":"trial.finished","request":7}\n')
    assert optimizer.next(Problem).during == "reading a message"
    optimizer.say(TrialFinished("somebody-else", 0, "ok", 1.0, 1.0))
    assert "somebody-else" in optimizer.next(Problem).message
    optimizer.say(answer(request))
    assert optimizer.next(TrialRequested).request == "ask-1"
