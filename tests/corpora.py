"""Two corpora of train.py texts: cheats that must be caught, and honest texts that must not.

A file in tests/cheats/ or tests/honest/ says in its docstring what it does. Its code is put at the
end of the pristine train.py, before `main` is called, where it may replace any function of it; the
`_tools.py` of its folder goes before it. The files are no modules: the names that they use are
those of train.py. What a cheat must come to is in tests/cheats/expected.toml.
"""

from __future__ import annotations

import ast
import base64
import random
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from runner.records.layout import ROOT
from trainer import constants

MAIN = '\n\nif __name__ == "__main__":\n'
SMALL = {"DEPTH": 2, "TOTAL_BATCH_SIZE": 1024, "DEVICE_BATCH_SIZE": 4}
TOOLS = "_tools.py"
CARRIED_BYTES = 30_000  # of the literal that one cheat carries
DEFINED = re.compile(r"^(?:def|class) (\w+)|^(\w+) =", re.MULTILINE)


@dataclass(frozen=True)
class Text:
    """A text of a corpus.

    Attributes:
        name: the name of its file.
        what: what it does, one sentence.
        train_py: the whole text, as a contestant would hand it in.
    """

    name: str
    what: str
    train_py: str


def pristine() -> str:
    """The starting text of the default task, small enough to learn something within a second."""
    table = tomllib.loads((ROOT / "trainer/tasks/pystdlib.toml").read_text())["knobs"]
    source = (ROOT / "trainer/train.py").read_text()
    return str(constants.rewrite(source, {**table, **SMALL}))


def corpus(folder: str) -> dict[str, Text]:
    """The texts of a folder of tests/, by name."""
    paths = sorted((ROOT / "tests" / folder).glob("*.py"))
    return {path.stem: _read(path) for path in paths if path.name != TOOLS}


def expected() -> dict[str, list[str]]:
    """What each cheat must come to: a list of ways, of which one is enough."""
    return tomllib.loads((ROOT / "tests/cheats/expected.toml").read_text())


def _read(path: Path) -> Text:
    part, tools = path.read_text(), path.with_name(TOOLS).read_text()
    what = (ast.get_docstring(ast.parse(part)) or "").partition("\n")[0]
    carried = base64.b85encode(random.Random(1).randbytes(CARRIED_BYTES)).decode()
    part = part.replace("@random@", carried)
    if not _names_of(tools) & set(re.findall(r"\w+", part)):
        tools = ""
    before, main, after = pristine().rpartition(MAIN)
    return Text(path.stem, what, f"{before}\n\n# --- what differs\n\n{tools}{part}{main}{after}")


def _names_of(tools: str) -> set[str]:
    return {first or second for first, second in DEFINED.findall(tools)}
