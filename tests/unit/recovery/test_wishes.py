"""What a person wants of a run, said by signals, by `bakeoff stop`, and on a terminal."""

from __future__ import annotations

import os
import pty
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import run_lock
from runner.records.layout import RunDir
from runner.recovery import wishes
from runner.recovery.wishes import INSIST_SECONDS, Kind, Terminal, Wish, Wishes, taken_up
from tests.unit.run.rig import Hands


class NoTerminal(Terminal):
    """Nobody can be asked."""

    def there(self) -> bool:
        return False


class Answering(Terminal):
    """Somebody who answers when a test lets them."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def there(self) -> bool:
        return True

    def ask(self, given_up: threading.Event) -> str:
        self.asked.set()
        while not self.may_answer.wait(0.01) and not given_up.is_set():
            pass
        return "" if given_up.is_set() else self.answer


def answered(run_dir: RunDir, answer: str) -> Wish | None:
    """What is wanted after a Ctrl-C and this answer."""
    terminal = Answering(answer)
    terminal.may_answer.set()
    wanted = Wishes(run_dir, terminal)
    wanted.take(signal.SIGINT)
    assert terminal.asked.wait(10)
    while wanted.asking:
        pass
    return wanted()


def test_nothing_is_wanted_at_first(run_dir: RunDir) -> None:
    """A run goes on by itself."""
    assert Wishes(run_dir, NoTerminal())() is None


def test_bakeoff_stop_ends_a_run(run_dir: RunDir) -> None:
    """It leaves a file, which the run looks for."""
    wanted = Wishes(run_dir, NoTerminal())
    with run_lock.held(run_dir):
        assert run_lock.request_stop(run_dir.path.parent, "gpt-s1")
    assert wanted() == Wish(Kind.STOP, "`bakeoff stop`")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_suspends_where_nobody_can_be_asked(
    run_dir: RunDir, number: signal.Signals
) -> None:
    """A machine that shuts down, and a Ctrl-C to a run in the background."""
    wanted = Wishes(run_dir, NoTerminal())
    before = signal.getsignal(number)
    with taken_up(wanted):
        os.kill(os.getpid(), number)
        assert wanted() == Wish(Kind.SUSPEND, f"{number.name} to the runner")
    assert signal.getsignal(number) is before


def test_a_closed_terminal_changes_nothing(run_dir: RunDir) -> None:
    """An SSH line that drops ends no night's work."""
    wanted = Wishes(run_dir, NoTerminal())
    with taken_up(wanted):
        os.kill(os.getpid(), signal.SIGHUP)
        assert wanted() is None


def test_a_person_who_insists_is_obeyed_at_once(run_dir: RunDir) -> None:
    """Only after the time that a suspension takes; before that, one more signal is the same."""
    hands = Hands(100.0)
    wanted = Wishes(run_dir, NoTerminal(), hands)
    wanted.take(signal.SIGTERM)
    hands.at += 0.9 * INSIST_SECONDS
    wanted.take(signal.SIGTERM)
    hands.at += 0.2 * INSIST_SECONDS
    with pytest.raises(KeyboardInterrupt):
        wanted.take(signal.SIGTERM)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("s", Kind.STOP), ("stop", Kind.STOP), ("u", Kind.SUSPEND), ("", None), ("yes", None)],
)
def test_ctrl_c_asks_what_is_meant(run_dir: RunDir, answer: str, kind: Kind | None) -> None:
    """Without an answer, and with one that is none, the run goes on."""
    wish = answered(run_dir, answer)
    assert (wish.kind if wish else None) is kind


def test_a_second_ctrl_c_suspends_at_once(run_dir: RunDir) -> None:
    """One that comes within a second is the same: `make` and its child may both pass it on."""
    hands = Hands(100.0)
    terminal = Answering("s")
    wanted = Wishes(run_dir, terminal, hands)
    wanted.take(signal.SIGINT)
    assert terminal.asked.wait(10)
    hands.at += 0.5
    wanted.take(signal.SIGINT)
    assert wanted() is None
    hands.at += 1.0
    wanted.take(signal.SIGINT)
    assert wanted() == Wish(Kind.SUSPEND, "SIGINT to the runner, twice")
    while wanted.asking:
        pass
    assert wanted() == Wish(Kind.SUSPEND, "SIGINT to the runner, twice")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[Terminal, int]]:
    """A real terminal, and its other end."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", closefd=False) as answers, (tmp_path / "said").open("w") as said:
        yield Terminal(answers, said), ours
    os.close(ours)
    os.close(theirs)


def test_an_answer_is_read_from_a_terminal(
    terminal: tuple[Terminal, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line; where no line comes, it is as if nothing had been asked."""
    asked, ours = terminal
    os.write(ours, b"Stop\n")
    assert asked.ask(threading.Event()) == "stop"
    assert "suspend" in (tmp_path / "said").read_text()
    monkeypatch.setattr(wishes, "ANSWER_SECONDS", 0.3)
    assert asked.ask(threading.Event()) == ""


def test_a_process_behind_its_terminal_does_not_ask(terminal: tuple[Terminal, int]) -> None:
    """It would be stopped by the first read."""
    assert not terminal[0].there()
