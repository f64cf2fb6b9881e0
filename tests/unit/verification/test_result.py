"""What a run's result says once texts of it were verified, and verified again."""

from __future__ import annotations

from typing import Any

from runner.metrics import VAL_BPB
from runner.records.schema import Best, RunResult, Verdict
from runner.records.verification import Scores, Verified
from runner.verification.result import NOT_VERIFIED, with_verified
from tests.run_results import run_result

CHEAT = Verdict(name="hidden rows", by="probe", rejects=True, text="it looks ahead")
REJECTED = "trial 5 was rejected by the referee: hidden rows: it looks ahead"


def text(trial: int, mean: float | None, **fields: Any) -> Verified:
    """A text that was verified with one held-out seed."""
    base: dict[str, Any] = {
        "trial": trial, "sha256": "", "measured": 2.0, "mean": mean, "complete": True,
        "held_out": (Scores(seed=1, judged=mean),),
    }  # fmt: skip
    return Verified(**(base | fields))


def result(*problems: str, verified: Best | None = None) -> RunResult:
    return run_result("gpt-s1", problems=list(problems), best_verified=verified)


def best(found: RunResult) -> tuple[int | None, float] | None:
    one = found.best_verified
    return None if one is None else (one.trial, one.value)


def test_the_best_of_all_verified_texts_is_named() -> None:
    """A text that was verified before still counts where another one is verified now."""
    first = with_verified(result(), [text(2, 1.9)], {2}, VAL_BPB)
    assert best(first) == (2, 1.9)
    assert first.best_verified is not None
    assert first.best_verified.note == "mean of 1 held-out training seed"
    assert best(with_verified(first, [text(2, 1.9), text(7, 1.95)], {7}, VAL_BPB)) == (2, 1.9)
    assert best(with_verified(first, [text(2, 1.9), text(7, 1.8)], {7}, VAL_BPB)) == (7, 1.8)


def test_what_was_said_of_a_text_is_replaced_and_of_others_stays() -> None:
    """A problem that a second verification did not meet again is gone, another's is not."""
    others = text(5, 1.5, verdicts=(CHEAT,), problems=("with training seed 3: oom: killed",))
    before = text(2, None, problems=("with training seed 1: crash: unscored",))
    first = with_verified(result("a problem of the run"), [others, before], {2, 5}, VAL_BPB)
    said = [REJECTED, "verifying trial 5: with training seed 3: oom: killed"]
    again = "verifying trial 2: with training seed 1: crash: unscored"
    assert first.problems == ["a problem of the run", *said, again]
    assert best(first) is None
    second = with_verified(first, [others, text(2, 1.9)], {2}, VAL_BPB)
    assert second.problems == ["a problem of the run", *said]
    assert best(second) == (2, 1.9)


def test_what_is_known_of_no_text_stays() -> None:
    """Of a text that `verification.json` no longer has, the result keeps what it said."""
    found = with_verified(
        result(REJECTED, f"{NOT_VERIFIED}no engine"), [text(2, 1.9)], {2}, VAL_BPB
    )
    assert found.problems == [REJECTED]


def test_a_verification_that_was_stopped_gives_no_value() -> None:
    """Its mean is of the seeds that came first, unless it is the one that was shown before."""
    stopped = text(2, 1.9, complete=False)
    assert best(with_verified(result(), [stopped, text(7, 2.0)], {7}, VAL_BPB)) == (7, 2.0)
    shown = result(verified=Best(value=1.9, trial=2))
    assert best(with_verified(shown, [stopped, text(7, 2.0)], {7}, VAL_BPB)) == (2, 1.9)
