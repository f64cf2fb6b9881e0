"""Which values are better: by what the source says, by the metric's name, by what was kept.

What is sure goes first: a person's word, the source's own, a column of the best so far. Then the
name votes against the rows, because a `score` may be a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.metrics import Direction

SURE_NAME, WEAK_NAME = 6.0, 2.0  # in standard deviations of the rows' votes
RECORDS = 3.0  # the same, at most for rows of which nobody says whether they were kept
DECISIVE = 2.0  # the same, for the rows themselves

_RATES = re.compile(
    r"(?<![a-z])(tok|tokens?|req|requests?|samples?|images?|imgs?|steps?|it|iters?|frames?|examples?|ops|"
    r"rows?|games?|queries|items?|words?|bytes|gb|mb)(_?per_?|/|_)(s|sec|secs|second)s?(?![a-z])"
)
_LESS = frozenset(
    {
        *("loss", "bpb", "bpc", "ppl", "perplexity", "err", "error", "errors", "mse", "rmse"),
        *("mae", "mape", "smape", "rmsle", "msle", "fid", "kid", "wer", "cer", "eer", "latency"),
        *("seconds", "secs", "sec", "ms", "us", "µs", "μs", "ns", "time", "runtime", "duration"),
        *("elapsed", "cost", "usd", "exploitability", "regret", "nll", "kl", "divergence"),
        *("distance", "violations", "failures", "failed", "bugs", "bytes", "memory", "drawdown"),
        *("gap", "brier", "logloss", "ece", "penalty", "ttft", "tpot", "gates", "energy", "joules"),
        *("watts", "deviation", "residual", "chi2", "misses", "unmatched", "warnings", "conflicts"),
        *("makespan", "delay", "overhead", "stalls", "cycles", "instructions", "allocations"),
        "bits",
    }
)  # fmt: skip
_MORE = frozenset(
    {
        *("acc", "accuracy", "tps", "tflops", "gflops", "mflops", "flops", "throughput", "fps"),
        *("qps", "rps", "f1", "auc", "auroc", "auprc", "aupr", "map", "mrr", "ndcg", "recall"),
        *("precision", "reward", "rewards", "sharpe", "sortino", "calmar", "win", "wins", "psnr"),
        *("ssim", "bleu", "rouge", "meteor", "r2", "iou", "miou", "dice", "mcc", "kappa"),
        *("spearman", "pearson", "corr", "correlation", "coverage", "passed", "pass", "profit"),
        *("pnl", "elo", "speedup", "improvement", "gain", "success", "likelihood", "hits"),
        *("bandwidth", "mfu", "utilization", "utilisation", "cagr", "accept", "solved"),
    }
)  # fmt: skip
_MORE_OR_NOT = frozenset(
    {"score", "fitness", "return", "returns", "yield", "quality", "utility", "tests", "total"}
)
_WORD = re.compile(r"[^\W_]+")
_SAID = re.compile(
    r"(?P<word>lower|higher|smaller|larger|less|more)[ _-]*+((is|are|=)[ _-]*+)?better"
    r"|(direction|goal|objective|optimi[sz]e)[\"'*]*+\s*+[:=]\s*+(?:[\"'*]++\s*+)?"
    r"(?P<named>lower|higher|minimi[sz]\w*|maximi[sz]\w*|min|max)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Told:
    """Which values are better, and how that is known.

    Args:
        direction: minimise or maximise.
        by: asked, stated, best so far, name, rows, or assumed.
        sentence: what was assumed; empty where it was asked or stated.
    """

    direction: Direction
    by: str
    sentence: str = ""


def direction_word(word: str) -> Direction | None:
    """What a word such as lower, min or maximise says; None if it says neither."""
    lower = word.strip().lower()
    if lower.startswith(("low", "small", "less", "min")):
        return "minimize"
    return "maximize" if lower.startswith(("high", "larg", "more", "max")) else None


def stated_in(texts: Sequence[str]) -> Direction | None:
    """What lines of prose and comments say; None if they say nothing, or both."""
    said = {
        direction_word(found["word"] or found["named"])
        for text in texts
        for found in _SAID.finditer(text)
    }
    return said.pop() if len(said) == 1 else None


def named_direction(name: str) -> tuple[Direction, float] | None:
    """What a metric's name says of its direction, and how surely; None if it says nothing."""
    lower = name.lower()
    if ("↓" in name) != ("↑" in name):
        return ("minimize" if "↓" in name else "maximize"), SURE_NAME
    if _RATES.search(lower) and not re.match(r"(ms|sec|seconds|time)_?per_", lower):
        return "maximize", SURE_NAME
    words = [word.rstrip("0123456789@") or word for word in _WORD.findall(lower)]
    every = {*words, *_WORD.findall(lower)}
    if every & {"neg", "negative"} and every & _LESS:
        return "maximize", SURE_NAME
    if every & _LESS or re.search(r"(loss|error|latency|rmse|mse|mae)$", lower):
        return "minimize", SURE_NAME
    if every & _MORE or re.search(r"(accuracy|acc|score@\d+)$", lower):
        return "maximize", SURE_NAME
    return ("maximize", WEAK_NAME) if every & _MORE_OR_NOT else None


def told(name: str, values: Sequence[float | None], kept: Sequence[bool | None]) -> Told:
    """Which values of a metric are better, as far as its name and its rows show it.

    Args:
        name: of the metric.
        values: of its trials in order; None of those without one.
        kept: whether each one's change was kept, as far as the source says.
    """
    low, high = votes(values, kept)
    by_rows = (low - high) / math.sqrt(low + high) if low != high else _by_reach(values)
    if not any(keep is not None for keep in kept):
        by_rows = max(-RECORDS, min(RECORDS, by_rows))
    named = named_direction(name)
    by_name = 0.0 if named is None else named[1] * (1 if named[0] == "minimize" else -1)
    if not by_rows and named is None:
        return Told("maximize", "assumed", f"higher {name!r} is better: nothing tells it")
    direction: Direction = "minimize" if by_rows + by_name > 0 else "maximize"
    better = f"{'lower' if direction == 'minimize' else 'higher'} {name!r} is better"
    rows = f"{low} changes of its rows speak for lower, {high} for higher"
    if named is not None and named[0] == direction:
        disagree = f", although {rows}" if by_rows * by_name < 0 and abs(by_rows) > DECISIVE else ""
        return Told(direction, "name", f"{better}, by its name{disagree}")
    sure = "" if abs(by_rows) >= DECISIVE else ", which is not sure"
    return Told(direction, "rows", f"{better}: {rows}{sure}")


def _by_reach(values: Sequence[float | None]) -> float:
    """Half a vote for the side on which the values went farther from the first one."""
    said = [value for value in values if value is not None]
    if not said:
        return 0.0
    down, up = said[0] - min(said), max(said) - said[0]
    return 0.0 if down == up else 0.5 if down > up else -0.5


def votes(values: Sequence[float | None], kept: Sequence[bool | None]) -> tuple[int, int]:
    """How many rows speak for lower and for higher values.

    What was kept should be better than what was kept before it, and what was not should not. Where
    no row says so, each new record counts for its side: a search leads to one of them.
    """
    rows = [(value, keep) for value, keep in zip(values, kept, strict=True) if value is not None]
    low = high = 0
    if any(keep is not None for _, keep in rows):
        last: float | None = None
        for value, keep in rows:
            if keep is None:
                continue
            if last is not None and value != last:
                is_low = (value < last) == keep
                low, high = low + is_low, high + (not is_low)
            last = value if keep or last is None else last
        return low, high
    if rows:
        least = most = rows[0][0]
        for value, _ in rows[1:]:
            low, high = low + (value < least), high + (value > most)
            least, most = min(least, value), max(most, value)
    return low, high
