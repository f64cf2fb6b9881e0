"""What the text of a train.py says about itself: verdicts that were read, not measured.

Each rule names what it finds in the syntax tree and ours, the pristine text, has not. Reading
misfires: dead code is found as well, and many a finding has an honest reason. So no verdict of
this module rejects a trial. What was measured is in `audits.py`.
"""

from __future__ import annotations

import ast
import zlib
from collections import Counter
from functools import lru_cache

from runner.records.schema import Verdict
from runner.referee.rules import MAX_NAME_CHARS, RULES, Rule
from runner.referee.source import Source, UnreadableError

MAX_NAMES = 5  # that a verdict repeats
# Compressed bytes of literals beyond ours. A token of 1,024 has 10 bits, so 2 KiB are 1,600 tokens.
MAX_LITERAL_BYTES = 2048


def read_verdicts(text: str, pristine: str) -> list[Verdict]:
    """What reading finds in a train.py that the pristine one has not; at most one of a kind.

    Args:
        text: the text of a trial. It may be anything.
        pristine: the task's own train.py.
    """
    if text == pristine:
        return []
    try:
        source = Source.read(text)
    except UnreadableError as error:
        return [_verdict("not read", f"the text was not read: {error}", {"chars": len(text)})]
    ours = _ours(pristine)
    found = (_apply(rule, source, ours) for rule in RULES)
    return [verdict for verdict in (*found, _literals(source, ours)) if verdict is not None]


@lru_cache(maxsize=4)
def _ours(pristine: str) -> Source:
    try:
        return Source.read(pristine)
    except UnreadableError:
        return Source("")  # then everything in a text is its own


def _apply(rule: Rule, source: Source, ours: Source) -> Verdict | None:
    known = rule.find(ours)
    names = {name: line for name, line in rule.find(source).items() if name not in known}
    if not names:
        return None
    shown = ", ".join(_printable(name) for name in list(names)[:MAX_NAMES])
    more = "" if len(names) <= MAX_NAMES else f" and {len(names) - MAX_NAMES} more"
    numbers: dict[str, float] = {"line": min(names.values()), "findings": len(names)}
    return _verdict(rule.name, f"{rule.says}: {shown}{more}", numbers)


def _verdict(name: str, text: str, numbers: dict[str, float]) -> Verdict:
    return Verdict(name=name, by="read", rejects=False, text=text, numbers=numbers)


def _printable(name: str) -> str:
    kept = name[:MAX_NAME_CHARS]
    return "".join(char if char.isprintable() else "?" for char in kept)


def _literals(source: Source, ours: Source) -> Verdict | None:
    """Constants that could hold data: how many bytes they compress to beyond our own."""
    known = Counter(_constants(ours))
    extra = []
    for constant in _constants(source):
        if known[constant] > 0:
            known[constant] -= 1
        else:
            extra.append(constant)
    raw = "\n".join(extra).encode("utf-8", "replace")
    squeezed = len(zlib.compress(raw, 6)) if raw else 0
    if squeezed <= MAX_LITERAL_BYTES:
        return None
    numbers: dict[str, float] = {
        "literal_bytes": len(raw), "compressed_bytes": squeezed, "longest": max(map(len, extra)),
    }  # fmt: skip
    text = f"its literals hold {squeezed} bytes that ours do not (compressed)"
    return _verdict("data in literals", text, numbers)


def _constants(source: Source) -> list[str]:
    """All constants as text, and of a text that can read its own text every line as well.

    A docstring alone reaches no computation, so it counts only in the second case.
    """
    found = [
        _as_text(node.value)
        for node in source.nodes
        if isinstance(node, ast.Constant) and id(node) not in source.docstrings
    ]
    return found + source.text.splitlines() if _reads_itself(source) else found


def _as_text(value: object) -> str:
    """A constant as text; an int in hex, because Python writes no long one in decimals."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return hex(value) if isinstance(value, int) else repr(value)


def _reads_itself(source: Source) -> bool:
    used = {node.id for node in source.nodes if isinstance(node, ast.Name)}
    used |= {node.attr for node in source.nodes if isinstance(node, ast.Attribute)}
    return not used.isdisjoint(("__file__", "__doc__")) or "inspect" in source.origins.values()
