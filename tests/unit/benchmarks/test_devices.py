"""What the benchmark of devices makes of the turns that it saw."""

from __future__ import annotations

from benchmarks.survival.devices import Shared, Turn, seen


def test_busy_time_and_waits_are_those_of_the_turns() -> None:
    """Counted until the first run has no trial left; own trials are no wait for others."""
    turns = [
        Turn("a", "x", 0.0, 0.0, 4.0),
        Turn("b", "x", 0.0, 5.0, 9.0),
        Turn("a", "x", 4.0, 9.0, 10.0),
        Turn("b", "x", 9.0, 10.0, 30.0),
    ]
    assert seen(turns, {"x"}) == Shared(busy_share=90.0, longest_wait_trials=1, trials=4)
    assert seen(turns, {"x", "y"}).busy_share == 45.0
