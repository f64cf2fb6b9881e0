"""Serve a scripted model on loopback, to try a CLI by hand without a container.

python3 -m scripted_model --provider openai --port 8090 --api-key rehearsal
"""

from __future__ import annotations

import argparse
import sys

from .plan import WORDS, checked
from .script import work
from .server import DIALECTS, Api, Server
from .session import Session


def main() -> None:
    """Serve until interrupted; one line a step on standard error."""
    parser = argparse.ArgumentParser(prog="scripted_model", description=__doc__)
    parser.add_argument("--provider", choices=sorted(DIALECTS), required=True)
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--api-key", default="rehearsal", help="the key that clients must present")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", nargs="*", default=(), choices=WORDS)
    args = parser.parse_args()
    plan = checked(args.plan)
    session = Session(
        lambda: work(args.seed, plan),
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    with Server(("127.0.0.1", args.port), Api(args.provider, args.api_key, session)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
