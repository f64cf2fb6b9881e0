"""Text of strangers, on terminals and in Markdown."""

from __future__ import annotations

from runner.cli.terminal import shown
from runner.results.markdown import harmless
from runner.visible import visible


def test_control_characters_show_as_a_sign() -> None:
    """An escape sequence moves no cursor, and no mark turns the direction of what follows."""
    assert visible("a\x1b[2Jb\u202ec\nd") == "a\ufffd[2Jb\ufffdc d"
    assert shown("[red]\x1b]0;x\x07") == "\\[red]\ufffd]0;x\ufffd"


def test_a_backslash_does_not_free_what_is_escaped() -> None:
    r"""`\[x](…)` would be a link if its backslash were left alone."""
    assert harmless(r"\[x](http://evil)") == r"\\\[x](http://evil)"
