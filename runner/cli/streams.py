"""The standard streams of this process: any text can be written, and no reader can end a run.

A character that an encoding does not have is spelled in ASCII. A stream that fails ends nothing:
the journal of a run holds every event anyway.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
import unicodedata
from typing import Any, TextIO

from runner.errors import HostError

SPELLED = "bakeoff.spelled"  # the error handler for characters that an encoding does not have
SPELLINGS = {
    "–": "-", "—": "-", "−": "-", "×": "x", "→": "->", "≤": "<=", "≥": ">=", "±": "+-",
    "█": "#", "░": ".", "●": "*", "·": ".", "─": "-", "│": "|",
}  # fmt: skip
NOBODY_READS = {errno.EPIPE, errno.EIO, errno.ECONNRESET}  # a pipe, a terminal, a socket
NARROWEST = 20  # columns; fewer are a wrong number, not a terminal


class Stream(io.FileIO):
    """A standard stream that never fails.

    Bytes that cannot be written are dropped, and `lost` holds the last error.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write some of the bytes; on an error, all of them count as written."""
        try:
            while (written := super().write(data)) is None:  # another program made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.lost = error
            return memoryview(data).nbytes
        return written


def open_streams() -> None:
    """Make stdout and stderr accept any text, and survive the end of their readers.

    A stream that the calling program (a test, for one) put in their place stays as it is.
    """
    for descriptor in range(3):  # a closed one would be given to the next file that is opened
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error(SPELLED, _spelled)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _opened(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _opened(2, sys.stderr)


def _opened(descriptor: int, before: TextIO | None) -> TextIO:
    stream = io.BufferedWriter(Stream(descriptor))
    encoding = before.encoding if before else "utf-8"  # None: stdout was closed
    return io.TextIOWrapper(stream, encoding, SPELLED, line_buffering=True)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell in ASCII the characters that an encoding cannot write."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelling, error.object[error.start : error.end])), error.end


def _spelling(sign: str) -> str:
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return SPELLINGS.get(sign) or plain or "?"


def reader_left() -> bool:
    """Whether nobody reads stdout any more."""
    lost = _lost()
    return lost is not None and lost.errno in NOBODY_READS


def check_printed() -> None:
    """Check that everything was printed, unless the reader has left.

    Raises:
        HostError: stdout did not accept it, because of a full disk for example.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    lost = _lost()
    if lost is not None and not reader_left():
        raise HostError(
            f"printing the result: {lost.strerror}", hint="make room, or print to another place"
        )


def _lost() -> OSError | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.lost if isinstance(raw, Stream) else None


def forget_impossible_width() -> None:
    """Drop a COLUMNS that no terminal has; libraries would break every word to fit it."""
    said = os.environ.get("COLUMNS")
    if said is not None and not (said.isascii() and said.isdigit() and int(said) >= NARROWEST):
        del os.environ["COLUMNS"]
