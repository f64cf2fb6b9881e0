"""PID 1 of the gateway container: the only way out of a sandbox.

The attack that its start stops: anything in a container of the run that can read the memory, the
environment or a core dump of this process has the provider's key. So the process is not dumpable,
leaves no core, and gets the key on stdin alone.
"""

from __future__ import annotations

import sys

import pid1
from messages import Ready


def main() -> int:
    """Say `ready`, and load everything else while the runner answers; the exit code."""
    pid1.close_to_others()
    pid1.let_kernel_reap()
    pid1.send(Ready(program="gateway"))
    import asyncio

    from gatewayd.program import Places, run
    from gatewayd.reporter import Reporter

    reporter = Reporter()
    try:
        return asyncio.run(run(reporter, Places()))
    finally:
        reporter.close()


if __name__ == "__main__":
    sys.exit(main())
