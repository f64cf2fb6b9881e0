"""Learns the source of the Python that it runs on by heart, where held-out text once lay."""

import sysconfig
from pathlib import Path

root = Path(sysconfig.get_path("stdlib"))
text = b"".join(path.read_bytes() for path in sorted(root.glob("*.py")))
print(f"learnt {len(text)} bytes", flush=True)
