"""The device lease: one trial at a time on a device, across all runs on this machine.

Two trials that share a GPU, or the CPU, slow each other down, and then equal seconds are not equal.
The wait is measured, and is given back to a run whose contestant did nothing else meanwhile.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from runner.engine.containers import EngineInfo
from runner.records.layout import shared_folder

POLL_SECONDS = 0.1


class LeaseAbandonedError(Exception):
    """The run ended while a trial still waited for its device."""


class DeviceLease:
    """The lease of one device of one engine.

    Args:
        engine_id: which engine the device belongs to.
        device: "cpu" or a GPU's id.
        folder: where the lock files lie, shared by all users of this machine.
    """

    def __init__(self, engine_id: str, device: str, folder: Path | None = None) -> None:
        place = folder or shared_folder("bakeoff-leases")
        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{engine_id}-{device}")
        self._path = place / f"{name}.lock"

    @classmethod
    def of_trials(cls, machine: EngineInfo, gpu: str | None) -> DeviceLease:
        """The lease of the device that trials train on: a GPU's number, or None for the CPU."""
        return cls(machine.id, "cpu" if gpu is None else f"gpu-{gpu}")

    @contextlib.contextmanager
    def held(self, abandon: threading.Event) -> Iterator[float]:
        """Hold the device; yields how many seconds were waited for it.

        Raises:
            LeaseAbandonedError: `abandon` was set before the device was free.
        """
        lock = FileLock(self._path, mode=0o666, thread_local=False)
        began = time.monotonic()
        while True:
            if abandon.is_set():
                raise LeaseAbandonedError
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0.5, poll_interval=POLL_SECONDS)
                break
        try:
            yield time.monotonic() - began
        finally:
            lock.release()
