"""PID 1 of the gateway container: the one door out of a sandbox.

The attack that its start stops: anything in a container of the run that can read the memory, the
environment or a core dump of this process has the provider's key. So the process is not dumpable,
leaves no core, and gets the key on stdin alone.
"""

from __future__ import annotations

import ctypes
import resource
import sys

import protocol

PR_SET_DUMPABLE = 4


def close_up() -> None:
    """Keeps the memory of this process from its neighbours and from the disk."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Says `ready` and then loads the rest, which the runner's answer hides."""
    close_up()
    sys.stdout.buffer.write(protocol.encode(protocol.Ready(program="gateway")))
    sys.stdout.buffer.flush()
    import asyncio

    from gatewayd.program import Places, live
    from gatewayd.voice import Voice

    voice = Voice()
    try:
        return asyncio.run(live(voice, Places()))
    finally:
        voice.close()


if __name__ == "__main__":
    sys.exit(main())
