"""CA certificates that this machine trusts beyond the public ones; the images trust them too.

A company's proxy signs with a CA of its own. A build that does not trust it could fetch no package.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

import certifi

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_DEBIAN_CERTIFICATES = Path("/usr/share/ca-certificates")
_LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def sync(root: Path) -> None:
    """Make `images/base/certs` hold exactly the certificates of `extra`."""
    folder = root / "images" / "base" / "certs"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {_name(der): ssl.DER_cert_to_PEM_cert(der) for der in extra()}
    present = {path.name for path in folder.glob("*.crt")}
    for name in present - set(wanted):
        (folder / name).unlink()
    for name in set(wanted) - present:
        (folder / name).write_text(wanted[name])


def extra(environment: Mapping[str, str] = os.environ) -> set[bytes]:
    """The CA certificates (DER) that this machine trusts and Debian's own bundle lacks."""
    named = [environment[name] for name in _BUNDLE_VARIABLES if environment.get(name)]
    trusted = _certificates_in([*_LOCAL_CERTIFICATES.rglob("*.crt"), *map(Path, named)])
    if not trusted:
        return set()
    public = _certificates_in([Path(certifi.where()), *_DEBIAN_CERTIFICATES.rglob("*.crt")])
    return trusted - public


def _certificates_in(paths: Iterable[Path]) -> set[bytes]:
    """The certificates (DER) in PEM files; a missing file has none."""
    found: set[bytes] = set()
    for path in paths:
        if path.is_file():
            found |= certificates_of(path.read_text(errors="replace"))
    return found


def certificates_of(text: str) -> set[bytes]:
    """The certificates (DER) in a PEM text; blocks that are not base64 are left out."""
    found: set[bytes] = set()
    for body in _CERTIFICATE.findall(text):
        with contextlib.suppress(ValueError):
            found.add(base64.b64decode(body))
    return found


def _name(der: bytes) -> str:
    return f"machine-{hashlib.sha256(der).hexdigest()[:16]}.crt"
