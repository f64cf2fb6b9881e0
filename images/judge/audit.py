"""What the audits conclude from the losses and differences that were measured.

Equality probes find accidental leaks. The comparison of hidden with scored rows finds a model that
uses what stands after the token that it predicts, whether or not it remembers its answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HIGHEST_Z = 5.0  # standard errors by which scored rows may be better than hidden ones
LEAST_ADVANTAGE = 0.02  # nats a token; a smaller one rejects nobody
# How much the prediction at one place may change, in nats, by the dtype of the logits. A model may
# compute in a lower precision than it sends.
TOLERANCES = {"float32": 0.02, "float16": 0.02, "bfloat16": 0.05}
# How much a logit may change where the tail was changed, in nats. A leak that moves unlikely tokens
# alone changes the prediction little. In bfloat16, neighbours near 15 differ by 0.06.
LOGIT_TOLERANCES = {"float32": 0.01, "float16": 0.03, "bfloat16": 0.15}
BATCH_TOLERANCE = 0.1  # matrix products of another size round differently
NOISE_FACTOR = 8.0  # a change may be so many times the one that chance makes


@dataclass(frozen=True)
class Difference:
    """How the logits of a row changed when it was sent once more, over some of its places.

    Attributes:
        places: how many places were compared.
        largest_logit: the largest absolute difference of a logit.
        mean_logit: the mean absolute difference of the logits.
        largest_change: the largest change of the prediction at one place, in nats: the absolute
            difference of the log-probabilities, weighted by the mean of the two probabilities.
    """

    places: int
    largest_logit: float
    mean_logit: float
    largest_change: float


def equality(
    found: list[Difference], tolerance: float, logit_tolerance: float = math.inf
) -> dict[str, Any]:
    """The numbers of one kind of equality probe, and whether it passed."""
    places = sum(one.places for one in found)
    largest, largest_logit = _largest_change(found), _largest_logit(found)
    mean = sum(one.mean_logit * one.places for one in found) / max(1, places)
    return {
        "passed": largest <= tolerance and largest_logit <= logit_tolerance,
        "rows": len(found),
        "places": places,
        "largest_logit_difference": _plain(largest_logit),
        "mean_logit_difference": _plain(mean),
        "largest_change_nats": _plain(largest),
        "tolerance_nats": _plain(tolerance),
    }


def _largest_change(found: list[Difference]) -> float:
    return max((one.largest_change for one in found), default=0.0)


def _largest_logit(found: list[Difference]) -> float:
    return max((one.largest_logit for one in found), default=0.0)


def probes(
    changed: list[Difference], unchanged: list[Difference], again: list[Difference], dtype: str
) -> dict[str, dict[str, Any]]:
    """Both kinds of equality probes, by the name of what they find.

    A model whose answers are partly random, such as one that is scored with dropout, is measured
    by its own noise: these probes then find little, and the hidden rows must.

    Args:
        changed: rows with another row's text after the cut, up to the cut.
        unchanged: whole rows, in another batch.
        again: rows of a batch that was sent once more as it was.
        dtype: the dtype in which the logits were sent.
    """
    noise = _largest_change(again)
    batch_tolerance = max(BATCH_TOLERANCE, NOISE_FACTOR * noise)
    tolerance = max(TOLERANCES[dtype], NOISE_FACTOR * max(noise, _largest_change(unchanged)))
    logit_noise = max(_largest_logit(again), _largest_logit(unchanged))
    logit_tolerance = max(LOGIT_TOLERANCES[dtype], NOISE_FACTOR * logit_noise)
    found = {
        "look-ahead": equality(changed, tolerance, logit_tolerance),
        "batch dependence": equality(unchanged, batch_tolerance),
    }
    return {name: {**numbers, "noise_nats": _plain(noise)} for name, numbers in found.items()}


def hidden_rows(
    hidden: Floats, cuts: list[int], scored: Floats, counted: Flags, *, referenced: bool
) -> dict[str, Any]:
    """Whether scored rows are better than hidden ones at the same places.

    The scored rows' mean at each place is weighted by how often a hidden row was cut there. The
    standard error takes hidden rows and scored rows as independent, and each row as one draw.

    Args:
        hidden: what each hidden row lost at its true next token, in nats [n].
        cuts: the place of that loss in each hidden row.
        scored: what the scored rows lost, in nats [F, T].
        counted: which of those places have a target that stands for bytes [F, T].
        referenced: whether the losses are differences against the reference's.
    """
    rows_at = counted.sum(0)
    usable = np.array([bool(rows_at[cut]) for cut in cuts], bool)
    hidden, places = hidden[usable], np.array(cuts, int)[usable]
    count = len(hidden)
    if count < 2 or len(scored) < 2:
        return {"passed": True, "rows": count, "referenced": referenced}
    weight = np.bincount(places, minlength=scored.shape[1]) / count
    mean_at = np.where(counted, scored, 0).sum(0) / np.maximum(rows_at, 1)
    excess = hidden - mean_at[places]
    residual = (np.where(counted, scored - mean_at, 0) / np.maximum(rows_at, 1)) @ weight
    variance = float(excess.var(ddof=1)) / count
    variance += float((residual**2).sum()) * len(scored) / (len(scored) - 1)
    advantage, error = float(excess.mean()), math.sqrt(variance)
    z = advantage / error if error > 0 else math.copysign(math.inf, advantage) if advantage else 0.0
    return {
        "passed": not (advantage > LEAST_ADVANTAGE and z > HIGHEST_Z),
        "rows": count,
        "advantage_nats": _plain(advantage),
        "standard_error_nats": _plain(error),
        "z": _plain(z),
        "referenced": referenced,
    }


def _plain(value: float) -> float:
    """A number that JSON can carry, with six digits."""
    if math.isnan(value):
        return 1e300
    return float(f"{max(-1e300, min(1e300, value)):.6g}")
