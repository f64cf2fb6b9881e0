"""PID 1 of a rehearsal: serves a scripted model in a provider's place, on a Unix socket.

It has no network and spends nothing. Only the gateway of its run knows the key that it asks for.
It starts no process, so it has nothing to reap.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import protocol
from scripted_model.plan import checked
from scripted_model.script import work
from scripted_model.server import Api, UnixServer
from scripted_model.session import Session

SOCKET = "/run/upstream/model.sock"
PR_SET_DUMPABLE = 4
RUNNER_GONE_SECONDS = 0.5  # how often to look whether somebody attached again
COULD_NOT_START, ENDED_BY_DEADLINE = 2, 3


def main() -> None:
    """Wait for `start`, serve, and end on `stop`, SIGTERM or the deadline."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: end("terminated"))
    send(protocol.Ready("rehearsal"))
    note("ready, waiting for start")
    try:
        waiting = threading.Timer(protocol.START_SECONDS, end, ("no start came", ENDED_BY_DEADLINE))
        waiting.daemon = True
        waiting.start()
        config = wait_for_start()
        waiting.cancel()
        serve(config)
    except (KeyError, TypeError, ValueError, OSError) as error:
        send(protocol.Problem("starting the scripted model", repr(error)))
        end(f"could not start: {error!r}", COULD_NOT_START)
    wait_for_stop()


def serve(config: dict[str, Any]) -> None:
    """Answer on the socket from now on, until the deadline at the latest."""
    deadline = threading.Timer(
        float(config["deadline_seconds"]), end, ("deadline", ENDED_BY_DEADLINE)
    )
    deadline.daemon = True
    deadline.start()
    server = UnixServer(SOCKET, api(config))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    send(protocol.Started({"socket": SOCKET, "provider": config["provider"]}))
    note(f"a scripted {config['provider']} model (seed {config['seed']}) answers on {SOCKET}")


def api(config: dict[str, Any]) -> Api:
    """The provider's API that `start.config` asks for."""
    seed = int(config["seed"])
    plan = checked(config.get("trial_plan") or ())
    return Api(config["provider"], config["api_key"], Session(lambda: work(seed, plan), note))


def wait_for_start() -> dict[str, Any]:
    """The `config` of the first `start`; what comes before it is passed over."""
    return next(m.config for m in messages() if isinstance(m, protocol.Start))


def wait_for_stop() -> NoReturn:
    """End when the runner says so."""
    stop = next(m for m in messages() if isinstance(m, protocol.Stop))
    end(stop.reason)


def messages() -> Iterator[protocol.Message]:
    """Everything that the runner says, for ever; what is no message is reported and passed over.

    An end of stdin means that the runner is gone, not that the run is over: it may attach again.
    """
    while True:
        line = sys.stdin.readline()
        if not line:
            time.sleep(RUNNER_GONE_SECONDS)
            continue
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError as error:
            send(protocol.Problem("reading stdin", str(error)))
            continue
        if message is not None:
            yield message


def end(reason: str, exit_code: int = 0) -> NoReturn:
    """Say why and exit at once, whatever other threads do."""
    send(protocol.Stopped(reason))
    note(f"ended: {reason}")
    os._exit(exit_code)


def send(message: protocol.Message) -> None:
    """A message to the runner."""
    sys.stdout.buffer.write(protocol.encode(message))
    sys.stdout.buffer.flush()


def note(line: str) -> None:
    """A line for a person who reads `docker logs`."""
    print(f"rehearsal: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
