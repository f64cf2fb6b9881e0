"""Run a command in a later year: `python -m tests.time_travel make test`.

Set-up and image builds of the checkout in the current folder then see a newer release of every
package that its locks pin. The packages themselves come from this machine's ordinary index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from runner.engine.client import Engine
from tests import time_travel
from tests.time_travel.engine import base_of_a_later_year


def main() -> int:
    """The exit code of the command."""
    root, engine = Path.cwd(), Engine.connect()
    with tempfile.TemporaryDirectory(prefix="bakeoff-index-") as folder:
        names = time_travel.pinned_names(root)
        time_travel.write(time_travel.index_of(names), Path(folder))
        with (
            time_travel.served(Path(folder)) as address,
            base_of_a_later_year(engine, root) as base,
        ):
            print(f"a newer release of {len(names)} packages is at {address}", flush=True)
            added = {"PIP_EXTRA_INDEX_URL": address, "BAKEOFF_BASE": base}
            return subprocess.call(sys.argv[1:], env={**os.environ, **added})


if __name__ == "__main__":
    sys.exit(main())
