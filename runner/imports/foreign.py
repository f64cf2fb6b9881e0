"""Reads a file of results that were made elsewhere, whatever wrote it."""

from __future__ import annotations

import re
from pathlib import Path

from runner.imports import optuna_study, wandb
from runner.imports.asked import Asked
from runner.imports.log import read_log
from runner.imports.source import read_source
from runner.records.imported import Imported, ImportedTrial

MAX_NAME = 60  # characters of an import's name
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def read_foreign(path: Path, asked: Asked) -> tuple[Imported, list[ImportedTrial]]:
    """What a file of results holds: each of its rows as a trial, or left out with the reason.

    Args:
        path: of the file.
        asked: what a person says of it; it goes before anything that the file says.

    Raises:
        UserError: there is no such file, it is of no known kind, it is larger than the bounds
            allow, or it lacks the column that was asked for.
    """
    source = read_source(path)
    name = asked.name or name_of(path)
    if optuna_study.is_storage(source.data):
        return optuna_study.read_storage(source, asked, name)
    if wandb.is_chart(source.data):
        return wandb.read_chart(source, asked, name)
    return read_log(source, asked, name)


def name_of(path: Path) -> str:
    """The import's name where nobody gives one: that of the file, without its ending."""
    return _UNSAFE.sub("-", path.stem).strip("-.")[:MAX_NAME] or "results"
