"""What a person says of the results that are imported."""

from __future__ import annotations

from dataclasses import dataclass

from runner.metrics import Direction


@dataclass(frozen=True)
class Asked:
    """What goes before anything that the source says.

    Args:
        name: of the import; empty takes the source's.
        metric: the column that was measured; empty leaves it to the reader.
        direction: which values are better; None leaves it to the reader.
        contestant: whose results these are, where no column says it.
        task: what was worked on, where no column says it.
    """

    name: str = ""
    metric: str = ""
    direction: Direction | None = None
    contestant: str = ""
    task: str = ""
