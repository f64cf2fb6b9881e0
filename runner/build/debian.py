"""The Debian image that `base` is built on: the official one, or one made from packages.

Where a container registry can be reached, it is the official slim image. Elsewhere this machine
makes one with debootstrap, as root, from the mirror in its own apt configuration.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.build.display import Report
from runner.engine.client import Engine
from runner.errors import EngineError, HostError

DEBIAN = "debian:bookworm-slim"
BOOTSTRAPPED = "bakeoff/bootstrap:bookworm"
LABEL = "bakeoff.base=debootstrap"  # marks the image as ours
OVERRIDE = "BAKEOFF_BASE"  # "bootstrap", or the image to build on

SHORT_PULL_SECONDS = 20.0  # where bootstrapping is an alternative
LONG_PULL_SECONDS = 600.0

# Files that the official slim image leaves out as well, and files of this machine alone.
_LEFT_OUT = (
    "./usr/share/doc/*",
    "./usr/share/man/*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./dev/*",
    "./etc/hostname",
    "./etc/resolv.conf",
)


def named_base() -> str:
    """The image that BAKEOFF_BASE names; "" when it is unset or asks for a bootstrapped image."""
    override = os.environ.get(OVERRIDE, "")
    return "" if override == "bootstrap" else override


def base_reference(engine: Engine, report: Report) -> str:
    """The image that `base` is built on; it is pulled or bootstrapped if the engine lacks it.

    Raises:
        EngineError: neither the engine nor a registry has the image that BAKEOFF_BASE names.
        HostError: no registry can be reached, and this machine cannot bootstrap.
    """
    if named := named_base():
        if not engine.image_digest(named):
            engine.pull(named)
        return named
    bootstrapped_only = OVERRIDE in os.environ
    for reference in [BOOTSTRAPPED] if bootstrapped_only else [DEBIAN, BOOTSTRAPPED]:
        if engine.image_digest(reference):
            return reference
    if not bootstrapped_only and _pulled(engine, DEBIAN, report):
        return DEBIAN
    bootstrap(engine, report)
    return BOOTSTRAPPED


def _pulled(engine: Engine, reference: str, report: Report) -> bool:
    """Whether the image could be pulled.

    A slow registry gets more time where this machine cannot bootstrap.
    """
    report(f"pulling {reference}")
    failures: list[EngineError] = []

    def pull() -> None:
        try:
            engine.pull(reference)
        except EngineError as error:
            failures.append(error)

    puller = threading.Thread(target=pull, daemon=True)
    puller.start()
    limit = SHORT_PULL_SECONDS if _why_no_bootstrap() is None else LONG_PULL_SECONDS
    puller.join(limit)
    return not puller.is_alive() and not failures


def bootstrap(engine: Engine, report: Report) -> None:
    """Make a Debian image from packages, as the engine's image `bakeoff/bootstrap:bookworm`.

    Raises:
        HostError: this machine lacks something for that, or `debootstrap` failed.
    """
    reason = _why_no_bootstrap()
    if reason is not None:
        raise HostError(
            f"getting {DEBIAN}: no registry has sent it, and making it on this machine needs "
            f"{reason}",
            hint=f"run `docker pull {DEBIAN}` where a registry can be reached, or name an image "
            f"that the engine has: {OVERRIDE}=IMAGE",
        )
    _install_debootstrap(report)
    with tempfile.TemporaryDirectory(prefix="bakeoff-bootstrap-", dir="/var/tmp") as folder:
        _debootstrap(Path(folder), report)
        report("importing the bootstrapped Debian")
        engine.import_image(_tar_of(Path(folder)), BOOTSTRAPPED, LABEL)


def _why_no_bootstrap() -> str | None:
    """What this machine lacks to bootstrap, to end a sentence with; None when it lacks nothing."""
    if platform.system() != "Linux":
        return "Debian (this is another operating system)"
    if os.geteuid() != 0:
        return "root"
    if _os_id() != "debian":
        return "a Debian mirror (this machine's apt configuration, if any, has none)"
    return None if apt_mirror() else "a mirror in the apt configuration"


def _os_id() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def apt_mirror() -> str:
    """The Debian mirror that this machine's apt uses; "" when it has none."""
    try:
        lines = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=30,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    return main_mirror(lines, platform.freedesktop_os_release().get("VERSION_CODENAME", ""))


def main_mirror(index_targets: Iterable[str], codename: str) -> str:
    """The mirror of a release's own packages, among lines of `URI release component`.

    Archives of security fixes and updates are no use to debootstrap. Other vendors' archives are
    recognised by the name of their release.
    """
    for line in index_targets:
        uri, _, release = line.partition(" ")
        is_web = uri.startswith(("http://", "https://"))
        if is_web and release in (f"{codename} main", "stable main"):
            return uri
    return ""


def _install_debootstrap(report: Report) -> None:
    if shutil.which("debootstrap", path=_admin_path()):
        return
    report("installing debootstrap")
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
    ):
        _run(command, "installing debootstrap")


def _debootstrap(folder: Path, report: Report) -> None:
    """Unpack a minimal Debian bookworm into a folder; takes half a minute."""
    command = ["debootstrap", "--variant=minbase", "bookworm", str(folder), apt_mirror()]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": _admin_path(), "LC_ALL": "C"},
    ) as process:
        last = ""
        for line in process.stdout or ():
            last = line.strip() or last
            report(last)
    if process.returncode != 0:
        raise HostError(f"making a Debian image with debootstrap: it failed: {last}")


def _tar_of(folder: Path) -> Iterator[bytes]:
    """The folder as a tar stream, without documentation and without files of this machine alone."""
    excluded = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    command = ["tar", "--numeric-owner", "-C", str(folder), *excluded, "-c", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is not None:
            while chunk := process.stdout.read(1 << 20):
                yield chunk
    if process.returncode != 0:
        raise HostError(f"packing the bootstrapped Debian: tar ended with {process.returncode}")


def _run(command: list[str], doing: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, errors="replace")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise HostError(f"{doing}: {said.strip().splitlines()[-1]}") from error


def _admin_path() -> str:
    """PATH with the administrator's folders, which a plain shell may lack."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
