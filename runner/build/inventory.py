"""What an image holds: Debian's release, Python, every package with its version, the CLI.

The last step of each build writes this into the image (`images/base/inventory`). It is read from
the image once and then kept in `.bakeoff/`, under the image's content id.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import ImageError
from runner.records.files import write_whole
from runner.records.layout import ROOT

PATH = "/opt/bakeoff/inventory.json"
MAX_BYTES = 1 << 20


def installed(engine: Engine, digest: str, *, root: Path = ROOT) -> dict[str, Any]:
    """The inventory of the image with that content id.

    Raises:
        ImageError: it has none, because this project did not build it.
    """
    kept = root / ".bakeoff" / "inventory" / f"{digest.removeprefix('sha256:')}.json"
    try:
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # not read yet, or cut short by a crash
        text = _read(engine, digest)
    found = dict(json.loads(text))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, text)
    return found


def _read(engine: Engine, digest: str) -> str:
    run_id = f"inventory-{uuid.uuid4().hex[:12]}"
    spec = ContainerSpec(
        name=f"bakeoff-{run_id}",
        image=digest,
        run_id=run_id,
        role="prepare",
        command=["none"],  # the engine refuses an image that has no command
    )
    content = one_off.read_file(engine, spec, PATH, MAX_BYTES)
    if content is None:
        raise ImageError(
            f"reading what image {digest[:19]} holds: it has no {PATH}",
            hint="build it with `make images`",
        )
    return content.decode()
