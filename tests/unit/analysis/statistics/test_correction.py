"""Holm's correction, by hand and beside statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from runner.analysis.statistics.correction import holm


def test_holm_by_hand() -> None:
    """.01·3, then .02·2, then .04·1, which may not fall below .04; in the order that was given."""
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([]).size == 0


def test_holm_is_that_of_statsmodels() -> None:
    """Of random p-values, with ties."""
    rng = np.random.default_rng(1)
    for n in (2, 5, 30):
        ps = rng.random(n).round(1) ** 3
        assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])
