"""A trial that prints as many lines as it can holds its device no longer than its limit allows."""

from __future__ import annotations

import time

import pytest

from .trial_rig import TrialRig

LIMIT_SECONDS = 30.0
AFTER_SECONDS = 30.0  # for the containers and the lines that were let through, on a busy machine
EMPTY = "import os\n{before}\nfor _ in range(256):\n    os.write(1, b'\\n' * 65536)\n"
FOR_EVER = "import os\nwhile True:\n    os.write(1, {piece!r} * 8192)\n"


@pytest.mark.parametrize(
    "piece", [b"\n", b"\r", b"a\n", b"\x1b[2J\n", b"\xff\n", b"progress: a=1\n"]
)
def test_a_flood_of_lines_ends_in_time(rig: TrialRig, piece: bytes) -> None:
    """It is ended by its output, at once, whatever it prints for ever."""
    began = time.monotonic()
    record = rig.run(FOR_EVER.format(piece=piece), limit_seconds=LIMIT_SECONDS)
    assert record.status == "killed", record
    assert "too many lines" in record.reason
    assert time.monotonic() - began < LIMIT_SECONDS + AFTER_SECONDS
    assert b"\x1b" not in rig.log(record.trial)


def test_16_mb_of_empty_lines_hold_no_device(rig: TrialRig) -> None:
    """Printed in a second and ended by itself: it is seen to have printed too much."""
    record = rig.run(EMPTY.format(before=""), limit_seconds=LIMIT_SECONDS)
    assert record.status == "killed", record
    assert record.wall_seconds < LIMIT_SECONDS + AFTER_SECONDS
    assert rig.log(record.trial).strip() == b""
    assert len(rig.log(record.trial)) > 100_000
