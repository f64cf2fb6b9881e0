"""What this machine adds to image builds: a Debian image, a wheel of torch, whether there is CUDA.

None of it is in git, because mirrors and wheels are this machine's own.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from runner.build import debian
from runner.build.display import Report
from runner.engine.client import Engine


def machine_args(engine: Engine) -> dict[str, dict[str, str]]:
    """Build arguments that depend on this machine, by image. When they change, it is rebuilt."""
    args: dict[str, dict[str, str]] = {}
    if engine.info().gpus:
        args["torch"] = {"TORCH_VARIANT": "cuda"}
    if named := debian.named_base():
        args["base"] = {"BASE": named}
    return args


def gather(engine: Engine, name: str, root: Path, report: Report) -> dict[str, str]:
    """Fetch what the build of this image needs, just before it.

    Returns:
        Further build arguments.

    Raises:
        HostError, EngineError: this machine cannot get it.
    """
    if name == "base":
        return {"BASE": debian.base_reference(engine, report)}
    if name == "torch" and "torch" not in machine_args(engine):
        fetch_torch_wheel(root, report)
    return {}


def fetch_torch_wheel(root: Path, report: Report) -> None:
    """Put a CPU wheel of torch into the build, if this machine's own pip finds one.

    The Linux wheels of the ordinary index depend on gigabytes of CUDA. It never has a version with
    the local part `+cpu`, so asking for one costs a second there; the build then uses PyTorch's
    own index of CPU wheels.
    """
    folder, lock = root / "images/torch/wheels", root / "images/torch/requirements-cpu.lock"
    for wheel in folder.glob("*.whl"):  # of another version, or downloaded in part
        if _sha256(wheel) not in lock.read_text():
            wheel.unlink()
    if any(folder.glob("*.whl")):
        return
    report("asking this machine's pip for a CPU wheel of torch")
    machine = platform.machine().lower().replace("arm64", "aarch64").replace("amd64", "x86_64")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:",
        "--python-version=3.11", "--implementation=cp", "--abi=cp311",
        f"--platform=manylinux_2_28_{machine}", f"--dest={folder}",
        "--no-deps", "--require-hashes", f"--requirement={lock}",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, check=False).returncode == 0
    report("found a CPU wheel of torch" if found else "found none; PyTorch's own index has one")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
