"""A checkout with our scripts and two small locks, whose packages lie in a folder here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runner.records.layout import ROOT
from tests.time_travel import stub_wheel

LIMIT_SECONDS = 120
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "bakeoff"
version = "0"
"""
# The least that pip needs to install a project in place (PEP 660).
BACKEND = """
import zipfile
from pathlib import Path

INFO = "bakeoff-0.dist-info"
FILES = {
    "bakeoff.pth": str(Path(__file__).parent),
    f"{INFO}/METADATA": "Metadata-Version: 2.1\\nName: bakeoff\\nVersion: 0\\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\\nbakeoff = runner.cli:main\\n",
    f"{INFO}/RECORD": "",
}

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "bakeoff-0-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        for path, text in FILES.items():
            wheel.writestr(path, text)
    return name
"""


@dataclass(frozen=True)
class SmallCheckout:
    """Its folder, and the folder with the wheels that its pip may use."""

    root: Path
    wheels: Path

    @classmethod
    def make(cls, root: Path) -> SmallCheckout:
        """A checkout whose locks pin nothing yet."""
        shutil.copytree(ROOT / "scripts", root / "scripts")
        (root / "pyproject.toml").write_text(PYPROJECT)
        (root / "backend.py").write_text(BACKEND)
        (root / "runner").mkdir()
        (root / "runner/__init__.py").write_text("")
        (root / "runner/cli.py").write_text("def main():\n    print('it runs')\n")
        made = cls(root, root.parent / "wheels")
        made.wheels.mkdir()
        made.pin("requirements.lock", [])
        made.pin("requirements-analysis.lock", [])
        made.pin("requirements-dev.lock", [])
        return made

    def publish(self, name: str, version: str, needs: Iterable[str] = ()) -> str:
        """Put a release into the folder of wheels, and return its line of a lock."""
        file, content = stub_wheel(name, version, needs)
        (self.wheels / file).write_bytes(content)
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}"

    def pin(self, lock: str, lines: Iterable[str]) -> None:
        """Write a lock."""
        (self.root / lock).write_text("".join(f"{line}\n" for line in lines) or "# nothing\n")

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a user's shell; they say where packages come from."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        where = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return {**own, **where, "PYTHON": sys.executable, **more}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a set-up without waiting for its end."""
        return subprocess.Popen(
            [str(self.root / "scripts/setup"), *arguments],
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def set_up(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Exit code and output of a set-up."""
        with self.start(*arguments, **more) as process:
            said, _ = process.communicate(timeout=LIMIT_SECONDS)
            return process.returncode, said

    def installed(self) -> dict[str, str]:
        """Package → version in .venv, without pip and what the venv module installs."""
        listed = subprocess.run(
            [self.root / ".venv/bin/python", "-I", "-m", "pip", "list", "--format=freeze"],
            env={"PATH": os.environ["PATH"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        pairs = (line.split("==") for line in listed.split())
        return {name: version for name, version in pairs if name not in ("pip", "setuptools")}

    def command(self) -> str:
        """What `bakeoff` prints."""
        return subprocess.run(
            [self.root / ".venv/bin/bakeoff"], cwd="/", capture_output=True, text=True, check=True
        ).stdout
