"""What this machine adds to image builds: a Debian to stand on, its CA certificates, a torch wheel.

None of it is in git: addresses of mirrors, certificates and wheels are this machine's own. Where a
container registry can be reached the Debian is the official image; where none can, it is made from
Debian packages with the mirror in the machine's own apt configuration.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import certifi

from runner.engine import Engine
from runner.errors import EngineError, HostError

DEBIAN = "debian:bookworm-slim"
BOOTSTRAPPED = "bakeoff/bootstrap:bookworm"
OVERRIDE = "BAKEOFF_BASE"  # "bootstrap", or the image to stand on

PULL_PATIENCE_SECONDS = 20.0
PULL_LIMIT_SECONDS = 600.0

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_DEBIAN_CERTIFICATES = Path("/usr/share/ca-certificates")
_LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")

# What the official slim image leaves out too, and what belongs to the machine that bootstrapped.
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

Say = Callable[[str], None]


def machine_args(engine: Engine) -> dict[str, dict[str, str]]:
    """Build arguments that this machine decides, by image; a change in them is a rebuild."""
    args: dict[str, dict[str, str]] = {}
    if engine.info().gpus:
        args["torch"] = {"TORCH_VARIANT": "cuda"}
    override = os.environ.get(OVERRIDE, "")
    if override and override != "bootstrap":
        args["base"] = {"BASE": override}
    return args


def gather(engine: Engine, name: str, root: Path, say: Say) -> dict[str, str]:
    """Bring what the build of this image needs, just before it; returns further build arguments.

    Raises:
        HostError, EngineError: it cannot be had on this machine.
    """
    if name == "base":
        return {"BASE": base_reference(engine, say)}
    if name == "torch" and "torch" not in machine_args(engine):
        fetch_torch_wheel(root, say)
    return {}


# --- the Debian to stand on -----------------------------------------------------------------------


def base_reference(engine: Engine, say: Say) -> str:
    """The image that `base` is built from, pulled or bootstrapped if it is not there yet.

    Raises:
        EngineError: the image that BAKEOFF_BASE names is neither here nor in a registry.
        HostError: no registry can be reached and this machine cannot bootstrap.
    """
    override = os.environ.get(OVERRIDE, "")
    if override and override != "bootstrap":
        if not engine.image_digest(override):
            engine.pull(override)
        return override
    candidates = [BOOTSTRAPPED] if override else [DEBIAN, BOOTSTRAPPED]
    for reference in candidates:
        if engine.image_digest(reference):
            return reference
    if not override and _pulled(engine, DEBIAN, say):
        return DEBIAN
    bootstrap(engine, say)
    return BOOTSTRAPPED


def _pulled(engine: Engine, reference: str, say: Say) -> bool:
    """Whether the image could be pulled; a slow registry is waited for where nothing else helps."""
    say(f"pulling {reference}")
    failures: list[EngineError] = []

    def pull() -> None:
        try:
            engine.pull(reference)
        except EngineError as error:
            failures.append(error)

    puller = threading.Thread(target=pull, daemon=True)
    puller.start()
    patience = PULL_PATIENCE_SECONDS if _why_no_bootstrap() is None else PULL_LIMIT_SECONDS
    puller.join(patience)
    return not puller.is_alive() and not failures


def bootstrap(engine: Engine, say: Say) -> None:
    """Make a Debian image from packages, as the engine's image `bakeoff/bootstrap:bookworm`.

    Raises:
        HostError: this machine cannot, or `debootstrap` failed.
    """
    reason = _why_no_bootstrap()
    if reason is not None:
        raise HostError(
            f"getting {DEBIAN}: no registry gave it, and making it here needs {reason}",
            hint=f"`docker pull {DEBIAN}` where there is a registry, or name an image that the "
            f"engine has: {OVERRIDE}=IMAGE",
        )
    _install_debootstrap(say)
    with tempfile.TemporaryDirectory(prefix="bakeoff-bootstrap-", dir="/var/tmp") as folder:
        _debootstrap(Path(folder), say)
        say("importing the bootstrapped Debian")
        engine.import_image(_tar_of(Path(folder)), BOOTSTRAPPED)


def _why_no_bootstrap() -> str | None:
    """What this machine lacks to bootstrap, as the end of a sentence; None: it lacks nothing."""
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
    """The Debian mirror that this machine's apt uses, asked of apt itself; "" when it has none."""
    try:
        lines = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    return main_mirror(lines, platform.freedesktop_os_release().get("VERSION_CODENAME", ""))


def main_mirror(index_targets: Iterable[str], codename: str) -> str:
    """The mirror of a release's own packages, among lines of `URI release component`.

    Security and update archives are of no use to debootstrap; other vendors' are left out by
    their release's name.
    """
    for line in index_targets:
        uri, _, release = line.partition(" ")
        is_web = uri.startswith(("http://", "https://"))
        if is_web and release in (f"{codename} main", "stable main"):
            return uri
    return ""


def _install_debootstrap(say: Say) -> None:
    if shutil.which("debootstrap", path=_admin_path()):
        return
    say("installing debootstrap")
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
    ):
        _run(command, "installing debootstrap")


def _debootstrap(folder: Path, say: Say) -> None:
    """Unpack a minimal Debian bookworm into a folder; takes half a minute."""
    command = ["debootstrap", "--variant=minbase", "bookworm", str(folder), apt_mirror()]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": _admin_path(), "LC_ALL": "C"},
    ) as process:
        last = ""
        for line in process.stdout or ():
            last = line.strip() or last
            say(last)
    if process.returncode != 0:
        raise HostError(f"making a Debian with debootstrap: {last}")


def _tar_of(folder: Path) -> Iterator[bytes]:
    """The folder as a tar stream, without documentation and what is this machine's own."""
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
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise HostError(f"{doing}: {said.strip().splitlines()[-1]}") from error


def _admin_path() -> str:
    """PATH with the administrator's folders, which a plain shell may lack."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"


# --- certificates ---------------------------------------------------------------------------------


def sync_certificates(root: Path) -> None:
    """Make `images/base/certs` hold exactly the certificates of `extra_certificates`."""
    folder = root / "images" / "base" / "certs"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {_certificate_name(der): _pem(der) for der in extra_certificates()}
    present = {path.name for path in folder.glob("*.crt")}
    for name in present - set(wanted):
        (folder / name).unlink()
    for name in set(wanted) - present:
        (folder / name).write_text(wanted[name])


def extra_certificates(environment: Mapping[str, str] = os.environ) -> set[bytes]:
    """The CA certificates (DER) that this machine trusts and Debian's own bundle lacks."""
    named = [environment[name] for name in _BUNDLE_VARIABLES if environment.get(name)]
    trusted = _certificates_in([*_LOCAL_CERTIFICATES.rglob("*.crt"), *map(Path, named)])
    if not trusted:
        return set()
    public = _certificates_in([Path(certifi.where()), *_DEBIAN_CERTIFICATES.rglob("*.crt")])
    return trusted - public


def _certificates_in(paths: Iterable[Path]) -> set[bytes]:
    """The certificates (DER) in PEM files; files that are not there hold none."""
    found: set[bytes] = set()
    for path in paths:
        if path.is_file():
            found |= certificates_of(path.read_text(errors="replace"))
    return found


def certificates_of(text: str) -> set[bytes]:
    """The certificates (DER) of a PEM text; blocks that are no base64 are left out."""
    found: set[bytes] = set()
    for body in _CERTIFICATE.findall(text):
        with contextlib.suppress(ValueError):
            found.add(base64.b64decode(body))
    return found


def _pem(der: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(der)


def _certificate_name(der: bytes) -> str:
    return f"machine-{hashlib.sha256(der).hexdigest()[:16]}.crt"


# --- torch ----------------------------------------------------------------------------------------


def fetch_torch_wheel(root: Path, say: Say) -> None:
    """Put a CPU wheel of torch into the build, if this machine's own pip knows where one is.

    The Linux wheels of the ordinary index bring gigabytes of CUDA. A version with the local part
    `+cpu` is never on it, so that asking for one costs a second where there is none; the build
    then takes PyTorch's own index of CPU wheels.
    """
    folder = root / "images" / "torch" / "wheels"
    version = (root / "images" / "torch" / "torch-version").read_text().strip()
    if any(folder.glob(f"torch-{version}+cpu-*.whl")):
        return
    say("asking this machine's pip for a CPU wheel of torch")
    machine = platform.machine().lower().replace("arm64", "aarch64").replace("amd64", "x86_64")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--python-version=3.11", "--implementation=cp", "--abi=cp311",
        f"--platform=manylinux_2_28_{machine}", f"--dest={folder}", f"torch=={version}+cpu",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, check=False).returncode == 0
    say("found a CPU wheel of torch" if found else "none; PyTorch's own index has one")
