"""The folder of an analysis. What an earlier analysis wrote there and this one did not is removed.

Nothing else in the folder is touched, so it may be a folder that has other files too.
"""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from runner.records.files import explained, write_whole

MANIFEST = "files.json"
MAX_BYTES = 64 << 20  # of the list
LONGEST_NAME = 60  # of a file, before its suffix


class OutputFolder:
    """Writes files, each of them whole or not at all, and clears away at the end.

    Args:
        path: of the folder; it is made if need be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: dict[str, None] = {}

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file, and return its name.

        Args:
            name: of the file, from the folder on, with slashes.
            content: what it holds.

        Raises:
            HostError: the disk is full or the folder is not writable.
        """
        path = self.path / name
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        self._written[name] = None
        return name

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """After an error, the files of before stay, and the list has those of both."""
        before = self._before()
        kept = before if error is not None else []
        for name in set(before) - set(self._written) - set(kept):
            self._remove(name)
        names = sorted({*self._written, *kept})
        write_whole(self.path / MANIFEST, json.dumps(names, indent=0) + "\n")

    def _before(self) -> list[str]:
        try:
            with (self.path / MANIFEST).open("rb") as file:
                names = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError):
            return []
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def _remove(self, name: str) -> None:
        """Remove a file of before, and its folder if that is empty now; follow no link out."""
        path = self.path / name
        if ".." in Path(name).parts or not path.resolve().is_relative_to(self.path.resolve()):
            return
        with contextlib.suppress(OSError):
            path.unlink()
            path.parent.rmdir()


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file's name for each name, without its suffix: in small letters, and no two the same."""
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    last: dict[str, int] = {}  # the number that a stem had last
    for name in dict.fromkeys(names):
        ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        words = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
        stem = first = words[:LONGEST_NAME].strip("-") or "unnamed"
        while stem in taken:
            last[first] = last.get(first, 1) + 1
            stem = f"{first}-{last[first]}"
        taken.add(stem)
        chosen[name] = stem
    return chosen
