"""Text that anybody may have written, as a person can be shown it."""

from __future__ import annotations

import re

# Control characters, and those that turn the direction of the text after them.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text on one line, with a sign in the place of each character that nobody sees."""
    return UNSEEN.sub("\ufffd", " ".join(text.split()))
