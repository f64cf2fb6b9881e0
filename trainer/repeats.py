"""Finds documents that occur, whole, in other texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MIN_LINE_BYTES = 8  # a shorter line is in too many texts to look for


def inner_line(document: bytes) -> bytes | None:
    """The longest line that is neither the first nor the last; None if no such line is long enough.

    A text that holds the document somewhere holds this line as a whole line.
    """
    longest = max(document.split(b"\n")[1:-1], key=len, default=b"")
    return longest if len(longest.strip()) >= MIN_LINE_BYTES else None


def found_in(documents: Sequence[str], texts: Iterable[bytes]) -> set[int]:
    """The places of the documents that occur in one of the texts.

    Each text is cut into lines once. A document is looked for only if its inner line is among them,
    so that the time grows with the texts and not with the documents.

    Args:
        documents: what to look for; each must have an inner line.
        texts: where to look, each whole.

    Raises:
        ValueError: a document has no inner line.
    """
    encoded = [document.encode() for document in documents]
    with_line: dict[bytes, list[int]] = {}
    for place, document in enumerate(encoded):
        line = inner_line(document)
        if line is None:
            raise ValueError(f"document {place} has no inner line to look for")
        with_line.setdefault(line, []).append(place)
    found: set[int] = set()
    for text in texts:
        for line in with_line.keys() & set(text.split(b"\n")):
            found |= {place for place in with_line[line] if encoded[place] in text}
    return found
