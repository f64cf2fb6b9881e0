"""Serve a scripted model on loopback, to try a CLI by hand without a container.

python3 -m scripted_model --provider openai --tools .../codex/cli.toml --port 8090
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from .plan import WORDS, checked_plan
from .server import DIALECTS, Server, rehearsed


def main() -> None:
    """Serve until interrupted; one line a step on standard error."""
    parser = argparse.ArgumentParser(prog="scripted_model", description=__doc__)
    parser.add_argument("--provider", choices=sorted(DIALECTS), required=True)
    parser.add_argument("--tools", type=Path, help="the cli.toml of the CLI; none: an optimiser")
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--api-key", default="rehearsal", help="the key that clients must present")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", nargs="*", default=(), choices=WORDS)
    args = parser.parse_args()
    plan = checked_plan(args.plan)
    tools = tomllib.loads(args.tools.read_text(encoding="utf-8"))["tools"] if args.tools else ()
    api = rehearsed(args.provider, args.api_key, args.seed, plan, tools, note)
    with Server(("127.0.0.1", args.port), api) as server:
        server.serve_forever()


def note(line: str) -> None:
    """A line for a person."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
