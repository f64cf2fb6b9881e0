"""The reading of a run's clock that its runner replaces again and again, as a sign of life.

It is not synced to the disk, which a second's reading is not worth. After a power cut it may be
older or empty; the journal has a reading of every quarter of a minute then.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from pydantic import ValidationError

from runner.records.layout import RunDir
from runner.records.schema import ClockReading


def keep_reading(run_dir: RunDir, reading: ClockReading) -> None:
    """Replace the reading. On a disk that refuses, the one before it stays."""
    aside = run_dir.clock.with_name(f".{run_dir.clock.name}.part")
    with contextlib.suppress(OSError):
        aside.write_text(reading.model_dump_json(), encoding="utf-8")
        aside.replace(run_dir.clock)


def kept_at(run_dir: RunDir) -> datetime | None:
    """When the reading was replaced last, as the file system says; None when there is none."""
    with contextlib.suppress(OSError):
        return datetime.fromtimestamp(run_dir.clock.stat().st_mtime, UTC)
    return None


def kept_reading(run_dir: RunDir) -> ClockReading | None:
    """The last reading; None when there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, ValidationError):
        if run_dir.clock.is_file():
            return ClockReading.model_validate_json(run_dir.clock.read_text(encoding="utf-8"))
    return None
