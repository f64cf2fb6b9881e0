"""The log of a container that may still run, as `docker logs` shows it."""

from __future__ import annotations

import time

from runner.engine.client import Engine

WRITTEN_SECONDS = 60.0


def container_log(
    engine: Engine, container: str, *words: str, seconds: float = WRITTEN_SECONDS
) -> str:
    """The whole log, once all these words are in it.

    The engine copies a line to whoever is attached and to the log side by side, so a line that
    was received may be missing from the log for a moment.

    Raises:
        AssertionError: they were not in time; with the log.
    """
    until = time.monotonic() + seconds
    while True:
        log = b"".join(engine.logs(container)).decode("utf-8", "replace")
        missing = [word for word in words if word not in log]
        if not missing:
            return log
        assert time.monotonic() < until, f"not in the log: {missing}\n{log}"
        time.sleep(0.05)
