"""Copies the source text of installed packages into one folder, to be read and never imported.

    python gather.py REQUIREMENTS FOLDER

REQUIREMENTS names the packages, one on each line. Of each, FOLDER gets the Python files but the
tests, and what the release says about itself: its metadata and its licence. It runs in the stage of
the build that is thrown away, with the Python that the packages were installed for.
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackagePath, distribution
from pathlib import Path

TESTS = {"test", "tests", "testing"}
ABOUT = ("METADATA", "LICENSE", "LICENCE", "COPYING")


def main() -> None:
    """Copies them; a package that gives no file is an error."""
    requirements, folder = map(Path, sys.argv[1:])
    for name in names(requirements.read_text()):
        wanted = [file for file in distribution(name).files or () if is_wanted(file)]
        if not any(file.suffix == ".py" for file in wanted):
            sys.exit(f"gathering {name}: it has no Python file")
        for file in wanted:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


def names(requirements: str) -> list[str]:
    """The packages in a file of requirements, without its comments."""
    lines = [line.partition("#")[0].strip() for line in requirements.splitlines()]
    return [line for line in lines if line]


def is_wanted(file: PackagePath) -> bool:
    """Whether a file of a release is source text, its metadata or its licence."""
    if ".." in file.parts:
        return False
    if file.parts[0].endswith(".dist-info"):
        return file.name.startswith(ABOUT)
    return file.suffix == ".py" and TESTS.isdisjoint(file.parts)


if __name__ == "__main__":
    main()
