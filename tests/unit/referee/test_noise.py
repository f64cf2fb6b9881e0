"""`results/noise.json`: which values belong together, and what a broken file does."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.records.runtime import RUNTIME, RuntimeRecord
from runner.referee.noise import NOISE_FILE, Conditions, keep_value, read_noise

CONDITIONS = Conditions(
    task="pystdlib", data="bakeoff-data-pystdlib-1", image="sha256:1", machine="m", trial_seconds=60
)


def test_values_add_up_over_calls(tmp_path: Path) -> None:
    """Each seed is kept as it is measured, so that an interrupted measurement goes on."""
    for seed, value in ((7, 1.90), (8, 1.92), (9, 1.94)):
        keep_value(tmp_path, CONDITIONS, seed, value)
    floor = read_noise(tmp_path).floor(CONDITIONS)
    assert floor is not None
    assert floor.sample is not None
    assert floor.sample.count == 3
    assert floor.sample.mean == pytest.approx(1.92)
    assert floor.sd == pytest.approx(0.02)


def test_other_conditions_are_another_floor(tmp_path: Path) -> None:
    """Values of another machine, image or training time never mix."""
    keep_value(tmp_path, CONDITIONS, 1, 1.9)
    for change in ({"machine": "n"}, {"trial_seconds": 5}, {"image": "sha256:2"}, {"gpu": "0"}):
        other = CONDITIONS.model_copy(update=change)
        assert read_noise(tmp_path).floor(other) is None
        keep_value(tmp_path, other, 1, 2.5)
    assert len(read_noise(tmp_path).floors) == 5
    floor = read_noise(tmp_path).floor(CONDITIONS)
    assert floor is not None
    assert floor.values == {1: 1.9}


def test_a_run_under_another_runtime_has_another_floor() -> None:
    """A spec of before there were runtimes has the floor of the machine's own kernel."""
    known = {"images": {"trainer": "sha256:1"}, "data": CONDITIONS.data, "machine": "m"}
    gvisor = RuntimeRecord(name="runsc", is_native=False).model_dump(mode="json")
    assert Conditions.of_run("pystdlib", known, 60, None) == CONDITIONS
    found = Conditions.of_run("pystdlib", known | {RUNTIME: gvisor}, 60, None)
    assert found == CONDITIONS.model_copy(update={"runtime": "runsc"})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b'{"floors": 3}', b"[" * 100_000])
def test_a_broken_file_is_no_floor_and_no_error(tmp_path: Path, content: bytes) -> None:
    """A table is made without σ, and the next measurement begins a new file."""
    (tmp_path / NOISE_FILE).write_bytes(content)
    assert read_noise(tmp_path).floors == ()
    assert keep_value(tmp_path, CONDITIONS, 1, 1.9).values == {1: 1.9}
    assert read_noise(tmp_path).floor(CONDITIONS) is not None


def test_a_disturbed_value_is_marked_until_it_is_measured_again(tmp_path: Path) -> None:
    """The mark belongs to a seed, and goes with its value."""
    keep_value(tmp_path, CONDITIONS, 1, 1.9, disturbed=True)
    assert keep_value(tmp_path, CONDITIONS, 2, 1.8).disturbed == (1,)
    assert keep_value(tmp_path, CONDITIONS, 1, 1.7).disturbed == ()
