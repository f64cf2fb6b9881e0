"""PID 1 of a rehearsal: serves a scripted model in a provider's place, on a Unix socket.

It has no network and spends nothing. Only the gateway of its run knows the key that it asks for.
"""

from __future__ import annotations

import os
import threading
from typing import NoReturn

import pid1
from config_reader import read_config
from messages import Problem, Ready, Start, Started, Stop, Stopped
from pid1 import say, send
from scripted_model.plan import checked_plan
from scripted_model.server import Api, UnixServer, rehearsed
from start_config import RehearsalConfig

SOCKET = "/run/upstream/model.sock"
EXIT_DONE, EXIT_BAD_CONFIG, EXIT_DEADLINE = 0, 2, 3


def main() -> None:
    """Wait for `start`, serve, and end on `stop`, SIGTERM or the deadline."""
    pid1.close_to_others()
    pid1.let_kernel_reap()
    pid1.on_sigterm(lambda: end("terminated"))
    send(Ready("rehearsal"))
    say("ready, waiting for start")
    pid1.end_in(pid1.WAIT_FOR_START_SECONDS, lambda: end("no start came", EXIT_DEADLINE))
    arriving = pid1.messages()
    start = next(message for message in arriving if isinstance(message, Start))
    try:
        config = read_config(RehearsalConfig, start.config)
        pid1.end_in(config.deadline_seconds, lambda: end("deadline", EXIT_DEADLINE))
        serve(config)
    except (ValueError, OSError) as error:
        send(Problem("starting the scripted model", str(error)))
        end(f"could not start: {error}", EXIT_BAD_CONFIG)
    stop = next(message for message in arriving if isinstance(message, Stop))
    end(stop.reason)


def serve(config: RehearsalConfig) -> None:
    """Answer on the socket from now on.

    Raises:
        ValueError: the trial plan has an unknown word, or a tool of the CLI cannot be used.
        OSError: the socket cannot be made.
    """
    server = UnixServer(SOCKET, api(config))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    send(Started({"socket": SOCKET, "provider": config.provider}))
    say(f"a scripted {config.provider} model (seed {config.seed}) answers on {SOCKET}")


def api(config: RehearsalConfig) -> Api:
    """The provider's API that `start.config` asks for."""
    plan = checked_plan(config.trial_plan)
    return rehearsed(config.provider, config.api_key, config.seed, plan, config.tools, say)


def end(reason: str, exit_code: int = EXIT_DONE) -> NoReturn:
    """Say why and exit at once, whatever other threads do."""
    send(Stopped(reason))
    say(f"ended: {reason}")
    os._exit(exit_code)


if __name__ == "__main__":
    main()
