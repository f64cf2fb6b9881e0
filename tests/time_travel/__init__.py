"""A package index of a later year: it offers a newer release of every package that a lock pins.

The releases are stubs: a wheel with a name, the version 9999.0 and nothing in it. An installer that
resolves anything takes them, because they are the newest; one that takes the lock never does.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import re
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LATER = "9999.0"
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?==")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes, so the same hash, whenever a wheel is made


def stub_wheel(name: str, version: str = LATER, needs: Iterable[str] = ()) -> tuple[str, bytes]:
    """File name and content of a wheel that holds nothing but its metadata.

    Args:
        name: of the package.
        version: of the release.
        needs: its `Requires-Dist` lines; an extra that one names is declared as well.
    """
    stem = f"{canonicalize_name(name).replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    for need in needs:
        lines += [f"Provides-Extra: {extra}" for extra in re.findall(r"extra == '(\w+)'", need)]
        lines.append(f"Requires-Dist: {need}")
    files = {
        "METADATA": "\n".join(lines) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{stem}.dist-info/{name},,\n" for name in (*files, "RECORD"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in {**files, "RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{path}", EPOCH), text)
    return f"{stem}-py3-none-any.whl", buffer.getvalue()


def pinned_names(root: Path) -> set[str]:
    """The names of all packages that a lock below a checkout pins."""
    return {
        canonicalize_name(pin.name)
        for lock in root.rglob("*.lock")
        if not any(part.startswith(".") for part in lock.relative_to(root).parts)
        for pin in pins(lock.read_text())
    }


def locked(locks: Iterable[str]) -> dict[str, str]:
    """Package → version of the texts of locks that are installed into one place on this machine."""
    found: dict[str, str] = {}
    for pin in (pin for text in locks for pin in pins(text)):
        if pin.marker is None or pin.marker.evaluate():
            (specifier,) = pin.specifier
            version = found.setdefault(canonicalize_name(pin.name), specifier.version)
            assert version == specifier.version, f"{pin.name} {version} and {specifier.version}"
    return found


def pins(lock: str) -> list[Requirement]:
    """The packages of a lock, in its order."""
    lines = [line.rstrip("\\ ") for line in lock.splitlines() if PINNED.match(line)]
    return [Requirement(line) for line in lines]


def index_of(names: Iterable[str]) -> dict[str, bytes]:
    """The files of an index (PEP 503, below `simple/`) with the later release of each package."""
    files: dict[str, bytes] = {}
    for name in names:
        wheel, content = stub_wheel(name)
        link = f'<a href="{wheel}#sha256={hashlib.sha256(content).hexdigest()}">{wheel}</a>'
        page = f"<!DOCTYPE html><html><body>{link}</body></html>"
        files[f"simple/{name}/{wheel}"] = content
        files[f"simple/{name}/index.html"] = page.encode()
    return files


def write(files: dict[str, bytes], folder: Path) -> None:
    """Write the files of an index below a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve an index that lies in a folder on loopback; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()
            thread.join()
