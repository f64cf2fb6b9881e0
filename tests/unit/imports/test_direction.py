"""Which values are better."""

from __future__ import annotations

import pytest

from runner.imports.direction import direction_word, named_direction, stated_in, told, votes


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, "minimize") for name in ("val_bpb", "loss", "val/loss", "fid", "hf_wer")),
        *((name, "minimize") for name in ("latency_ms", "wall_seconds", "rmse_log", "score_ns")),
        *((name, "minimize") for name in ("error_rate", "ms_per_step", "cost_usd", "logloss")),
        *((name, "minimize") for name in ("bits_per_byte", "val_bits_per_byte")),
        *((name, None) for name in ("tokens", "steps", "steps_to_solve", "samples", "limits")),
        *((name, "maximize") for name in ("acc", "val_accuracy", "top1_acc", "f1", "tflops")),
        *((name, "maximize") for name in ("tok_per_sec", "tok/s", "tokens_per_second", "tok_s")),
        *((name, "maximize") for name in ("mean_reward", "win_rate", "psnr", "recall@10")),
        *((name, "maximize") for name in ("neg_mean_squared_error", "score", "throughput")),
        *((name, None) for name in ("metric", "value", "s", "nba_core", "combined_after")),
    ],
)
def test_a_name_tells_the_direction(name: str, direction: str | None) -> None:
    """Losses, errors and times are minimised; rates, accuracies and rewards are maximised."""
    found = named_direction(name)
    assert (found[0] if found else None) == direction


@pytest.mark.parametrize(
    ("values", "kept", "expected"),
    [
        ([5, 4, 6, 3], [True, True, False, True], (3, 0)),
        ([5, 6, 4, 7], [True, True, False, True], (0, 3)),
        ([5, 5, 5], [True, False, True], (0, 0)),
        ([5, None, 4], [True, False, True], (1, 0)),
        ([3, 2, 4, 1], [None] * 4, (2, 1)),
        ([], [], (0, 0)),
        ([None], [True], (0, 0)),
    ],
)
def test_rows_vote(
    values: list[float | None], kept: list[bool | None], expected: tuple[int, int]
) -> None:
    """What was kept votes for its side, what was not for the other; else records vote."""
    assert votes(values, kept) == expected


def test_many_rows_outvote_a_name_that_is_not_sure() -> None:
    """A score that falls wherever a change is kept is minimised; a loss stays a loss."""
    falling = [100.0 - at for at in range(20)]
    kept = [True] * 20
    score = told("score", falling, kept)
    assert (score.direction, score.by) == ("minimize", "rows")
    assert "19 changes of its rows speak for lower, 0 for higher" in score.sentence
    assert told("val_acc", falling[:5], kept[:5]).direction == "maximize"
    assert told("score", falling[:2], kept[:2]).direction == "maximize"
    assert "although" in told("accuracy", falling[:10], kept[:10]).sentence


def test_a_sure_name_is_outvoted_by_very_many_kept_rows_only() -> None:
    """Records alone, of which nobody says that they were kept, never outvote it."""
    falling = [100.0 - at for at in range(60)]
    assert told("speedup", falling, [True] * 60).by == "rows"
    assert told("speedup", falling[:30], [True] * 30).direction == "maximize"
    assert told("speedup", falling, [None] * 60).direction == "maximize"
    assert told("score", falling, [None] * 60).direction == "minimize"


def test_without_names_and_rows_it_is_assumed_and_said() -> None:
    """No values, or equal ones, tell nothing."""
    for values in ([], [1.0, 1.0]):
        found = told("metric", values, [None] * len(values))
        assert (found.direction, found.by) == ("maximize", "assumed")
        assert "nothing tells it" in found.sentence


def test_a_tie_goes_by_how_far_the_values_went() -> None:
    """One new low and one new high: the low is far, so lower is better, and it is not sure."""
    found = told("gates", [100.0, 104.0, 30.0], [None] * 3)
    assert found.direction == "minimize"
    even = told("things", [100.0, 104.0, 30.0], [None] * 3)
    assert (even.direction, "not sure" in even.sentence) == ("minimize", True)


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("# metric_direction: higher_is_better", "maximize"),
        ("val_bpb (lower is better)", "minimize"),
        ("- Direction: maximize", "maximize"),
        ("**Goal:** minimise", "minimize"),
        ("lower is better here and higher is better there", None),
        ("I lowered the rate", None),
    ],
)
def test_prose_may_state_the_direction(text: str, direction: str | None) -> None:
    """Only where it says one of the two."""
    assert stated_in([text]) == direction


def test_words_of_a_direction() -> None:
    """The words of options, of Optuna and of other harnesses."""
    assert {direction_word(word) for word in ("min", "MINIMIZE", "lower", "smaller")} == {
        "minimize"
    }
    assert {direction_word(word) for word in ("max", "maximise", "Higher")} == {"maximize"}
    assert direction_word("sideways") is None
