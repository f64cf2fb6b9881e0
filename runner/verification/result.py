"""What `result.json` says of a run's verification. Pure: what was found in, `RunResult` out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from runner.metrics import Metric
from runner.records.schema import Best, RunResult
from runner.records.verification import Verified

NOT_VERIFIED = "not verified: "  # begins the problem of a verification that failed


def with_verified(
    result: RunResult, kept: Iterable[Verified], now: Collection[int], metric: Metric
) -> RunResult:
    """The result with the best verified value, and with what went wrong in verifying.

    What an earlier verification said of a text is replaced by what is kept of that text. A text
    whose verification was stopped has no value yet.

    Args:
        result: the run's result as it was.
        kept: what is known of each text that was ever verified.
        now: the numbers of the trials whose texts were verified just now.
        metric: what the run measures.
    """
    texts = list(kept)
    shown = {*now, result.best_verified.trial if result.best_verified else None}
    ended = [one for one in texts if one.complete or one.trial in shown]
    stale = (NOT_VERIFIED, *(start for one in texts for start in (_verifying(one), _rejected(one))))
    before = [each for each in result.problems if not each.startswith(stale)]
    found = [each for one in texts for each in _problems(one)]
    problems = list(dict.fromkeys([*before, *found]))
    update = {"best_verified": _best(ended, metric), "problems": problems}
    return result.model_copy(update=update)


def _best(texts: Iterable[Verified], metric: Metric) -> Best | None:
    """The best mean of a text that no probe rejected."""
    good = [one for one in texts if not one.rejected]
    best = metric.best(good, lambda one: one.mean)
    if best is None or best.mean is None:
        return None
    spread = "" if best.sd is None else f" ± {best.sd:.4f}"
    number = len(best.held_out)
    note = f"mean of {number} held-out training seed{'s' * (number > 1)}{spread}"
    return Best(value=best.mean, trial=best.trial, note=note)


def _problems(one: Verified) -> Iterator[str]:
    """Why a text was rejected, and what could not be done, a sentence each."""
    for verdict in one.verdicts:
        if verdict.rejects:
            yield f"{_rejected(one)}{verdict.name}: {verdict.text}"
    yield from (f"{_verifying(one)}{each}" for each in one.problems)


def _rejected(one: Verified) -> str:
    return f"trial {one.trial} was rejected by the referee: "


def _verifying(one: Verified) -> str:
    return f"verifying trial {one.trial}: "
