"""What an image holds: Debian's release, Python, every package with its version, the CLI.

Each image writes it down as the last step of its build (`images/base/inventory`). It is read from
the image once and then kept in `.bakeoff/`, by the image's content.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from runner.containers import ContainerSpec
from runner.engine import Engine
from runner.errors import ImageError
from runner.layout import ROOT
from runner.records import write_whole

PATH = "/opt/bakeoff/inventory.json"
MAX_BYTES = 1 << 20


def installed(engine: Engine, digest: str, *, root: Path = ROOT) -> dict[str, Any]:
    """The inventory of the image with that content.

    Raises:
        ImageError: it has none, because it was not built by this project.
    """
    kept = root / ".bakeoff" / "inventory" / f"{digest.removeprefix('sha256:')}.json"
    try:
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # not read yet, or cut by a crash
        text = _read(engine, digest)
    found = dict(json.loads(text))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, text)
    return found


def _read(engine: Engine, digest: str) -> str:
    """The file in the image, by a container that is never started."""
    run_id = f"inventory-{uuid.uuid4().hex[:12]}"
    container = engine.create(
        ContainerSpec(
            name=f"bakeoff-{run_id}",
            image=digest,
            run_id=run_id,
            role="prepare",
            command=["none"],  # an image without one of its own is refused
        )
    )
    try:
        content = engine.get_file(container, PATH, MAX_BYTES)
    finally:
        engine.remove(container)
    if content is None:
        raise ImageError(
            f"reading what image {digest[:19]} holds: it has no {PATH}",
            hint="build it with `make images`",
        )
    return content.decode()
