#!/usr/bin/python3
"""A toy agent: asks a model of the Messages API for the next shell command until it has no more."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

VERSION = "1.0.0"
POLICY = Path("/etc/toy/policy.json")
SESSION = Path.home() / ".toy" / "session.json"
SHELL = {
    "name": "shell",
    "description": "Runs a command with bash and returns what it prints.",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
}


def main() -> None:
    """One turn: from a prompt to an answer without a command."""
    parser = argparse.ArgumentParser("toy")
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--model", required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("prompt")
    options = parser.parse_args()
    if options.resume and not SESSION.exists():
        sys.exit("no session to resume")
    history = json.loads(SESSION.read_text()) if options.resume else []
    history.append({"role": "user", "content": options.prompt})
    while results := answered(options.model, history):
        history.append({"role": "user", "content": results})
    SESSION.parent.mkdir(exist_ok=True)
    SESSION.write_text(json.dumps(history))
    tell(kind="done")


def answered(model: str, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask the model, run the commands that it asks for, and return their results."""
    body = {"model": model, "max_tokens": 4096, "messages": history, "tools": [SHELL]}
    request = urllib.request.Request(
        json.loads(POLICY.read_text())["base_url"] + "/v1/messages",
        json.dumps(body).encode(),
        {"content-type": "application/json", "x-api-key": os.environ["TOY_TOKEN"]},
    )
    with urllib.request.urlopen(request) as response:
        content = json.load(response)["content"]
    history.append({"role": "assistant", "content": content})
    for block in content:
        if block["type"] == "text":
            tell(kind="said", text=block["text"])
    return [ran(block) for block in content if block["type"] == "tool_use"]


def ran(block: dict[str, Any]) -> dict[str, Any]:
    """The result of one command."""
    command = block["input"]["command"]
    tell(kind="began", command=command)
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    tell(kind="ran", exit_code=done.returncode)
    return {"type": "tool_result", "tool_use_id": block["id"], "content": done.stdout}


def tell(**event: object) -> None:
    """Print an event, one line of JSON."""
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
