"""The judge as an ordinary program: `run` scores one command, `serve` takes messages on stdin."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pid1
from held_out import task_of
from messages import Message, ReferenceKeep, ScoreOpen, Stop, Stopped
from pid1 import send
from service import Judge, KeepError
from sessions import MODES, Settings

SESSION = "run"


def main(argv: list[str]) -> int:
    """Runs one of the two commands; its exit code."""
    command: list[str] = []
    if "--" in argv:
        cut = argv.index("--")
        argv, command = argv[:cut], argv[cut + 1 :]
    args = _arguments(argv)
    try:
        settings = _settings(args)
    except (OSError, ValueError) as error:
        print(f"error: reading the data: {error}", file=sys.stderr)
        print("hint: prepare a folder with `python prepare.py --task …`", file=sys.stderr)
        return 2
    if args.what == "serve":
        return _serve(args, settings)
    if not command:
        print("error: there is no command to score", file=sys.stderr)
        print("hint: end with `-- python train.py`", file=sys.stderr)
        return 2
    return _run(args, settings, command)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="judge.py", description=__doc__)
    parser.add_argument("what", choices=("run", "serve"))
    parser.add_argument("--data", type=Path, required=True, help="val.bin and task.json; test.bin")
    parser.add_argument("--socket", type=Path, help="of `serve`: where the judge listens")
    parser.add_argument("--reference", type=Path, help="losses of the reference, an .npy file")
    parser.add_argument("--judged-tokens", type=int, help="by default the task's own")
    parser.add_argument("--estimate-tokens", type=int, help="by default the task's own")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--silence-seconds", type=float, default=60.0)
    parser.add_argument("--mode", choices=MODES, default="trial")
    parser.add_argument("--hidden", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--splits", nargs="+", default=["val"])
    parser.add_argument("--result", type=Path, help="of `run`: where the result goes as well")
    return parser.parse_args(argv)


def _settings(args: argparse.Namespace) -> Settings:
    task = task_of(args.data)
    folders = {s: str(args.data) for s in ("val", "test") if (args.data / f"{s}.bin").is_file()}
    return Settings(
        folders=folders,
        references={"val": str(args.reference)} if args.reference else {},
        judged_tokens=args.judged_tokens or task.judged_tokens,
        estimate_tokens=args.estimate_tokens or task.estimate_tokens,
        threads=args.threads,
        begins=False,
        silence_seconds=args.silence_seconds,
    )


def _run(args: argparse.Namespace, settings: Settings, command: list[str]) -> int:
    """Scores one command, and prints what was said about it as a JSON object; its exit code."""
    found: list[Message] = []
    with tempfile.TemporaryDirectory() as folder:
        path, token = Path(folder, "judge.sock"), secrets.token_hex(16)
        judge = Judge(path, settings, found.append)
        wanted = ScoreOpen(SESSION, token, args.mode, args.seed, args.splits, args.hidden)
        session = judge.open(wanted)
        environment = {**os.environ, "BAKEOFF_JUDGE": str(path), "BAKEOFF_JUDGE_TOKEN": token}
        try:
            ended = subprocess.run(command, env=environment, check=False)
        finally:
            session.close()  # it has said `score.finished` then
        result = _result(found, ended.returncode)
        if args.mode == "reference" and session.status == "scored" and args.reference:
            losses = session.kept["val"]
            args.reference.write_bytes(os.pread(losses, os.fstat(losses).st_size, 0))
    text = json.dumps(result)
    if args.result:
        args.result.write_text(text)
    print(text, flush=True)
    return ended.returncode


def _result(found: list[Message], exit_code: int) -> dict[str, Any]:
    result: dict[str, Any] = {"exit_code": exit_code}
    for message in found:
        result.setdefault(message.event, []).append(dataclasses.asdict(message))
    return result


def _serve(args: argparse.Namespace, settings: Settings) -> int:
    """Serves on a socket; the messages are those of the container's judge."""
    judge = Judge(args.socket, settings, send)
    print(f"serving {args.socket}", flush=True)
    for message in pid1.messages():
        if isinstance(message, Stop):
            break
        if isinstance(message, ReferenceKeep):
            try:
                judge.keep(message, args.data)
            except KeepError as error:
                print(f"error: keeping the reference: {error}", file=sys.stderr)
        else:
            judge.take(message)
    judge.end()
    send(Stopped("stop"))
    return 0
