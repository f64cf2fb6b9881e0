"""What a trial printed: any text is read, nothing in it is believed beyond its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.trials.output import (
    MAX_ESTIMATES,
    MAX_SUMMARY_KEYS,
    TAIL_LINES,
    TrialOutput,
    number,
)

VALUES = st.one_of(
    st.floats().map(str), st.text(max_size=12), st.sampled_from(["nan", "inf", "-1", "1e999", "_"])
)
LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["---", "FAIL", "", "progress:", "val_estimate:", "val_bpb:"]),
        VALUES.map(lambda v: f"val_bpb: {v}"),
        VALUES.map(lambda v: f"training_seconds: {v}"),
        VALUES.map(lambda v: f"progress: step=1 train_seconds={v} loss={v}"),
        VALUES.map(lambda v: f"val_estimate: fraction=0.5 train_seconds={v} val_bpb={v}"),
    ),
    max_size=30,
)
ROUNDED = ["rounded: HEAD_DIM 100 -> 96", "rounded: DEPTH x -> nan", "rounded: -> 1"]
CLOSING = ["step 1", "---", "val_bpb: 1.25", "training_seconds: 4.5", "depth: 4", "device: cpu"]


def read(lines: list[str]) -> TrialOutput:
    output = TrialOutput()
    for line in lines:
        output.take(line)
    return output


@given(LINES, st.floats(min_value=0, max_value=1e6))
def test_any_text_is_read(lines: list[str], wall: float) -> None:
    """No line raises, and whatever was printed, the figures are within their bounds."""
    output = read(lines)
    assert output.val_bpb is None or 0 < output.val_bpb < 100
    assert 0 <= output.seconds_trained(wall) <= wall
    assert len(output.summary) <= MAX_SUMMARY_KEYS
    assert len(output.estimates) <= MAX_ESTIMATES
    assert len(output.tail) <= TAIL_LINES
    assert all(len(line) <= 500 for line in output.tail)


@given(st.text(max_size=20))
def test_a_number_is_finite_or_none(text: str) -> None:
    """What is no finite number is None, without an exception."""
    value = number(text)
    assert value is None or abs(value) < float("inf")


def test_the_closing_block_is_read() -> None:
    """Numbers become numbers, words stay words."""
    output = read(CLOSING)
    assert output.val_bpb == 1.25
    assert output.summary == {
        "val_bpb": 1.25, "training_seconds": 4.5, "depth": 4.0, "device": "cpu",
    }  # fmt: skip
    assert output.seconds_trained(9.0) == 4.5


def test_no_block_no_value() -> None:
    """A val_bpb outside of a closing block is talk."""
    assert read(["val_bpb: 1.0"]).val_bpb is None


def test_the_last_block_counts() -> None:
    """A second closing block takes the place of the first, with nothing left of it."""
    assert read([*CLOSING, "---", "val_bpb: 2.0"]).summary == {"val_bpb": 2.0}


def test_what_no_bits_per_byte_can_be_is_none() -> None:
    """NaN, infinity, zero, negative and absurd values are no measurement."""
    for value in ("nan", "inf", "-inf", "0", "-1.0", "100", "1e9", "one", "1.0 or so"):
        assert read(["---", f"val_bpb: {value}"]).val_bpb is None, value


def test_more_seconds_than_passed_are_not_believed() -> None:
    """Training seconds are bounded by the wall time that the runner saw, and never negative."""
    for said in ("99", "nan", "-5", "0"):
        assert read(["---", f"training_seconds: {said}"]).seconds_trained(10.0) == 10.0


def test_a_trial_without_an_end_has_trained_as_long_as_it_said() -> None:
    """A crash after some steps counts the seconds of the last progress line."""
    lines = [
        "progress: step=1 train_seconds=0.5 loss=9",
        "progress: step=2 train_seconds=3.5 loss=8",
    ]
    assert read(lines).seconds_trained(10.0) == 3.5


def test_estimates_are_kept_in_order() -> None:
    """Estimates with a val_bpb are kept, others passed over."""
    lines = [
        "val_estimate: fraction=0.25 train_seconds=1.3 val_bpb=2.31",
        "val_estimate: fraction=0.5 val_bpb=nan",
        "val_estimate: fraction=0.75 train_seconds=3.9 val_bpb=2.11",
    ]
    estimates = read(lines).estimates
    assert [e["fraction"] for e in estimates] == [0.25, 0.75]
    assert [e["val_bpb"] for e in estimates] == [2.31, 2.11]


def test_fail_is_seen() -> None:
    """A line FAIL marks the trial, a word in a sentence does not."""
    assert read(["FAIL"]).failed
    assert not read(["will it FAIL?"]).failed


def test_rounded_knobs_stand_in_the_summary_as_they_were_run() -> None:
    """The last value of each counts, what is no number does not, and their count is bounded."""
    output = TrialOutput()
    for line in ["rounded: HEAD_DIM 100 -> 112", *ROUNDED, *CLOSING]:
        output.take(line)
    assert output.summary["HEAD_DIM"] == 96.0
    assert "DEPTH" not in output.summary
    assert output.val_bpb == 1.25
    flooded = TrialOutput()
    for line in [*(f"rounded: K{n} 1 -> 2" for n in range(99)), *CLOSING]:
        flooded.take(line)
    assert flooded.val_bpb == 1.25
    assert len(flooded.summary) <= MAX_SUMMARY_KEYS


def test_what_is_kept_of_a_flood_is_bounded() -> None:
    """Estimates and summary keys without an end are kept up to their bounds."""
    lines = [f"val_estimate: fraction=0.1 val_bpb={n}" for n in range(1, 200)]
    keys = ["---", *(f"k{'x' * n}: 1" for n in range(100))]
    output = read([*lines, *keys])
    assert len(output.estimates) == MAX_ESTIMATES
    assert len(output.summary) == MAX_SUMMARY_KEYS
