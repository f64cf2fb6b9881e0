"""The correction of p-values for the number of tests.

statsmodels has it too, but clears the whole memory at each call, which takes longer than a report.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runner.analysis.statistics.arrays import Array


def holm(ps: Iterable[float]) -> Array:
    """Each p-value times the number of those that are not smaller, at most 1 and never falling.

    Args:
        ps: p-values of a family of tests, all of them known.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    given = np.fromiter(ps, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
