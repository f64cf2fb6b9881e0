"""Keeps an import as `bakeoff analyse` reads it: a folder with `import.json` and `trials.jsonl`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from runner.errors import UserError
from runner.records.files import explained, to_json, write_whole
from runner.records.imported import IMPORT_FILE, TRIALS_FILE, Imported, ImportedTrial

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def check_name(name: str) -> str:
    """The name, if a folder may have it.

    Raises:
        UserError: it has other signs than letters, digits, dots, hyphens and underscores, or more
            than 60.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"naming the import: {name!r} is no name for a folder",
            hint="use letters, digits, dots, hyphens and underscores, 60 at most: --as NAME",
        )
    return name


def write_import(folder: Path, imported: Imported, trials: Sequence[ImportedTrial]) -> Path:
    """Write an import, and give its folder. One of the same file replaces an earlier one.

    Args:
        folder: of all imports.
        imported: what the import holds; its name is that of the new folder.
        trials: all of its trials.

    Raises:
        UserError: the name is taken by another file's import, or by something else.
        HostError: it cannot be written.
    """
    place = folder / check_name(imported.name)
    if place.exists() and _sha256(place) != imported.sha256:
        raise UserError(
            f"importing as {imported.name}: {place} holds something else",
            hint="choose another name with --as (AS=), or remove that folder",
        )
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{_line(trial)}\n" for trial in trials)
    write_whole(place / TRIALS_FILE, lines)
    write_whole(place / IMPORT_FILE, to_json(imported))
    return place


def _line(trial: ImportedTrial) -> str:
    return json.dumps(trial.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)


def _sha256(place: Path) -> str:
    """Of the file that an import was made of; empty where there is no import."""
    try:
        return Imported.model_validate_json((place / IMPORT_FILE).read_bytes()).sha256
    except (OSError, ValidationError):
        return ""
