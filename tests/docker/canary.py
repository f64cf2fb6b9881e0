"""Looks for a secret in all that a run leaves, in every form that a program might give it.

Each place that is searched counts its bytes, so that a search of nothing cannot pass for a clean
one.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import itertools
import json
import secrets
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.utils

from runner.engine.client import Engine
from runner.errors import EngineError
from runner.records.layout import LABEL_RUN

POLL_SECONDS = 0.5
VOLUMES_EVERY = 4  # looks; a look into all volumes takes longest
PROC = Path("/proc")
OF_A_PROCESS = ("cmdline", "environ")


def new_canary() -> str:
    """A key that is nowhere else; its halves are long enough to be told from chance."""
    return f"sk-canary-{secrets.token_hex(24)}"


def forms(secret: str) -> dict[str, bytes]:
    """What a secret may look like, by the name of the form.

    Of base64 there are three, because its letters depend on what stands before; the letters that
    also hold bits of a neighbour are left out.
    """
    raw = secret.encode()
    found = {
        "as it is": raw,
        "backwards": raw[::-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "percent": b"".join(b"%%%02x" % byte for byte in raw),
        "PERCENT": b"".join(b"%%%02X" % byte for byte in raw),
        "JSON": "".join(f"\\u{ord(char):04x}" for char in secret).encode(),
        "UTF-16": secret.encode("utf-16-le"),
        "first half": raw[: len(raw) // 2],
        "second half": raw[len(raw) // 2 :],
    }
    for before in range(3):
        letters = base64.b64encode(b"x" * before + raw)
        first, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found[f"base64, {before} before"] = letters[first:end]
    return found


class Sweep:
    """Searches bytes for the forms of secrets; any thread may call its methods.

    Args:
        engine: where containers are.
        keys: what must be nowhere.

    Attributes:
        found: a sentence for each place that holds one.
        searched: bytes by place.
    """

    def __init__(self, engine: Engine, *keys: str) -> None:
        self.found: list[str] = []
        self.searched: Counter[str] = Counter()
        self._engine = engine
        self._needles = [(name, form) for key in keys for name, form in forms(key).items()]
        self._longest = max(len(form) for _, form in self._needles)
        self._api: Any = docker.APIClient(**docker.utils.kwargs_from_env())

    def close(self) -> None:
        self._api.close()

    def look(self, place: str, name: str, data: bytes) -> None:
        """Search bytes that lie at a place under a name."""
        self.searched[place] += len(data)
        hits = [form for form, needle in self._needles if needle in data]
        if hits:
            self.found.append(f"{place}: {name}: {', '.join(hits)}")

    def stream(self, place: str, name: str, chunks: Iterable[bytes]) -> None:
        """Search bytes that come in pieces, across their edges."""
        end = b""
        for chunk in chunks:
            self.look(place, name, end + chunk)
            self.searched[place] -= len(end)
            end = chunk[-self._longest :]

    def files(self, place: str, folder: Path) -> None:
        """Search every file below a folder, its name, and what a compressed one holds."""
        for path in sorted(folder.rglob("*")):
            self.look(f"{place}, names", str(path), str(path.relative_to(folder)).encode())
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                self.look(place, str(path), content)
                if path.suffix == ".gz":
                    self.look(f"{place}, unpacked", str(path), _unpacked(content))

    def processes(self) -> None:
        """Search the arguments and the environment of every process of this machine."""
        for folder in PROC.iterdir():
            for name in OF_A_PROCESS if folder.name.isdigit() else ():
                with contextlib.suppress(OSError):
                    self.look(f"processes, {name}", str(folder), (folder / name).read_bytes())

    def containers(self, run_id: str, *, volumes: bool = True) -> None:
        """Search each container of a run: its description, its log, and its volumes."""
        for state in self._engine.containers(run_id):
            with contextlib.suppress(docker.errors.NotFound, EngineError):
                self._container(state.id, state.name, volumes=volumes)

    def images(self, *tags: str) -> None:
        """Search the history and all layers of images."""
        for tag in tags:
            self.look("images, history", tag, json.dumps(self._api.history(tag)).encode())
            self.look("images, inspect", tag, json.dumps(self._api.inspect_image(tag)).encode())
            self.stream("images, layers", tag, self._api.get_image(tag))

    def _container(self, container: str, name: str, *, volumes: bool) -> None:
        described: dict[str, Any] = self._api.inspect_container(container)
        self.look("docker inspect", name, json.dumps(described).encode())
        self.look("docker logs", name, b"".join(self._engine.logs(container)))
        with contextlib.suppress(docker.errors.APIError):  # it has just ended
            self.look("docker top", name, json.dumps(self._api.top(container)).encode())
        run_id = described["Config"]["Labels"][LABEL_RUN]
        for mount in described["Mounts"] if volumes else ():
            if mount["Name"].startswith(f"bakeoff-{run_id}-"):  # not the data, which no run writes
                path = mount["Destination"]
                where = f"volumes, {path}"
                self.stream(where, name, self._engine.get_archive(container, path))


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error):
        return b""


@contextlib.contextmanager
def watched(sweep: Sweep, run_id: str) -> Iterator[None]:
    """Search processes and containers again and again while a run is under way."""
    over = threading.Event()

    def watch() -> None:
        for look in itertools.count(1):
            sweep.processes()
            sweep.containers(run_id, volumes=look % VOLUMES_EVERY == 0)
            if over.wait(POLL_SECONDS):
                return

    watcher = threading.Thread(target=watch, name="watcher")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
