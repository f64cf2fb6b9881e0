"""Saves a trained model before it is scored, so that others can try it without its memory.

Only the referee asks for this, with `BAKEOFF_HAND_OUT`. The file's digest goes to the judge before
the first scored row comes, so that nothing can be added to the model afterwards.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

MAX_MODEL_BYTES = 256 << 20


class TooLargeError(Exception):
    """The model takes more than `MAX_MODEL_BYTES`."""


class _Bounded:
    """A file for writing that takes so many bytes and no more, and digests them."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_MODEL_BYTES
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Writes all bytes.

        Raises:
            TooLargeError: there is no room for them.
        """
        view = memoryview(data).cast("B")
        self._left -= len(view)
        if self._left < 0:
            raise TooLargeError(f"it takes more than {MAX_MODEL_BYTES >> 20} MB")
        self.digest.update(view)
        self._file.write(view)
        return len(view)

    def flush(self) -> None:
        """Gives the file what was written."""
        self._file.flush()


def hand_out(predict: Any) -> str | None:
    """Saves the model at the path in `BAKEOFF_HAND_OUT`, and says why where that fails.

    Args:
        predict: what is scored: a module, compiled or not, or any callable that can be pickled.

    Returns:
        The SHA-256 of the file in hex; None if nobody asked for it, or if it could not be saved.
    """
    place = os.environ.get("BAKEOFF_HAND_OUT")
    if not place:
        return None
    import torch

    path = Path(place)
    try:
        with path.open("wb") as file:
            bounded = _Bounded(file)
            torch.save(getattr(predict, "_orig_mod", predict), bounded)
        return bounded.digest.hexdigest()
    except Exception as error:  # noqa: BLE001 - pickling calls any method of the model
        path.unlink(missing_ok=True)
        print(f"the model is not handed out: {type(error).__name__}: {error}"[:300], flush=True)
        return None
