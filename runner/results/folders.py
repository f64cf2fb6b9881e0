"""The folders that hold results: directories of runs, and what `bakeoff import` made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from runner.errors import UserError
from runner.records.imported import IMPORT_FILE
from runner.records.layout import RunDir


def named_folders(paths: Iterable[Path]) -> dict[str, Path]:
    """Name → folder, for each folder with results that the paths name or hold.

    A name is the last part of the folder's path. Where two folders share it, it has as many parts
    of the path before it as it takes to tell them apart.

    Args:
        paths: folders with results, or folders of such; what is named twice is there once.

    Raises:
        UserError: a path is neither.
    """
    folders = list(dict.fromkeys(each.resolve() for path in paths for each in _folders(path)))
    names: dict[Path, str] = {}
    for length in range(1, max((len(folder.parts) for folder in folders), default=0) + 1):
        ends = {folder: "/".join(folder.parts[-length:]) for folder in folders}
        counts = Counter(ends.values())
        names = {each: end for each, end in ends.items() if counts[end] == 1} | names
    return {names[folder]: folder for folder in folders}


def _folders(path: Path) -> list[Path]:
    """The folders with results that a path names.

    Raises:
        UserError: it names none.
    """
    if _holds_results(path):
        return [path]
    inside = sorted(path.iterdir()) if path.is_dir() else []
    found = [each for each in inside if _holds_results(each)]
    if not found:
        raise UserError(
            f"reading {path}: there is no run and no import",
            hint="name a run's directory, a folder of runs, or what `bakeoff import` made",
        )
    return found


def _holds_results(path: Path) -> bool:
    names = (IMPORT_FILE, RunDir(path).spec.name, RunDir(path).trials.name)
    return path.is_dir() and any((path / name).is_file() for name in names)
