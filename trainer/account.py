"""The account of what was read of a user's text and of what was not. Every loss is counted.

Invariant: every byte that is read belongs to a document or is counted here under a reason. A text
that loses more than `MAX_LOST_SHARE` of its bytes is refused.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_LOST_SHARE = 0.10  # of a text's bytes
MAX_CROPPED_SHARE = 0.25  # of a text's bytes, if it has no tables and no divided lines
MAX_REPEATED_SHARE = 0.50  # of a text's bytes; a repeated document is not lost: it is held out
SHOWN_PLACES, SHOWN_NOTES = 5, 20
REPEATED = "documents that are the same as a held-out one"


class BadInputError(ValueError):
    """The text cannot be used; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        """Takes an error of one line and a hint of one line."""
        super().__init__(message)
        self.hint = hint


class NoTextError(BadInputError):
    """A file is complete, but it holds no text that can be read."""


@dataclass
class Loss:
    """How much was left out for one reason, and some of the places where it was found."""

    count: int = 0
    bytes: int = 0
    where: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The text that is printed after the reason."""
        return f"{self.count} ({self.bytes} bytes)" + "".join(f"; {place}" for place in self.where)


@dataclass
class Account:
    """The figures of a reading. Bytes are bytes of UTF-8, or of the file if it was not opened.

    Attributes:
        files: how many files were read to their end.
        documents: how many documents belong to a split.
        bytes: the bytes of those documents.
        divided: how often a line was divided because it is longer than a piece.
        tables: how many files have rows as their documents.
        lost: the text that could not be read, by reason.
        left_out: data that is not text, and text that repeats, by reason.
        notes: the first sentences about what was assumed about files.
        more_notes: how many sentences followed those.
    """

    files: int = 0
    documents: int = 0
    bytes: int = 0
    divided: int = 0
    tables: int = 0
    lost: dict[str, Loss] = field(default_factory=dict)
    left_out: dict[str, Loss] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    more_notes: int = 0

    def lose(self, why: str, size: int, where: str = "", count: int = 1) -> None:
        """Counts text that could not be read."""
        _add(self.lost, why, size, where, count)

    def leave_out(self, why: str, size: int, where: str = "", count: int = 1) -> None:
        """Counts data that is not text, or text that repeats."""
        _add(self.left_out, why, size, where, count)

    def note(self, sentence: str) -> None:
        """Keeps a sentence on what was assumed about a file; after the first ones, counts them."""
        if len(self.notes) < SHOWN_NOTES:
            self.notes.append(sentence)
        else:
            self.more_notes += 1

    def add(self, other: Account) -> None:
        """Adds the account of one file."""
        self.files += other.files
        self.divided += other.divided
        self.tables += other.tables
        for mine, theirs in ((self.lost, other.lost), (self.left_out, other.left_out)):
            for why, loss in theirs.items():
                for where in loss.where or [""]:
                    _add(mine, why, 0, where, 0)
                _add(mine, why, loss.bytes, "", loss.count)
        for sentence in other.notes:
            self.note(sentence)
        self.more_notes += other.more_notes

    def lines(self) -> Iterator[str]:
        """The account as lines for a person."""
        yield f"read {self.files} files: {self.documents} documents, {self.bytes} bytes of text"
        if self.divided:
            yield f"long lines were divided in {self.divided} places; none of their text is dropped"
        yield from self.notes
        if self.more_notes:
            yield f"{self.more_notes} more notes of this kind are not shown"
        for name, losses in (("lost", self.lost), ("left out", self.left_out)):
            yield from (f"{name}: {why}: {loss}" for why, loss in losses.items())

    @property
    def cropped_share(self) -> float:
        """The largest share that packing may crop; above it, documents continue in a later row."""
        return MAX_LOST_SHARE if self.divided or self.tables else MAX_CROPPED_SHARE

    def check(self) -> None:
        """Refuses a text if too much of it was lost or repeats.

        Raises:
            BadInputError: too much was lost or repeats; the message names the largest loss.
        """
        lost = sum(loss.bytes for loss in self.lost.values())
        if lost > MAX_LOST_SHARE * (lost + self.bytes):
            why, worst = max(self.lost.items(), key=lambda item: item[1].bytes)
            raise BadInputError(
                f"{lost / (lost + self.bytes):.0%} of the text would be lost, and "
                f"{MAX_LOST_SHARE:.0%} is the limit; the largest loss is {why}: {worst}",
                "repair or remove what the error names",
            )
        repeated = sum(loss.bytes for why, loss in self.left_out.items() if why == REPEATED)
        if repeated > MAX_REPEATED_SHARE * (repeated + self.bytes):
            raise BadInputError(
                f"the text is too repetitive: {repeated / (repeated + self.bytes):.0%} of it "
                "repeats documents that are held out for validation and testing",
                "give text whose documents differ",
            )


def shown(name: str) -> str:
    """A file's name for a person; characters that cannot be printed are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def quoted(name: str) -> str:
    """A file's name, quoted for a shell, with any bytes in it."""
    if name.isprintable():
        return shlex.quote(name)
    return "$'" + "".join(_escaped(byte) for byte in os.fsencode(name)) + "'"


def _escaped(byte: int) -> str:
    plain = chr(byte)
    return plain if plain.isascii() and (plain.isalnum() or plain in "/._- ") else f"\\x{byte:02x}"


def _add(losses: dict[str, Loss], why: str, size: int, where: str, count: int) -> None:
    loss = losses.setdefault(why, Loss())
    if where and where not in loss.where and len(loss.where) < SHOWN_PLACES:
        loss.where.append(where)
    loss.count += count
    loss.bytes += size
