"""Reads the text of a foreign file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.imports.asked import Asked
from runner.imports.foreign import read_foreign
from runner.records.imported import Imported, ImportedTrial

Reading = tuple[Imported, list[ImportedTrial]]
Read = Callable[..., Reading]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What is read of a file with this content; every row is a trial or left out."""

    def reading(content: str | bytes, asked: Asked | None = None, name: str = "log.tsv") -> Reading:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        imported, trials = read_foreign(path, asked or Asked())
        assert imported.rows == len(trials) + sum(each.row for each in imported.left_out)
        return imported, trials

    return reading
