"""Every command on every kind of terminal: readable, the right exit code, and no traceback.

The engine does not answer; tests/docker/test_terminals.py has the commands that need one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from runner.records.layout import RunDir
from tests.terminal import (
    ENDINGS,
    LOCALES,
    TERMINALS,
    WIDTHS,
    Shell,
    too_wide,
)

# name: (arguments, exit code, words that it prints)
COMMANDS: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "help": (("--help",), 0, ("clean-runs", "optimiser?")),
    "help of run": (("run", "--help"), 0, ("tinystories, ...", "--allow-unpriced")),
    "no such agent": (("run", "gtp"), 2, ("error: ", "hint: did you mean gpt")),
    "no such run": (("stop", "gpt-s2"), 2, ("error: ", "hint: `make ps`")),
    "no key": (("run", "opus"), 2, ("ANTHROPIC_API_KEY=...",)),
    "no engine": (("ps",), 1, ("error: ", "none answers", "its runner died")),
    "view": (("watch", "gpt-s1"), 0, ("gpt-s1", "its runner died", "make stop RUN=gpt-s1")),
    "comparison": (("collect",), 0, ("gpt-s1", "summary.md")),
    "doctor": (("doctor",), 1, ("disk for records", "OPENAI_API_KEY")),
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with one run that has not ended, and no engine."""
    run_dir = RunDir(tmp_path / "runs" / "gpt-s1")
    run_dir.path.mkdir(parents=True)
    run_dir.spec.write_text(
        '{"run_id":"gpt-s1","kind":"agent","contestant":"gpt","seed":1,"task":"pystdlib",'
        '"budget":{"hours":1},"trial_seconds":1,"rehearsed":true}'
    )
    return Shell(tmp_path, "tcp://127.0.0.1:1")


def says(printed: str, words: Iterable[str]) -> bool:
    """Whether all the words were printed, wherever a long path made a line break."""
    return all("".join(word.split()) in "".join(printed.split()) for word in words)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_read_in_ascii(shell: Shell, command: str) -> None:
    """Characters that ASCII does not have are spelled in it."""
    arguments, exit_code, words = COMMANDS[command]
    done = shell(*arguments, **LOCALES["ASCII"])
    assert done.fine(exit_code), done
    assert (done.out + done.err).isascii()
    assert says(done.out + done.err, words), done


@pytest.mark.parametrize(("locale", "command"), [("Latin-1", "help of run"), ("C", "comparison")])
def test_no_locale_ends_a_command(shell: Shell, locale: str, command: str) -> None:
    """A command works with any encoding of its streams, and in the C locale."""
    arguments, exit_code, _ = COMMANDS[command]
    done = shell(*arguments, **LOCALES[locale])
    assert done.fine(exit_code), done


@pytest.mark.parametrize(
    ("ending", "command"),
    [*((ending, "comparison") for ending in ENDINGS), ("stdout full", "no such run")],
)
def test_no_stream_ends_a_command(shell: Shell, ending: str, command: str) -> None:
    """Closed streams change nothing; a full one that loses the result is an error."""
    arguments, exit_code, words = COMMANDS[command]
    done = shell(*arguments, redirected=ENDINGS[ending])
    lost = ending == "stdout full" and exit_code == 0
    assert done.fine(1 if lost else exit_code), done
    if lost:
        assert "error: printing the result: No space left on device" in done.err
    if "stderr" in ending and command != "no such run":
        assert says(done.out.replace("…", "..."), words), done


@pytest.mark.parametrize("command", ["help of run", "comparison"])
def test_a_reader_that_has_left_ends_no_command(shell: Shell, command: str) -> None:
    """`bakeoff … | head -1` is no error, however early the reader ends."""
    arguments, exit_code, _ = COMMANDS[command]
    done = shell.left(*arguments)
    assert done.fine(exit_code), done


@pytest.mark.parametrize(
    ("width", "command"), [*((width, "doctor") for width in WIDTHS), ("40 columns", "help of run")]
)
def test_every_width_is_readable(shell: Shell, width: str, command: str) -> None:
    """Output fits into 40 columns without a word cut off; an impossible width is ignored."""
    arguments, exit_code, words = COMMANDS[command]
    done = shell(*arguments, **WIDTHS[width])
    assert done.fine(exit_code), done
    text = " ".join((done.out + done.err).replace("…:", "...:").split())
    assert all(word in text for word in words), done
    if width == "40 columns":
        assert not too_wide(done.out)
        assert "…" not in text
    else:
        assert max(map(len, (done.out + done.err).splitlines())) > 30


@pytest.mark.parametrize("terminal", TERMINALS)
def test_a_terminal_gets_what_it_can_show(shell: Shell, terminal: str) -> None:
    """A simple terminal gets no escape sequence, and NO_COLOR gets no colour."""
    arguments, exit_code, words = COMMANDS["doctor"]
    done = shell.on_terminal(*arguments, **TERMINALS[terminal])
    assert done.fine(exit_code), done
    assert all(word in done.out for word in words)
    assert terminal != "TERM=dumb" or "\x1b" not in done.out
    assert terminal != "NO_COLOR" or "\x1b[3" not in done.out


@pytest.mark.parametrize("terminal", [*TERMINALS, "xterm"])
def test_a_view_leaves_its_last_state_on_any_terminal(shell: Shell, terminal: str) -> None:
    """Of a run without a runner nothing changes any more; a simple terminal gets plain lines."""
    arguments, exit_code, words = COMMANDS["view"]
    done = shell.on_terminal(*arguments, **TERMINALS.get(terminal, {"TERM": "xterm-256color"}))
    assert done.fine(exit_code), done
    last = done.out.rpartition("\x1b[?1049l")[2]
    assert says(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last), words)
    assert terminal != "TERM=dumb" or "\x1b" not in done.out
