"""What a trial printed: any text is read, and little of it leaves a trial that is being scored."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.trials.output import CLOSING_KEYS, MAX_ROUNDED, TAIL_LINES, TrialOutput, number

VALUES = st.one_of(
    st.floats().map(str), st.text(max_size=12), st.sampled_from(["nan", "inf", "-1", "1e999", "_"])
)
LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["---", "FAIL", "", "progress:", "Traceback (most recent call last):"]),
        st.sampled_from(['File "train.py", line 3', "ValueError: 61 62 63", "KeyError"]),
        VALUES.map(lambda v: f"training_seconds: {v}"),
        VALUES.map(lambda v: f"progress: step=1 train_seconds={v} loss={v}"),
        VALUES.map(lambda v: f"rounded: DEPTH {v} -> {v}"),
    ),
    max_size=30,
)
ROUNDED = ["rounded: HEAD_DIM 100 -> 96", "rounded: DEPTH x -> nan", "rounded: -> 1"]
CLOSING = ["step 1", "---", "val_bpb: 1.25", "training_seconds: 4.5", "depth: 4", "device: cpu"]
GREEN, BOLD, PLAIN = "\x1b[38;5;10m", "\x1b[1m", "\x1b(B\x1b[m"
TRACE = [
    "Traceback (most recent call last):",
    '  File "/trial/train.py", line 118, in <module>',
    "    main()",
    '  File "/trial/train.py", line 84, in main',
    "    value = evaluate_bpb(model, task, rows, device)",
    '  File "/opt/trainer/scoring.py", line 20, in evaluate_bpb',
    "    raise",
]


def read(lines: list[str], after: list[str] | None = None) -> TrialOutput:
    """An output with these lines, and those that come after the first request for the score."""
    output = TrialOutput()
    for line in lines:
        output.read_line(line)
    output.scoring = after is not None
    for line in after or ():
        output.read_line(line)
    return output


def passed_on(lines: list[str]) -> list[str]:
    """What leaves of lines that a trial prints while it is scored."""
    output = TrialOutput(scoring=True)
    return [told for line in lines if (told := output.read_line(line)) is not None]


@given(LINES, LINES)
def test_any_text_is_read(before: list[str], after: list[str]) -> None:
    """No line raises, and whatever was printed, what is kept of it is bounded."""
    output = read(before, after)
    assert len(output.summary) <= MAX_ROUNDED + len(CLOSING_KEYS)
    assert all(isinstance(value, float) for value in output.summary.values())
    assert len(output.tail) <= TAIL_LINES
    assert all(len(line) <= 500 for line in output.tail)
    assert len(output.why_failed(9)) <= 120


@given(st.text(max_size=20))
def test_a_number_is_finite_or_none(text: str) -> None:
    """What is no finite number is None, without an exception."""
    value = number(text)
    assert value is None or abs(value) < float("inf")


def test_the_known_figures_are_read_and_nothing_else() -> None:
    """A printed value is no measurement; unknown names and words are no figures."""
    figures = {"training_seconds": 4.5, "depth": 4.0}
    assert read([], CLOSING).summary == figures
    assert read(CLOSING).summary == figures
    assert read([], CLOSING).declared_seconds == 4.5


def test_the_first_figure_after_the_training_counts() -> None:
    """What was printed before it gives way, and what is printed later takes no figure's place."""
    output = read(["depth: 9", "num_steps: 7"], [*CLOSING, "depth: 11", "training_seconds: 1"])
    assert output.summary == {"training_seconds": 4.5, "depth": 4.0, "num_steps": 7.0}
    assert output.declared_seconds == 4.5


@pytest.mark.parametrize(
    "line",
    [
        f"{BOLD}num_steps:{PLAIN} {GREEN}250{PLAIN}",
        "\x1b[2Knum_steps: 250",
        "\x1b]0;title\x07num_steps : 250",
        "   num_steps:  250  ",
    ],
)
def test_a_figure_is_read_however_it_is_set(line: str) -> None:
    """Colours, erasures and blanks hide no figure."""
    assert read([], [line]).summary == {"num_steps": 250.0}


def test_before_the_request_every_line_is_passed_on() -> None:
    """A training that runs may say whatever it likes: it has seen nothing of the held-out text."""
    output = TrialOutput()
    lines = [*CLOSING, *TRACE, *ROUNDED, "x" * 10**5, "", "progress: train_seconds=1"]
    assert [output.read_line(line) for line in lines] == lines


def test_after_the_request_only_known_figures_are_passed_on() -> None:
    """Each once, under its own name, with six digits, in the order in which they come."""
    said = ["61 62 63", "---", "val_bpb: 1.25", "depth: 4", "tok_17: 18", "depth: 97"]
    said += ["total_seconds: 0.123456789012345", "num_steps: nan", "num_params_M: 1e400"]
    said += [*ROUNDED, *TRACE, "ValueError: 97 98", "FAIL", "progress: train_seconds=97"]
    said += ["mfu_percent: 5 61 62", "peak_vram_mb: n/a", "training_seconds: 4.5"]
    assert passed_on(said) == ["depth: 4", "total_seconds: 0.123457", "training_seconds: 4.5"]


def test_after_the_request_no_knob_was_rounded_and_no_progress_was_made() -> None:
    """A knob's name could hold held-out text, and training is over."""
    output = read(["progress: train_seconds=3.5"], [*ROUNDED, "progress: train_seconds=99"])
    assert output.summary == {}
    assert output.declared_seconds == 3.5


@given(st.lists(st.text(max_size=80), max_size=40))
def test_a_scored_trial_can_say_little(lines: list[str]) -> None:
    """Whatever it prints, what leaves are at most eight short numbers under known names."""
    told = passed_on([*lines, *(f"depth: {line}" for line in lines)])
    assert len(told) <= len(CLOSING_KEYS)
    for line in told:
        name, _, value = line.partition(": ")
        assert name in CLOSING_KEYS
        assert re.fullmatch(r"-?[0-9.]{1,8}(e[+-][0-9]{2,3})?", value), line


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("ValueError: 61 62 63", "ValueError (train.py, line 84)"),
        ("KeyError", "KeyError (train.py, line 84)"),
        ("torch.OutOfMemoryError: 61 62", "torch.OutOfMemoryError (train.py, line 84)"),
        ("Tok61Tok62Tok63: nothing", "an error of its own (train.py, line 84)"),
    ],
)
def test_a_crash_while_it_is_scored_is_its_kind_and_its_line(last: str, reason: str) -> None:
    """Neither an error's words nor the name of a contestant's own kind of error get out."""
    assert read([], [*TRACE, last]).why_failed(lines=120) == reason


def test_a_line_that_train_py_does_not_have_is_not_told() -> None:
    """The number of a line could hold held-out text as well."""
    lied = [TRACE[0], '  File "train.py", line 6162636, in <module>', "ValueError: x"]
    assert read([], lied).why_failed(lines=120) == "ValueError"
    assert read([], ["ValueError: 61 62 63"]).why_failed(lines=120) == ""


def test_a_crash_in_training_is_its_last_line() -> None:
    """Nothing is held back of a trial that has not been scored."""
    assert read([*TRACE, "ValueError: no such shape"]).why_failed(9) == "ValueError: no such shape"
    assert read([]).why_failed(9) == ""


def test_a_trial_without_an_end_has_declared_what_it_said_last() -> None:
    """A crash after some steps has the seconds of the last progress line."""
    lines = ["progress: step=1 train_seconds=0.5 loss=9", "progress: step=2 train_seconds=3.5"]
    assert read(lines).declared_seconds == 3.5
    assert read(["step 1"]).declared_seconds is None


def test_fail_is_seen() -> None:
    """A line FAIL marks the trial, a word in a sentence does not."""
    assert read(["FAIL"]).failed
    assert not read(["will it FAIL?"]).failed


def test_rounded_knobs_stand_in_the_summary_as_they_were_run() -> None:
    """The last value of each counts, what is no number does not, and their count is bounded."""
    output = read(["rounded: HEAD_DIM 100 -> 112", *ROUNDED], CLOSING)
    assert output.summary == {"HEAD_DIM": 96.0, "training_seconds": 4.5, "depth": 4.0}
    flooded = read([f"rounded: K{n} 1 -> 2" for n in range(99)])
    assert len(flooded.summary) == MAX_ROUNDED
