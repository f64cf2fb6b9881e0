"""The view below a run's own log: what is printed stands above it, and nothing ends a run."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from runner.records.layout import RunDir
from runner.watch.inline import RunView
from tests.run_results import event, made_run

WAIT_SECONDS = 10.0


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True

    def wait_for(self, words: str) -> None:
        """Wait until the words were written."""
        wait_until(lambda: words in self.getvalue())


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < until
        threading.Event().wait(0.01)


def screen_of(monkeypatch: pytest.MonkeyPatch, screen: Screen | None = None) -> Screen:
    """Makes stdout and stderr one terminal; a fixture would do so before pytest captures them."""
    screen = screen or Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def console(height: int = 30) -> Console:
    return Console(force_terminal=True, width=80, height=height, color_system=None)


def test_a_run_is_shown_once_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What prepares it has the terminal to itself; then its container's words and log are shown."""
    screen = screen_of(monkeypatch)
    run_dir = RunDir(tmp_path / "gpt-s1")
    with RunView(console(), run_dir, 0.01) as view:
        print("building an image", end="", file=sys.stderr)
        assert screen.getvalue() == "building an image"
        assert sys.stderr is screen
        made_run(tmp_path, events=[event(0, "run.started")])
        screen.wait_for("gpt-s1  pystdlib  running")
        view.hear("agent", "model: I halve the \x1b[2J depth")
        view.hear("gateway", "listening")
        screen.wait_for("model: I halve the \ufffd[2J depth")
        print("trial.finished value=2.5", file=sys.stderr)
        screen.wait_for("trial.finished value=2.5")
    assert sys.stderr is screen
    assert "listening" not in screen.getvalue()


def test_a_question_to_the_user_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed without a line's end, and flushed, is shown at once."""
    screen = screen_of(monkeypatch)
    with RunView(console(), made_run(tmp_path), 0.01):
        screen.wait_for("gpt-s1  pystdlib")
        print("stop the run [s]? ", end="", file=sys.stderr, flush=True)
        screen.wait_for("stop the run [s]?")


def test_the_view_survives_a_resize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen is cleared but for the log, and the view is as wide as the terminal is now."""
    screen = screen_of(monkeypatch)
    terminal = console()
    with RunView(terminal, made_run(tmp_path, events=[event(0, "run.started")]), 0.01):
        screen.wait_for("gpt-s1  pystdlib")
        print("a line of the log", file=sys.stderr)
        screen.wait_for("a line of the log")
        terminal.size = (40, 24)
        screen.wait_for("\x1b[2J")
        wait_until(lambda: screen.getvalue().count("a line of the log") == 2)
        screen.seek(0)
        screen.truncate()
        screen.wait_for("gpt-s1  pystdlib")
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", screen.getvalue())
    assert max(map(len, shown.splitlines())) <= 40


class Stopped(Screen):
    """A terminal that takes nothing from some moment on, as after Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_asked = threading.Event()

    def write(self, text: str) -> int:
        if not self.goes_on.is_set():
            self.is_asked.set()
            self.goes_on.wait(WAIT_SECONDS)
        return super().write(text)


def test_a_terminal_that_takes_nothing_holds_up_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever logs goes on; the lines come when the terminal goes on."""
    screen = screen_of(monkeypatch, Stopped())
    assert isinstance(screen, Stopped)
    with RunView(console(), made_run(tmp_path), 0.01):
        screen.wait_for("gpt-s1  pystdlib")
        screen.goes_on.clear()
        assert screen.is_asked.wait(WAIT_SECONDS)
        for number in range(100):
            print(f"line {number}.", file=sys.stderr)
        assert "line 99." not in screen.getvalue()
        screen.goes_on.set()
        screen.wait_for("line 99.")


def test_a_low_terminal_has_log_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten lines there is no room for both."""
    screen = screen_of(monkeypatch)
    with RunView(console(height=10), made_run(tmp_path), 0.01):
        print("run.started", file=sys.stderr)
        screen.wait_for("run.started")
    assert "pystdlib" not in screen.getvalue()


def test_an_error_of_the_run_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view ends with the run, however that ends, and gives the streams back."""
    screen = screen_of(monkeypatch)

    def interrupted() -> None:
        with RunView(console(), made_run(tmp_path), 0.01):
            screen.wait_for("gpt-s1  pystdlib")
            print("the last line", file=sys.stderr)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (sys.stdout, sys.stderr) == (screen, screen)
    assert "the last line" in screen.getvalue()


def test_a_run_that_is_never_made_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is refused prints its error as ever, and does not wait for a view."""
    screen = screen_of(monkeypatch)
    with RunView(console(), RunDir(tmp_path / "gpt-s1")):
        pass
    assert (screen.getvalue(), sys.stderr) == ("", screen)
