"""Text that anybody may have written, as a person can be shown it.

Every place that shows a stranger's text cleans it here: terminals, logs, Markdown, pages, figures.
The attacks that this stops: an escape sequence that steers a terminal, a mark that turns the
direction of the text after it (Boucher and Anderson 2021, "Trojan Source", CVE-2021-42574), a
character without a width that makes two names look alike, and a tower of accents that covers the
lines above it.
"""

from __future__ import annotations

import re
import unicodedata

SIGN = "\ufffd"  # stands for a character that nobody sees
# What Unicode draws as nothing and Python calls printable all the same: fillers of Hangul, the
# empty pattern of Braille, joiners of letters, vowels and selectors of old scripts.
BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f")
MARKS = ("Mn", "Me")  # categories of what is drawn over the character before
MAX_MARKS = 4  # of these in a row; written languages need three
COLOURS = re.compile(r"\x1b\[[0-9;:]{0,40}m")


def visible(text: str) -> str:
    """The text on one line, with a sign in the place of each character that nobody sees."""
    return marked(" ".join(text.split()))


def visible_line(line: str) -> str:
    """A line of a log with its blanks and tabs as they are; its colours are left out.

    A colour is the one sequence that honest programs print and that moves nothing.
    """
    return marked(COLOURS.sub("", line), kept="\t")


def marked(text: str, kept: str = "") -> str:
    """The text with a sign in the place of each character that nobody sees.

    These are control and format characters, halves of characters, what no font has, blanks other
    than the space, and marks beyond `MAX_MARKS` in a row. It takes time linear in the text.

    Args:
        text: of anybody.
        kept: such characters that stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    chars = set(text)
    hidden = {ord(char) for char in chars if not _is_seen(char) and char not in kept}
    shown = text.translate(dict.fromkeys(hidden, SIGN))
    return _without_towers(shown) if any(map(_is_mark, chars)) else shown


def _is_seen(char: str) -> bool:
    code = ord(char)
    return (
        char.isprintable()
        and char not in BLANK
        and not (0xFE00 <= code <= 0xFE0D or 0xE0100 <= code <= 0xE01EF)  # selectors of variants
    )


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in MARKS


def _without_towers(text: str) -> str:
    """The text with a sign for each mark that stands on more than `MAX_MARKS` others."""
    height = 0
    shown = []
    for char in text:
        height = height + 1 if _is_mark(char) else 0
        shown.append(char if height <= MAX_MARKS else SIGN)
    return "".join(shown)
