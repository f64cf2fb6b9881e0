"""Copies a handed-out model to a volume of ours, if it is the one that was promised.

The host sends the text of this module into a container and runs it there: what a contestant wrote
is never read on the host. The first volume is the trial's, so anything may be in the file's place.
"""

import hashlib
import os
import stat
import sys
from pathlib import Path

MAX_BYTES = 256 << 20
PIECE_BYTES = 1 << 20
EXIT_REFUSED = 3


def copy(source: Path, target: Path, digest: str) -> str:
    """Copy a file of at most `MAX_BYTES` with this SHA-256; says why not, or nothing."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return f"there is no model file: {error.strerror}"
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return "the model is no regular file"
    with os.fdopen(descriptor, "rb") as file:
        seen, size = hashlib.sha256(), 0
        with target.open("wb") as copied:
            while piece := file.read(PIECE_BYTES):
                size += len(piece)
                if size > MAX_BYTES:
                    return f"the model takes more than {MAX_BYTES >> 20} MB"
                seen.update(piece)
                copied.write(piece)
    return "" if seen.hexdigest() == digest else "the model was changed after it was handed out"


if __name__ == "__main__":
    refused = copy(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    print(refused)
    sys.exit(EXIT_REFUSED if refused else 0)
