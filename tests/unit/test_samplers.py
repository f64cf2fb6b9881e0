"""The host's table of baselines."""

from __future__ import annotations

import pytest

from runner import samplers
from runner.errors import UserError


def test_the_samplers_of_the_studies_are_there() -> None:
    """The four samplers that the README names, and the Sobol sequence."""
    assert set(samplers.load()) == {"random", "qmc", "tpe", "gp", "cmaes"}
    assert all(row.description for row in samplers.load().values())


def test_a_sampler_is_found_by_name() -> None:
    """The row knows its own name."""
    assert samplers.find("cmaes").name == "cmaes"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """The error for a misspelled name suggests the nearest name and lists all."""
    with pytest.raises(UserError) as caught:
        samplers.find("cma-es")
    assert caught.value.hint.startswith("did you mean cmaes?")
    assert "random" in caught.value.hint
