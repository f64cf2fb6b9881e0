"""Bad input on the command line gives one error line, a hint and an exit code, and does nothing.

Each case runs the whole command, with an engine that does not answer and is not needed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from runner import cli
from runner.records.layout import ROOT

USER, HOST = 2, 1
REHEARSED = ("run", "gpt", "--rehearsal", "--trials", "1")
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    exit_code: int
    out: str
    err: str


class Shell:
    """Runs `bakeoff` in an empty directory, its runs there too."""

    def __init__(
        self, here: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.here = here
        self._patch = patch
        self._capture = capture

    def __call__(self, *arguments: str) -> Done:
        argv = ["bakeoff", "--runs", str(self.here / "runs"), *arguments]
        self._patch.setattr(sys, "argv", argv)
        exit_code = 0
        try:
            cli.main()
        except SystemExit as ended:
            exit_code = int(ended.code or 0)
        printed = self._capture.readouterr()
        return Done(exit_code, printed.out, printed.err)


@pytest.fixture
def bakeoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    yield Shell(tmp_path, monkeypatch, capsys)
    structlog.reset_defaults()


CASES = {
    "unknown agent": (("run", "gtp", "--rehearsal"), USER, "no agent 'gtp'", "did you mean gpt"),
    "unknown sampler": (("baseline", "tepe"), USER, "no sampler 'tepe'", "did you mean tpe"),
    "unknown task": ((*REHEARSED, "--task", "storys"), USER, "no task 'storys'", "known:"),
    "no key": (("run", "opus"), USER, "no ANTHROPIC_API_KEY", "REHEARSAL=1"),
    "no price": ((*REHEARSED, "--model", "gpt-0"), USER, "gpt-0", "ALLOW_UNPRICED=1"),
    "zero hours": ((*REHEARSED, "--hours", "0"), USER, "HOURS is", "above 0"),
    "negative dollars": ((*REHEARSED, "--usd", "-1"), USER, "USD is", "above 0"),
    "no budget": (("run", "gpt", "--rehearsal", "--hours", "none"), USER, "nothing", "HOURS"),
    "no trial time": ((*REHEARSED, "--trial-seconds", "0"), USER, "TRIAL_SECONDS", "300"),
    "negative seed": (("baseline", "tpe", "--seed", "-1"), USER, "SEED is -1", "0 or above"),
    "text without data": ((*REHEARSED, "--task", "text"), USER, "needs a text", "DATA"),
    "no such data": ((*REHEARSED, "--task", "text", "--data", "x"), USER, "no such file", "text"),
    "data for nothing": ((*REHEARSED, "--data", "x"), USER, "has no use", "TASK=text"),
    "no engine": (REHEARSED, HOST, "none answers", "DOCKER_HOST"),
    "path as a run": (("stop", "../../etc"), USER, "not a run id", "gpt-s1"),
    "path to clear away": (("clean-runs", "../../etc"), USER, "not a run id", "gpt-s1"),
    "nothing to resume": (("resume", "gpt-s1"), USER, "looking for run gpt-s1", "make ps"),
    "nothing to verify": (("verify", "gpt-s1"), USER, "looking for run gpt-s1", "make ps"),
    "no text to verify": (
        ("verify", "gpt-s1", "--verify", "none"),
        USER,
        "nothing to do",
        "VERIFY=best",
    ),
    "unknown texts": (("verify", "gpt-s1", "--verify", "all"), USER, "VERIFY is 'all'", "kept"),
    "nothing to watch": (("watch", "gpt-s1"), USER, "no such run", "make ps"),
    "path to watch": (("watch", "../../etc"), USER, "not a run id", "gpt-s1"),
    "nothing to stop": (("stop", "gpt-s1"), USER, "no such run", "make ps"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_error_and_a_hint(case: str, bakeoff: Shell) -> None:
    """The error says what is wrong, the hint what to do; nothing was started or written."""
    arguments, exit_code, message, hint = CASES[case]
    done = bakeoff(*arguments)
    lines = done.err.splitlines()
    assert done.exit_code == exit_code, done
    assert len(lines) == 2, done.err
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert lines[1].startswith("hint: ")
    assert hint in lines[1]
    assert done.out == ""
    assert list(bakeoff.here.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("run",), ("rnu", "gpt"), ("run", "gpt", "--trails", "3"), ("run", "gpt", "x")]
)
def test_a_wrong_word_on_the_command_line_is_explained(
    arguments: tuple[str, ...], bakeoff: Shell
) -> None:
    """A missing argument, an unknown command, option or extra word: usage and exit code 2."""
    done = bakeoff(*arguments)
    assert done.exit_code == USER
    assert done.err.startswith("Usage: ")
    assert "--help" in done.err
    assert list(bakeoff.here.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    ["", "run", "baseline", "resume", "stop", "collect", "ps", "watch", "logs", "doctor",
     "clean-runs",
     "images", "demo"],
)  # fmt: skip
def test_every_command_explains_itself(command: str, bakeoff: Shell) -> None:
    """`--help` of each command exits with 0 and says more than its own name."""
    done = bakeoff(*([command] if command else []), "--help")
    assert done.exit_code == 0
    assert len(done.out.splitlines()) > 5


def test_before_the_first_run_there_is_nothing_to_compare(bakeoff: Shell) -> None:
    """`collect` without runs says how to make one, and succeeds."""
    done = bakeoff("collect")
    assert done.exit_code == 0
    assert "make run AGENT=gpt" in done.out


def test_the_doctor_without_an_engine_fails_and_says_so(bakeoff: Shell) -> None:
    """Every finding is printed, and the exit code tells a script that a check failed."""
    done = bakeoff("doctor")
    assert done.exit_code == 1
    assert "disk for records" in done.out
    assert all(key in done.out for key in KEYS)


def test_the_installed_command_is_this_checkouts() -> None:
    """The installed program reports the same error, and runs the code of this checkout."""
    program = Path(sys.executable).with_name("bakeoff")
    done = subprocess.run(
        [program, "stop", "a/b"], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == USER
    assert done.stderr.startswith("error: looking for run 'a/b'")
    assert Path(cli.__file__).is_relative_to(ROOT)
