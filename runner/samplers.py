"""The table of baselines for the host: their names and what they are.

The algorithms are in the optimizer's image (`images/optimizer/samplers.py`); a test holds that both
tables name the same samplers.
"""

from __future__ import annotations

from pathlib import Path

from runner.errors import unknown_name
from runner.spec import Frozen, read_table

TABLE = Path(__file__).with_name("samplers.toml")


class Sampler(Frozen):
    """A row of `samplers.toml`: its description is one sentence for people."""

    name: str
    description: str


def load() -> dict[str, Sampler]:
    """All samplers by name, in the table's order."""
    rows = read_table(TABLE)
    return {name: Sampler(name=name, **row) for name, row in rows.items()}


def find(name: str) -> Sampler:
    """The sampler of that name.

    Raises:
        UserError: there is none. The hint lists the known names and the nearest one.
    """
    samplers = load()
    if name not in samplers:
        raise unknown_name("sampler", name, samplers)
    return samplers[name]
