"""Names and files that a hostile contestant writes, of pieces that readers trip over."""

from __future__ import annotations

from random import Random

MOST_PIECES = 60
PIECES = (
    ",", ";", "|", "\t", "\n", "\r", "\r\n", '"', "'", "`", "\\", "#", "(", ")", "[", "]", "{", "}",
    ":", "=", "+", "-", "@", "\0", "\x1b[2J", "\x1b]0;x\x07", "\x7f", "\x85", "\u2028", "\u202e",
    "\u2066", "\u200b", "\u200e", "\u061c", "\ufeff", "\uff1d1+1", "\u0301", "\u3164", "\ud800",
    "e\u0301\u0301\u0301\u0301\u0301\u0301", "keep", "crash", "val_bpb", "1.5", "1e999", "-0",
    "nan",
    "9" * 400, "1_0", "2026-01-01T00:00:00Z", "abcdef0", "|---|", "```", "<script>", "&lt;", "]( ",
    "https://x.y", "@name", "#1", "www.x.y", "=HYPERLINK(1)", "progress: step=1 loss=2", "FAIL",
    "training_seconds: 1", '{"event":"started"}', '{"val_bpb": 1}', '{"a":' * 30, "[" * 300,
    "import os", "def f(", "X = 2**19", "lambda:", "\\N{", "f'{x!r:{y}}'", "async", "\x0c",
    " " * 50,
    "a" * 300, "None", "true", "../", "/etc/passwd", "%s%n", "$(id)", "${x}", "\u0661\u0662",
)  # fmt: skip


def text(random: Random) -> str:
    """A text of these pieces, some of them many times."""
    parts = []
    for _ in range(random.randrange(MOST_PIECES)):
        many = random.choice((1, 1, 1, 2, 40))
        parts.append(random.choice(PIECES) * many)
    return "".join(parts)


def file(random: Random) -> bytes:
    """A file: a text as UTF-8, with halves of characters in it, or noise."""
    if random.random() < 0.1:
        return random.randbytes(random.randrange(2000))
    return text(random).encode("utf-8", "surrogatepass")
