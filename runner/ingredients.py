"""What this machine adds to image builds: a Debian, its CA certificates, a wheel of torch, CUDA.

None of it is in git: addresses of mirrors, certificates and wheels are this machine's own.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from runner import debian
from runner.engine import Engine

Say = Callable[[str], None]


def machine_args(engine: Engine) -> dict[str, dict[str, str]]:
    """Build arguments that this machine decides, by image; a change in them is a rebuild."""
    args: dict[str, dict[str, str]] = {}
    if engine.info().gpus:
        args["torch"] = {"TORCH_VARIANT": "cuda"}
    if named := debian.named_base():
        args["base"] = {"BASE": named}
    return args


def gather(engine: Engine, name: str, root: Path, say: Say) -> dict[str, str]:
    """Bring what the build of this image needs, just before it; returns further build arguments.

    Raises:
        HostError, EngineError: it cannot be had on this machine.
    """
    if name == "base":
        return {"BASE": debian.base_reference(engine, say)}
    if name == "torch" and "torch" not in machine_args(engine):
        fetch_torch_wheel(root, say)
    return {}


def fetch_torch_wheel(root: Path, say: Say) -> None:
    """Put a CPU wheel of torch into the build, if this machine's own pip knows where one is.

    The Linux wheels of the ordinary index bring gigabytes of CUDA. A version with the local part
    `+cpu` is never on it, so that asking for one costs a second where there is none; the build
    then takes PyTorch's own index of CPU wheels.
    """
    folder, lock = root / "images/torch/wheels", root / "images/torch/requirements-cpu.lock"
    for wheel in folder.glob("*.whl"):  # of another version, or cut when it came
        if _sha256(wheel) not in lock.read_text():
            wheel.unlink()
    if any(folder.glob("*.whl")):
        return
    say("asking this machine's pip for a CPU wheel of torch")
    machine = platform.machine().lower().replace("arm64", "aarch64").replace("amd64", "x86_64")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:",
        "--python-version=3.11", "--implementation=cp", "--abi=cp311",
        f"--platform=manylinux_2_28_{machine}", f"--dest={folder}",
        "--no-deps", "--require-hashes", f"--requirement={lock}",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, check=False).returncode == 0
    say("found a CPU wheel of torch" if found else "none; PyTorch's own index has one")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
