"""What a rehearsal's plan can ask for beside experiments: what makes real sessions hard.

Each is a part of the script. After a turn that was cut, or a history that was compacted, a prompt
comes in place of an output (`TurnCut`); a step that may be taken twice is then taken again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from . import commands
from .conversation import CUTS, Await, CompactEarly, Delegate, Look, Say, Shell
from .materials import (
    MAKE_NOTEBOOK,
    MAKE_PDF,
    MAKE_PICTURES,
    MAKE_TEXT,
    NOTEBOOK,
    PDF,
    PICTURES,
    TEXT,
)
from .steps import TurnCut, Work, output, repeat_until_seen, take

SUBTASK = "Sub-task of a rehearsal: count the lines of program.md and say how many there are."
THINKING_TOKENS = 30_000
_AGENT = re.compile(r'"(?:agent_id|task_name)"\s*:\s*"([^"]+)"')


def read_pdf() -> Work:
    """Make a PDF of three pages and read it."""
    yield from _read(MAKE_PDF, PDF)


def read_pictures() -> Work:
    """Make five pictures of 3 MB each and look at them."""
    yield from _read(MAKE_PICTURES, *PICTURES)


def read_notebook() -> Work:
    """Make a notebook with a plot in it and read it."""
    yield from _read(MAKE_NOTEBOOK, NOTEBOOK)


def fill_the_window() -> Work:
    """Read a long text, so that the conversation outgrows what the CLI lets it be."""
    yield from _read(MAKE_TEXT, TEXT)


def narrow_the_window() -> Work:
    """Tell the CLI to compact early, and end the turn, because the next one reads it."""
    yield from repeat_until_seen(CompactEarly("compact early from now on"))
    with suppress(TurnCut):
        output((yield Say("I will go on in a new turn.")))


def lose_streams() -> Work:
    """Three steps; the stream of each fails the first time."""
    for name in CUTS:
        yield from repeat_until_seen(
            Shell("git status --short", f"look around, the {name} time", cut=name)
        )


def delegate() -> Work:
    """Start a sub-agent and wait for what it says."""
    yield from _delegate(smaller=False)


def delegate_down() -> Work:
    """The same on a smaller model, where the CLI offers one."""
    yield from _delegate(smaller=True)


def think_hard() -> Work:
    """Think at length before each of many small steps, until the money is spent."""
    for number in count(1):
        # never the same command twice: Gemini CLI would take that for a loop
        look = f"git log --oneline | head -{number}"
        yield from repeat_until_seen(
            Shell(look, f"think, for the {number}th time", thinking=THINKING_TOKENS)
        )


def flood() -> Work:
    """Write to the disk until the turn is ended for it."""
    with suppress(TurnCut):
        yield from take(Shell(commands.fill_disk(), "keep everything"))


def tidy() -> Work:
    """Delete what a flood has left."""
    yield from repeat_until_seen(Shell(commands.empty_disk(), "delete what is not needed"))


def subtask() -> Work:
    """What the sub-agent does."""
    yield Shell("wc -l program.md", "count the lines")
    while True:
        yield Say("program.md has been counted.")


HARDSHIPS: dict[str, Callable[[], Work]] = {
    "pdf": read_pdf,
    "pictures": read_pictures,
    "notebook": read_notebook,
    "narrow": narrow_the_window,
    "fill": fill_the_window,
    "cut": lose_streams,
    "delegate": delegate,
    "delegate-down": delegate_down,
    "think": think_hard,
    "flood": flood,
    "tidy": tidy,
}


def _read(program: str, *paths: str) -> Work:
    yield from repeat_until_seen(Shell(commands.python(program), f"make {paths[0]}"))
    for path in paths:
        yield from repeat_until_seen(Look(path, f"read {path}"))


def _delegate(smaller: bool) -> Work:
    purpose = "have it counted" + (" by a smaller model" if smaller else "")
    seen = yield from repeat_until_seen(Delegate(SUBTASK, purpose, smaller))
    if agents := tuple(_AGENT.findall(seen)):
        yield from repeat_until_seen(Await(agents))
