"""The real `bakeoff` as a child, on streams and terminals of all kinds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

BAKEOFF = str(Path(sys.executable).with_name("bakeoff"))
SECONDS = 400.0
NARROW = 40
DECIDING = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "LANG", "LC_ALL",
            "LC_CTYPE", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONCOERCECLOCALE")  # fmt: skip
C_LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
LOCALES = {
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": C_LOCALE,
}
WIDTHS = {
    "40 columns": {"COLUMNS": str(NARROW)},
    "0 columns": {"COLUMNS": "0"},
    "1 column": {"COLUMNS": "1"},
    "no number of columns": {"COLUMNS": "²"},
}
# What a shell does to the streams before it becomes `bakeoff`.
ENDINGS = {
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "stderr full": "2>/dev/full",
    "stdout full": ">/dev/full",
}
TERMINALS = {
    "TERM=dumb": {"TERM": "dumb"},
    "no TERM": {},
    "NO_COLOR": {"TERM": "xterm-256color", "NO_COLOR": "1"},
}


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    def fine(self, exit_code: int) -> bool:
        """Whether it ended with this exit code, and without a traceback or warning of Python's."""
        words = ("Traceback", "Exception ignored", "Broken pipe", "\\u")
        return self.exit_code == exit_code and not any(w in self.out + self.err for w in words)


@dataclass(frozen=True)
class Shell:
    """Where commands run: an empty folder, and an engine that may or may not answer."""

    here: Path
    engine: str

    def __call__(self, *arguments: str, redirected: str = "", **environment: str) -> Done:
        """Run a command to its end, with its streams redirected in a shell's notation."""
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirected}', "sh", *self._argv(arguments)],
            cwd=self.here, env=self._environment(environment), capture_output=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        encoding = environment.get("PYTHONIOENCODING", "utf-8")
        return Done(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))

    def left(self, *arguments: str) -> Done:
        """Run a command whose reader ends before it prints anything."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                self._argv(arguments), cwd=self.here, env=self._environment({}), stdout=writer,
                stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        finally:
            os.close(writer)
        return Done(done.returncode, "", done.stderr)

    def on_terminal(self, *arguments: str, **environment: str) -> Done:
        """Run a command with stdout and stderr on a terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        child = subprocess.Popen(
            self._argv(arguments), cwd=self.here, env=self._environment(environment),
            stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        printed = b""
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            while piece := os.read(master, 65536):
                printed += piece
        os.close(master)
        text = printed.decode().replace("\r\n", "\n")
        return Done(child.wait(SECONDS), text, "")

    def _argv(self, arguments: tuple[str, ...]) -> list[str]:
        return [BAKEOFF, "--runs", str(self.here / "runs"), *arguments]

    def _environment(self, own: dict[str, str]) -> dict[str, str]:
        keys = {name for name in os.environ if name.endswith("_API_KEY")}
        kept = {k: v for k, v in os.environ.items() if k not in keys and k not in DECIDING}
        return {**kept, "DOCKER_HOST": self.engine, **own}


def too_wide(text: str, columns: int = NARROW) -> list[str]:
    """The lines that are too long for so many columns, except errors and hints."""
    lines = text.splitlines()
    return [
        line for line in lines if len(line) > columns and not line.startswith(("error", "hint"))
    ]
