"""The optimizer image in its lock: the conformance of all samplers, and how it lives and ends."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from runner import samplers
from runner.channel import Channel
from runner.containers import ContainerSpec, ContainerState, Mount
from runner.engine import Engine
from runner.protocol import (
    Message,
    Problem,
    Ready,
    Start,
    Started,
    Stop,
    Stopped,
    TrialFinished,
    TrialRefused,
    TrialRequested,
    decode,
    encode,
)

from .container_log import container_log

IMAGE = os.environ.get("BAKEOFF_TEST_OPTIMIZER_IMAGE", "bakeoff/optimizer:0.1.0")
SPACE: dict[str, Any] = {
    "DEPTH": {"type": "int", "low": 2, "high": 8, "default": 4},
    "TOTAL_BATCH_SIZE": {"type": "int", "low": 4096, "high": 65536, "log": True, "default": 16384},
    "MATRIX_LR": {"type": "float", "low": 0.005, "high": 0.2, "log": True, "default": 0.04},
    "WARMUP_RATIO": {"type": "float", "low": 0.0, "high": 0.3, "default": 0.0},
    "WINDOW_PATTERN": {"type": "categorical", "choices": ["SL", "L", "SSSL"], "default": "L"},
}
DEFAULTS = {name: knob["default"] for name, knob in SPACE.items()}
TRIALS = 16  # past the ten start-up trials of the model-based samplers
CRASHED, PRUNED = 3, 6  # two trials of every history, so that their telling is replayed as well
M = TypeVar("M", bound=Message)


def loss(knobs: dict[str, Any]) -> float:
    """A stand-in for val_bpb: lowest at a rate of 0.02 and a pattern of SSSL; deeper is better."""
    pattern: float = {"SL": 0.1, "L": 0.05, "SSSL": 0.0}[knobs["WINDOW_PATTERN"]]
    rate = math.log(knobs["MATRIX_LR"] / 0.02) ** 2
    batch = math.log(knobs["TOTAL_BATCH_SIZE"] / 8192) ** 2
    return float(2.0 + 0.1 * rate + 0.05 * batch + pattern - 0.02 * knobs["DEPTH"])


def answer(request: TrialRequested) -> TrialFinished:
    """What the ledger would say of a trial: one crashes, one is pruned, the others are measured."""
    number = int(request.request.rpartition("-")[2])
    status = {CRASHED: "crash", PRUNED: "pruned"}.get(number, "ok")
    value = None if status == "crash" else loss(request.knobs)
    batch = request.knobs["TOTAL_BATCH_SIZE"]
    summary = {"depth": 4.0, "TOTAL_BATCH_SIZE": 4096.0 * round(batch / 4096)}
    return TrialFinished(request.request, number, status, value, 1.0, summary)


@dataclass
class Optimizer:
    """The runner's end of one optimizer container, which may be killed and started again."""

    engine: Engine
    container: str
    config: dict[str, Any]
    channel: Channel | None = None
    lines: Iterator[tuple[bool, str]] = field(default_factory=lambda: iter(()))

    def up(self) -> Started:
        """Start the container (again), give it its config, and wait until it works."""
        self.hang_up()
        self.channel = self.engine.attach(self.container)
        self.lines = self.channel.lines()
        self.engine.start(self.container)
        self.next(Ready)
        self.say(Start(self.config))
        return self.next(Started)

    def say(self, message: Message) -> None:
        assert self.channel is not None
        self.channel.send(encode(message))

    def next(self, kind: type[M]) -> M:
        """The next message of this kind; a message of another kind before it is a failure."""
        for is_stdout, line in self.lines:
            message = decode(line) if is_stdout else None
            if message is not None:
                assert isinstance(message, kind), message
                return message
        raise AssertionError(f"the container ended before it said {kind.event}")

    def hang_up(self) -> None:
        if self.channel is not None:
            self.channel.close()

    def kill(self) -> None:
        self.engine.kill(self.container)
        assert self.engine.wait_exit(self.container, 20)

    def end(self, seconds: float = 20) -> ContainerState:
        state = self.engine.wait_exit(self.container, seconds)
        assert state is not None, "the container still runs"
        return state

    def log(self, *words: str) -> str:
        """What `docker logs` shows, once these words are there."""
        return container_log(self.engine, self.container, *words)


Make = Callable[..., Optimizer]


@pytest.fixture
def make(engine: Engine) -> Iterator[Make]:
    """Makes optimizers as the runner does, each with a state volume; removes them at the end."""
    made: list[tuple[Optimizer, str]] = []

    def _make(sampler: str = "random", seed: int = 1, **config: Any) -> Optimizer:
        run_id = f"test-{uuid.uuid4().hex[:8]}"
        volume = f"bakeoff-{run_id}-state"
        engine.create_volume(volume, run_id=run_id)
        spec = ContainerSpec(
            name=f"bakeoff-{run_id}-optimizer",
            image=IMAGE,
            run_id=run_id,
            role="optimizer",
            mounts=(Mount(volume, "/state"),),
            tmpfs={"/tmp": 64 << 20},
        )
        container = engine.create(spec)
        whole = {"sampler": sampler, "seed": seed, "space": SPACE, "deadline_seconds": 300}
        made.append((Optimizer(engine, container, whole | config), volume))
        return made[-1][0]

    yield _make
    for optimizer, volume in made:
        optimizer.hang_up()
        engine.remove(optimizer.container)
        engine.remove_volume(volume)


def run(optimizer: Optimizer, trials: int, killed_after: tuple[int, ...] = ()) -> list[Any]:
    """The knobs of the first trials; after each answer in `killed_after` PID 1 is killed."""
    optimizer.up()
    asked = []
    for number in range(trials):
        request = optimizer.next(TrialRequested)
        assert request.request == f"ask-{number}"
        asked.append(request.knobs)
        optimizer.say(answer(request))
        if number in killed_after:
            optimizer.kill()
            optimizer.up()
            again = optimizer.next(TrialRequested)
            if again == request:  # it died before it had read the answer
                optimizer.say(answer(again))
                again = optimizer.next(TrialRequested)
            assert again.request == f"ask-{number + 1}"
            optimizer.lines = chained(again, optimizer.lines)
    return asked


def chained(first: Message, rest: Iterator[tuple[bool, str]]) -> Iterator[tuple[bool, str]]:
    """The lines with a message put back in front."""
    yield True, encode(first).decode()
    yield from rest


@pytest.mark.parametrize("sampler", sorted(samplers.load()))
def test_every_sampler_repeats_itself_and_survives_being_killed(make: Make, sampler: str) -> None:
    """The same seed gives the same trials, killed three times or not; trial 0 is the default."""
    uninterrupted = run(make(sampler), TRIALS)
    resumed = run(make(sampler), TRIALS, killed_after=(0, CRASHED, 12))
    assert resumed == uninterrupted
    assert uninterrupted[0] == DEFAULTS
    assert all(within_range(knobs) for knobs in uninterrupted)
    assert len({json.dumps(knobs) for knobs in uninterrupted}) == TRIALS
    assert run(make(sampler, seed=2), 2)[1] != uninterrupted[1]


def within_range(knobs: dict[str, Any]) -> bool:
    return knobs.keys() == SPACE.keys() and all(
        value in knob["choices"]
        if knob["type"] == "categorical"
        else knob["low"] <= value <= knob["high"]
        and type(value) is {"int": int, "float": float}[knob["type"]]
        for value, knob in ((knobs[name], knob) for name, knob in SPACE.items())
    )


def test_a_gaussian_process_leaves_a_region_where_training_fails(make: Make) -> None:
    """Everything deeper than 5 crashes and deeper is better, yet not every later trial crashes."""
    optimizer = make("gp")
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
def test_a_rounded_knob_is_learned_as_it_was_run(make: Make, good: float, bad: float) -> None:
    """Whatever was asked for, train.py ran one of two rates: the next ask is near the good one."""
    optimizer = make("tpe")
    optimizer.up()
    for number in range(16):
        request = optimizer.next(TrialRequested)
        rate, value = (good, 2.0) if number % 2 else (bad, 3.0)
        summary = {"MATRIX_LR": rate, "WINDOW_PATTERN": "S", "WARMUP_RATIO": 7.0}
        optimizer.say(TrialFinished(request.request, number, "ok", value, 1.0, summary))
    asked = optimizer.next(TrialRequested).knobs["MATRIX_LR"]
    assert abs(math.log(asked / good)) < abs(math.log(asked / bad))


def test_an_unanswered_question_is_repeated_as_it_was(make: Make) -> None:
    """After a restart, and after a second `start`, its request id and knobs are the same."""
    optimizer = make("random", parallel=2)
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


def test_an_answer_that_comes_twice_is_told_once(make: Make) -> None:
    """The second of two equal answers changes nothing and asks nothing."""
    optimizer = make()
    optimizer.up()
    first = optimizer.next(TrialRequested)
    optimizer.say(answer(first))
    second = optimizer.next(TrialRequested)
    optimizer.say(answer(first))
    optimizer.say(answer(second))
    assert optimizer.next(TrialRequested).request == "ask-2"
    assert optimizer.log("(setting 1)").count("(setting 0)") == 1


def test_it_stops_when_told(make: Make) -> None:
    """`stop` is answered by `stopped` with its reason, and the exit code is 0."""
    optimizer = make()
    optimizer.up()
    optimizer.next(TrialRequested)
    optimizer.say(Stop("trials spent", 5))
    assert optimizer.next(Stopped).reason == "trials spent"
    assert optimizer.end().exit_code == 0


def test_it_stops_when_no_trial_will_be_taken(make: Make) -> None:
    """A final refusal ends it, and so does the answer that says it was the last."""
    refused, answered = make(), make()
    refused.up()
    request = refused.next(TrialRequested)
    refused.say(TrialRefused(request.request, "the budget is spent", final=True))
    assert "the budget is spent" in refused.next(Stopped).reason
    answered.up()
    request = answered.next(TrialRequested)
    answered.say(TrialFinished(request.request, 0, "ok", 2.5, 1.0, last=True))
    assert answered.next(Stopped).reason == "the last trial is done"
    assert (refused.end().exit_code, answered.end().exit_code) == (0, 0)


def test_refusals_without_end_end_it(make: Make) -> None:
    """A runner that takes none of its settings is asked ten times, not for ever."""
    optimizer = make()
    optimizer.up()
    for _ in range(9):
        request = optimizer.next(TrialRequested)
        optimizer.say(TrialRefused(request.request, "train.py has no DEPTH"))
        assert "train.py has no DEPTH" in optimizer.next(Problem).message
    request = optimizer.next(TrialRequested)
    optimizer.say(TrialRefused(request.request, "train.py has no DEPTH"))
    assert "10 requests in a row" in optimizer.next(Stopped).reason


def test_a_space_that_is_used_up_ends_it(make: Make) -> None:
    """Two settings in all: after both have been tried there is nothing left to ask."""
    optimizer = make(space={"X": {"type": "categorical", "choices": [1, 2], "default": 2}})
    optimizer.up()
    tried = set()
    message = optimizer.next(Message)
    while isinstance(message, TrialRequested):
        tried.add(message.knobs["X"])
        optimizer.say(TrialFinished(message.request, 0, "ok", 2.0, 1.0))
        message = optimizer.next(Message)
    assert tried == {1, 2}
    assert message == Stopped("every setting has been tried")


def test_it_ends_at_its_deadline_and_on_sigterm(make: Make) -> None:
    """With nobody at its stdin it ends itself at the deadline; SIGTERM ends it at once."""
    lonely, asked = make(deadline_seconds=15), make()
    lonely.up()
    lonely.hang_up()
    assert lonely.end(60).exit_code == 0
    lonely.log("stopped: deadline")
    asked.up()
    asked.engine.stop(asked.container, 5)
    assert asked.end().exit_code == 143


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"sampler": "tee-pee-ee"}, "known: " + ", ".join(samplers.load())),
        ({"space": {"DEPTH": {"type": "int", "low": 4, "high": 2, "default": 4}}}, "knob DEPTH"),
        ({"seed": None}, "reading start.config"),
        ({"parallel": 0}, "parallel must be at least 1"),
    ],
)
def test_a_bad_config_is_said_and_ends_it(
    make: Make, config: dict[str, Any], complaint: str
) -> None:
    """Nothing is asked; the reason is in `stopped`, and the exit code is not 0."""
    optimizer = make(**config)
    with pytest.raises(AssertionError, match=r"reading start\.config|searching with"):
        optimizer.up()
    assert complaint in optimizer.next(Stopped).reason
    assert optimizer.end().exit_code in (1, 2)


def test_another_search_is_not_continued(make: Make) -> None:
    """A state volume of another seed is refused rather than mixed into this study."""
    optimizer = make(seed=1)
    optimizer.up()
    optimizer.next(TrialRequested)
    optimizer.kill()
    optimizer.config["seed"] = 2
    with pytest.raises(AssertionError, match="the journal is of another search"):
        optimizer.up()


def test_its_log_is_readable(make: Make) -> None:
    """A person sees what was asked, what came of it, and what is best so far."""
    optimizer = make()
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


def test_nothing_that_is_no_message_upsets_it(make: Make) -> None:
    """Text, broken JSON, foreign requests and an endless line are reported; the work goes on."""
    optimizer = make()
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
