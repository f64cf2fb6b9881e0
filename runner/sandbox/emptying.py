"""Empties a folder. The text of this module runs in a container, as the owner of the folder.

The attack that this stops: folders nested so deeply that neither the engine nor `rm` reaches their
end. Nothing here descends: a folder inside a folder is moved up by one level at a time, so the work
grows with the number of files, however they are nested.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path


def empty(folder: str) -> None:
    """Remove everything in a folder but the folder itself; links are not followed.

    Raises:
        OSError: something in it belongs to another user.
    """
    with contextlib.suppress(PermissionError):  # another user's folder, which may be open to us
        Path(folder).chmod(0o700)
    os.chdir(folder)  # relative paths stay short, however deep the moved folder was
    here, prefix, moved = Path(), secrets.token_hex(8), 0
    while entries := list(here.iterdir()):
        for entry in entries:
            if not _is_folder(entry):
                entry.unlink()
                continue
            for inner in list(entry.iterdir()):
                if _is_folder(inner):
                    moved += 1
                    inner.rename(f"{prefix}-{moved}")
                else:
                    inner.unlink()
            entry.rmdir()


def _is_folder(path: Path) -> bool:
    """Whether it is a folder and not a link to one; a folder is made accessible."""
    if path.is_symlink() or not path.is_dir():
        return False
    path.chmod(0o700)
    return True


if __name__ == "__main__":
    empty(sys.argv[1])
