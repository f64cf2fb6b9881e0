"""The table of baselines, as the host knows it: names and what they are.

The algorithms live in the optimizer's image; a test holds that both tables name the same samplers.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from runner.errors import unknown_name

TABLE = Path(__file__).with_name("samplers.toml")


class Sampler(BaseModel):
    """A row of `samplers.toml`: one sentence for `--help` and the results' reader."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str


def load() -> dict[str, Sampler]:
    """All samplers by name, in the table's order."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: Sampler(name=name, **row) for name, row in rows.items()}


def find(name: str) -> Sampler:
    """The sampler of that name.

    Raises:
        UserError: there is none; the hint lists the known names and the nearest one.
    """
    samplers = load()
    if name not in samplers:
        raise unknown_name("sampler", name, samplers)
    return samplers[name]
