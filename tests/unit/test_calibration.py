"""What is made of a measurement of the pristine train.py."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from runner.calibration import Calibration, Facts, key_of, scored_share, will_do
from runner.metrics import VAL_BPB
from runner.records.runtime import RuntimeRecord
from runner.spec import Budget, RunSpec
from runner.wire.judge_terms import OF_A_TRIAL
from runner.wire.messages import ScoreFinished

FACTS = Facts(train_seconds=20, overhead_seconds=4, scoring_seconds=3, lost_share=0.02)


def spec(**fields: Any) -> RunSpec:
    given: dict[str, Any] = {
        "run_id": "random-s1", "kind": "baseline", "contestant": "random", "seed": 1,
        "task": "pystdlib", "metric": VAL_BPB, "budget": Budget(trials=1), "trial_seconds": 60,
    }  # fmt: skip
    return RunSpec.model_validate(given | fields)


def test_the_allowance_has_a_margin_and_a_bound() -> None:
    """Half as much again and two seconds, and never more than the task allows."""
    allowed = FACTS.allowances(60)
    assert (allowed.start_seconds, allowed.scoring_seconds, allowed.lost_share) == (8, 3, 0.02)
    assert FACTS.allowances(5).start_seconds == 5


def test_a_disturbed_measurement_excuses_no_load() -> None:
    """What other load cost the pristine train.py is taken off only where that was little."""
    slowed = FACTS.model_copy(update={"disturbed": True, "lost_share": 0.7})
    assert slowed.allowances(60).lost_share == 0


@pytest.mark.parametrize(
    ("changed", "wanted_seconds", "good"),
    [
        ({}, 20, True),
        ({"train_seconds": 10}, 20, True),
        ({"train_seconds": 5}, 20, False),
        ({"train_seconds": 5}, 5, True),
        ({"disturbed": True}, 20, False),
        ({"disturbed": True, "measurements": 3}, 20, True),
    ],
)
def test_which_measurement_is_made_again(
    changed: dict[str, Any], wanted_seconds: float, good: bool
) -> None:
    """One of far shorter trials, and one that was disturbed, but that three times at most."""
    assert will_do(FACTS.model_copy(update=changed), wanted_seconds) == good


def test_the_scoring_of_a_trial_is_a_share_of_the_references() -> None:
    """The judge has counted both; a small task's trial may be sent more, which counts as all."""
    assert scored_share(reference(4_000, {"tokens": 1_000})) == 0.25
    assert scored_share(reference(4_000, {"tokens": 5_000})) == 1
    assert scored_share(reference(4_000, "a quarter")) == 1
    assert scored_share(reference(0, {"tokens": 1_000})) == 1


def reference(sent: int, of_a_trial: object) -> ScoreFinished:
    """The judge's last word about a reference for which so many targets were sent."""
    return ScoreFinished("s", "scored", "", 0.0, sent, {}, {OF_A_TRIAL: of_a_trial})


def test_the_key_stands_for_what_decides_a_measurement() -> None:
    """Another image, text, machine, GPU or number of threads is measured on its own."""
    same = ("sha256:a", "DEPTH = 4", "machine", None, 2)
    others: list[tuple[str, str, str, str | None, int]] = [
        ("sha256:b", *same[1:]), ("sha256:a", "DEPTH = 5", *same[2:]),
        (*same[:2], "another", *same[3:]), (*same[:3], "0", 2), (*same[:4], 4),
    ]  # fmt: skip
    keys = {key_of(*same), *(key_of(*other) for other in others)}
    assert len(keys) == 6
    assert all(re.fullmatch(r"[0-9a-f]{16}", key) for key in keys)
    assert key_of(*same) in keys


def test_a_calibration_under_another_kernel_is_another_one() -> None:
    """Each set of gVisor's options has a key of its own; those of runc and crun are the same."""
    same = ("sha256:a", "DEPTH = 4", "machine", None, 2)
    gvisor = RuntimeRecord(name="runsc", options=("--platform=ptrace",), is_native=False)
    other = RuntimeRecord(name="runsc", options=("--platform=kvm",), is_native=False)
    assert len({key_of(*same), key_of(*same, gvisor.key), key_of(*same, other.key)}) == 3
    crun, runc = RuntimeRecord(name="crun"), RuntimeRecord(name="runc")
    assert key_of(*same, crun.key) == key_of(*same, runc.key) == key_of(*same)


def test_a_resumed_run_has_the_same_calibration() -> None:
    """It stands in spec.json; a run of before there was one has none."""
    kept = Calibration("abc", FACTS)
    made = spec(versions={"calibration": kept.as_version()})
    assert Calibration.of(RunSpec.model_validate_json(made.model_dump_json())) == kept
    assert Calibration.of(spec()) is None


def test_facts_of_another_version_are_read() -> None:
    """What only that version knew is passed over; a fact that is missing makes it unreadable."""
    told = FACTS.model_dump()
    assert Facts.model_validate(told | {"declared_seconds": 20.1, "tokens": 350_000}) == FACTS
    kept = {"key": "abc", "facts": told | {"peak_memory_bytes": 1 << 30}}
    assert Calibration.of(spec(versions={"calibration": kept})) == Calibration("abc", FACTS)
    with pytest.raises(ValidationError, match="overhead_seconds"):
        Facts.model_validate({"train_seconds": 20, "scoring_seconds": 3})
