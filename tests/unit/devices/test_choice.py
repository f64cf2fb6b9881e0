"""What GPU, GPUS and CPU_SETS choose, and what they refuse."""

from __future__ import annotations

import pytest

from runner.devices.choice import chosen
from runner.errors import UserError


def test_one_gpu_has_a_short_form() -> None:
    """GPU=1 and GPUS=1 are the same; with several, the first is also the run's `gpu`."""
    assert chosen("1", None, 1) == chosen(None, "1", 1)
    assert chosen("1", None, 1).as_fields() == {"gpu": "1", "gpus": (), "cpu_sets": 1}
    several = chosen(None, "1, 0", 1).as_fields()
    assert several == {"gpu": "1", "gpus": ("1", "0"), "cpu_sets": 1}
    assert chosen(None, None, 2).as_fields() == {"gpu": None, "gpus": (), "cpu_sets": 2}


@pytest.mark.parametrize(
    ("gpu", "gpus", "cpu_sets", "said"),
    [
        ("0", "0,1", 1, "GPU is '0' and GPUS is '0,1'"),
        (None, "0,,1", 1, "GPUS is '0,,1'"),
        (None, "0,0", 1, "GPUS is '0,0'"),
        (None, "", 1, "GPUS is ''"),
        (None, None, 0, "CPU_SETS is 0"),
        ("0", None, 2, "CPU_SETS is 2, and the trials have GPUs"),
        (None, "0,1", 2, "CPU_SETS is 2, and the trials have GPUs"),
    ],
)
def test_devices_that_make_no_sense_are_refused(
    gpu: str | None, gpus: str | None, cpu_sets: int, said: str
) -> None:
    """The error names the variables as they were given."""
    with pytest.raises(UserError) as refused:
        chosen(gpu, gpus, cpu_sets)
    assert said in refused.value.message
    assert refused.value.hint
