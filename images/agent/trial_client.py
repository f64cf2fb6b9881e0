"""The `trial` command, with which an agent asks for a training of its train.py.

The training runs in another container, and goes on when this command is killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import messages
import protocol
from messages import CATEGORIES, TrialAccepted, TrialFinished, TrialLog, TrialRefused
from places import HOME, OUTBOX, TRIAL_LOGS, TRIAL_SOCKET, WORKSPACE
from safe_folder import open_folder
from thinning import Thinner

OK, FAILED, USAGE, REFUSED, REFUSED_FOR_GOOD = range(5)
SILENCE_SECONDS = 60.0
GIT_SECONDS = 10.0

HELP = """\
Train a train.py and print the result. Waits until the trial has ended.

  trial --hypothesis "a higher matrix LR helps" --category hyperparameter
  trial --check           run the first three steps and one batch of random rows: says in seconds
                          whether train.py runs; twice before each trial, and no experiment
  trial --detach          ask, print the trial's number, do not wait
  trial wait 7            wait for trial 7 and print its result (use it when your shell
                          timed out: the trial goes on without this command)
  trial log 7             what trial 7 printed until it was scored, and its figures
  trial list              every trial so far with its {metric}

The training runs elsewhere, on the text of train.py as it is now: you may edit the file while
it runs. Only train.py counts; other files are not there. The last lines are the result:
{better}.
"""
EXIT_CODES = """\
exit codes: 0 trained, {metric} printed; 1 the trial failed (crash, out of memory, over its time, or
rejected by the judge); 2 wrong usage or no usable train.py; 3 refused, try again; 4 refused for
good, the budget is spent
"""

HELP_OPTIONS = {"-h", "--help"}
HELP_SECONDS = 5.0  # for the name of the metric; the help has words for one that is not told
UNKNOWN_METRIC = {"metric": "measured value", "better": "program.md says which values are better"}


class CannotAskError(Exception):
    """The request cannot be made; the text says why, and what to do."""


def main(argv: list[str]) -> int:
    """Run the command; the result is the exit code."""
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]  # sys.stdout is a TextIOWrapper
    commands = {"wait": wait, "log": print_log, "list": print_list}
    try:
        if argv and argv[0] in commands:
            return commands[argv[0]](argv[1:])
        return request(_parse(argv))
    except CannotAskError as error:
        print(f"trial: {error}", file=sys.stderr)
        return USAGE
    except (ConnectionError, FileNotFoundError) as error:
        print(f"trial: the run does not answer ({error}); try again", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(
            "trial: waiting was interrupted; the trial goes on, see `trial list`", file=sys.stderr
        )
        return FAILED


def request(options: argparse.Namespace) -> int:
    """Ask for a trial of a train.py, and unless detached follow it to its end."""
    path = find_train_py(options.train_py)
    body = {
        "do": "request",
        "sha256": hand_in(read_train_py(path)),
        "commit": _head_commit(path.parent),
        "hypothesis": options.hypothesis[: messages.MAX_HYPOTHESIS_CHARS],
        "category": options.category,
        "check": options.check,
    }
    return follow(_ask(body), detach=options.detach)


def wait(argv: list[str]) -> int:
    """`trial wait ID`."""
    return follow(_ask({"do": "wait", "trial": _trial_name("wait", argv)}))


def print_log(argv: list[str]) -> int:
    """`trial log ID`: what was passed on so far of all that the trial has printed."""
    name = _trial_name("log", argv)
    path = Path(TRIAL_LOGS, f"{int(name):04}.log" if name.isdecimal() else name)
    try:
        print(path.read_text("utf-8", "replace"), end="")
    except OSError:
        raise CannotAskError(f"trial {name} has printed nothing yet, see `trial list`") from None
    return OK


def print_list(argv: list[str]) -> int:
    """`trial list`."""
    if argv:
        raise CannotAskError("usage: trial list")
    for line in _ask({"do": "list"}):
        print(line)
    return OK


def find_train_py(given: str | None) -> Path:
    """The file to train: the one named, else train.py here, else the one in /workspace.

    Raises:
        CannotAskError: there is none.
    """
    places = [Path(given)] if given else [Path("train.py"), Path(WORKSPACE, "train.py")]
    for place in places:
        if place.is_file():
            return place
    raise CannotAskError(f"{places[0]} is not there; run `trial` in {WORKSPACE} or name the file")


def read_train_py(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        CannotAskError: unreadable, empty, not UTF-8, or too big.
    """
    limit = messages.MAX_TRAIN_PY_BYTES
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        data.decode("utf-8")
    except OSError as error:
        raise CannotAskError(f"reading {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CannotAskError(
            f"{path} is not UTF-8 text: byte {error.start} is in the way"
        ) from None
    if not data.strip():
        raise CannotAskError(f"{path} is empty")
    if len(data) > limit:
        raise CannotAskError(f"{path} has more than {limit} bytes, which is the most that is taken")
    return data


def hand_in(data: bytes) -> str:
    """Write the text where the runner fetches it; returns its SHA-256 in hex.

    Raises:
        CannotAskError: it cannot be written.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    aside = Path(OUTBOX, f".{os.getpid()}.part")
    try:
        os.close(open_folder(OUTBOX, HOME))
        aside.write_bytes(data)
        aside.rename(Path(OUTBOX, f"{sha256}.py"))
    except OSError as error:
        raise CannotAskError(
            f"handing in train.py: {error}; if the disk is full, make room"
        ) from None
    return sha256


def follow(lines: Iterator[str], *, detach: bool = False) -> int:
    """Print what the trial prints, until its end; returns the exit code for how it ended."""
    thinner = Thinner()
    for line in lines:
        match protocol.decode(line, messages.MESSAGES):
            case TrialAccepted(trial=messages.CHECK):
                print("check accepted")
            case TrialAccepted(trial=trial):
                print(f"trial {trial} accepted (pick it up with `trial wait {trial}`)")
                if detach:
                    return OK
            case TrialRefused(reason=reason, hint=hint, final=final):
                print(f"trial refused: {reason}" + (f"\nhint: {hint}" if hint else ""))
                return REFUSED_FOR_GOOD if final else REFUSED
            case TrialLog(line=text):
                shown = thinner.feed(text)
                if shown is not None:
                    print(shown)
            case TrialFinished() as finished:
                return print_result(finished, thinner)
            case _:
                print(line)
    raise ConnectionError("the connection ended early")


def print_result(finished: TrialFinished, thinner: Thinner) -> int:
    """Print the closing lines: what failed and where, or the summary and the value."""
    ok = finished.status == "ok"
    if not ok and thinner.tail():
        print("last lines:", *thinner.tail(), sep="\n")
    reason = f" ({finished.reason})" if finished.reason else ""
    name = "check" if finished.trial == messages.CHECK else f"trial {finished.trial}"
    print(f"=== {name}: {finished.status}{reason}")
    for key, value in finished.summary.items():
        print(f"{key}: {value}")
    metric = finished.metric or "value"
    if finished.value is not None and metric not in finished.summary:
        print(f"{metric}: {finished.value:.6f}")
    if not ok:
        print(f"full output: trial log {finished.trial}")
    if finished.budget_note:
        print(f"budget: {finished.budget_note}")
    if finished.last:
        print("this was the last trial of the run")
    return OK if ok else FAILED


def _ask(body: dict[str, object], patience_seconds: float | None = None) -> Iterator[str]:
    """Send one request to PID 1 and yield its answers; a long silence is printed.

    Raises:
        TimeoutError: a silence was longer than `patience_seconds`, where that is given.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience_seconds)
        connection.connect(TRIAL_SOCKET)
        connection.sendall(json.dumps(body).encode() + b"\n")
        connection.settimeout(patience_seconds or SILENCE_SECONDS)
        pending, waited_seconds = b"", 0.0
        while True:
            try:
                data = connection.recv(64 * 1024)
            except TimeoutError:
                if patience_seconds is not None:
                    raise
                waited_seconds += SILENCE_SECONDS
                print(f"(still waiting, nothing new for {waited_seconds:.0f} s)")
                continue
            waited_seconds = 0.0
            *lines, pending = (pending + data).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
            if not data:
                return


def _parse(argv: list[str]) -> argparse.Namespace:
    wants_help = not HELP_OPTIONS.isdisjoint(argv)
    words = _metric_words() if wants_help else UNKNOWN_METRIC
    parser = argparse.ArgumentParser(
        "trial", description=HELP.format_map(words), epilog=EXIT_CODES.format_map(words),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--hypothesis", default="", metavar="TEXT", help="what you expect and why")
    parser.add_argument("--category", default="other", choices=CATEGORIES, help="kind of change")
    parser.add_argument("--detach", action="store_true", help="do not wait for the end")
    parser.add_argument("--check", action="store_true", help="only see whether train.py runs")
    parser.add_argument("train_py", nargs="?", metavar="train.py", help="default: ./train.py")
    options = parser.parse_args(argv)
    if options.check and options.detach:
        parser.error("a check is over in seconds: leave out --detach")
    return options


def _metric_words() -> dict[str, str]:
    """What the task measures, as the help names it; general words when PID 1 does not answer."""
    try:
        metric, direction = json.loads(next(_ask({"do": "metric"}, HELP_SECONDS)))
    except (OSError, StopIteration, ValueError):
        return UNKNOWN_METRIC
    if not metric:
        return UNKNOWN_METRIC
    lower = "higher" if direction == "maximize" else "lower"
    return {"metric": metric, "better": f"{lower} {metric} is better"}


def _trial_name(word: str, argv: list[str]) -> str:
    if len(argv) != 1 or argv[0].startswith("-") or "/" in argv[0]:
        raise CannotAskError(f"usage: trial {word} ID (the number that `trial list` shows)")
    return argv[0]


def _head_commit(folder: Path) -> str:
    """The commit that the agent is at; empty when git does not say."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else ""
