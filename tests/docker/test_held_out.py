"""Held-out text can be read nowhere: in no image of a contestant or trial, and in no trial."""

from __future__ import annotations

import base64
import bisect
import gzip
import io
import json
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest

from runner import task_data
from runner.build import images
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import Mount
from runner.tasks import Task, load_task
from trainer import catalog

from . import needles
from .trainer_rig import DATA_IMAGE, run, spec
from .trial_rig import TrialRig

# Where a contestant's code or a trial's can be.
SEEN = [name for name in images.load_table() if name.startswith("agent-")]
SEEN += ["trainer", "optimizer"]
LOCAL_TASKS = [name for name in catalog.task_names() if not catalog.named_task(name).network]
CONTROLS = 40
TEXTS = 600
EVERY = 20  # of so many documents of a table, the eleventh validates and the last tests

# Prints the held-out documents of pystdlib and some of the library that are learned from.
PRINT_DOCUMENTS = """
import json
from account import Account
from catalog import named_task
from python_text import SourceFile, _library, read_python
for split, text in read_python(named_task("pystdlib").document_bytes, Account()):
    if split != "train":
        print(json.dumps([split, text]))
for file in sorted(_library(), key=lambda file: file.name)[:CONTROLS]:
    print(json.dumps(["library", file.path.read_text("utf-8", "replace")[:600]]))
""".replace("CONTROLS", str(CONTROLS))
# Prints what stands in the rows between two starts of a document.
PRINT_ROWS = """
import json, sys
import numpy as np
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file("/data/tokenizer.json")
for place in ("/heldout/val.bin", "/test/test.bin"):
    for row in np.fromfile(place, "<u2").reshape(-1, 257):
        for part in np.split(row, np.nonzero(row == 0)[0])[1:]:
            print(json.dumps([place, tokenizer.decode(part[1:].tolist())]))
"""


@dataclass(frozen=True)
class Needle:
    """Bytes that nobody may see, or bytes that must be seen for the search to be believed."""

    kind: str
    content: bytes

    @cached_property
    def place(self) -> int:
        """Where its window begins."""
        return needles.place_of_window(self.content)

    @property
    def window(self) -> bytes:
        """The bytes that are looked for first."""
        return self.content[self.place : self.place + needles.WINDOW]

    def is_at(self, around: bytes, place: int) -> bool:
        """Whether it is in these bytes, its window beginning at that place; the ends may lack."""
        start = place - self.place
        begin, end = max(0, start), min(len(around), start + len(self.content))
        return around[begin:end] == self.content[begin - start : end - start]


@pytest.fixture(scope="module", autouse=True)
def _built(engine: Engine) -> None:
    images.ensure(engine, [*SEEN, "data"])


@pytest.fixture(scope="module")
def documents(engine: Engine) -> list[Needle]:
    """The held-out documents of pystdlib as prepare.py makes them, and some text of the library."""
    command = ["python", "-c", PRINT_DOCUMENTS]
    ran = run(engine, spec(DATA_IMAGE, role="prepare", command=command), within_seconds=300)
    assert ran.state.exit_code == 0, ran.notes
    found = [Needle(kind, text.encode()) for kind, text in map(json.loads, ran.lines)]
    assert len(found) > 5000
    return found


@pytest.mark.timeout(1200)
def test_no_held_out_document_is_in_an_image(engine: Engine, documents: list[Needle]) -> None:
    """Every file of every image is read, also within archives; the library's text is found."""
    known = by_window(documents)
    search = needles.Search(needles.keys_of([needle.content for needle in documents]))
    found: list[tuple[str, str, str]] = []
    seen: set[tuple[str, int, float]] = set()
    for name in SEEN:
        files = files_of(engine, images.image_tag(name), seen)
        for path, content, place in search.in_files(files):
            for needle in known.get(content[place : place + needles.WINDOW], []):
                if needle.is_at(content, place):
                    found.append((needle.kind, name, path))
    assert [one for one in found if one[0] != "library"] == []
    assert len({path for kind, _, path in found if kind == "library"}) >= CONTROLS / 2
    assert len(seen) > 20_000


def by_window(wanted: list[Needle]) -> dict[bytes, list[Needle]]:
    """The needles that have a window."""
    found: dict[bytes, list[Needle]] = {}
    for needle in wanted:
        found.setdefault(needle.window, []).append(needle)
    return found


def files_of(
    engine: Engine, tag: str, seen: set[tuple[str, int, float]]
) -> Iterator[tuple[str, bytes]]:
    """The files of an image that were not seen in another one, and what is in their archives."""
    wanted = spec(tag, command=["none"])
    container = engine.create(wanted)
    client = docker.from_env(timeout=600)
    try:
        stream = io.BufferedReader(Exported(client.api.export(container)), 1 << 20)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                key = (member.name, member.size, float(member.mtime))
                file = archive.extractfile(member) if member.isreg() else None
                if file is None or key in seen:
                    continue
                seen.add(key)
                content = file.read()
                yield member.name, content
                yield from unpacked(member.name, content)
    finally:
        client.close()
        engine.remove(container)


class Exported(io.RawIOBase):
    """An image's files as the engine sends them, to be read like a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks, self._left = chunks, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer with what is left of a chunk, or with the next one."""
        self._left = self._left or next(self._chunks, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def unpacked(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files within a zip archive (a wheel is one), or the text of a gzip file."""
    if content.startswith(b"PK\3\4") and zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for inner in archive.namelist():
                yield f"{name}!{inner}", archive.read(inner)
    elif content.startswith(b"\x1f\x8b"):
        yield f"{name}!", gzip.decompress(content)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Documents of a user's own that are nowhere else."""
    drawn = np.random.default_rng(5).integers(0, 10**6, (TEXTS, 50)).tolist()
    return [f"{uuid.uuid4()} " + " ".join(f"w{n:x}" for n in row) for row in drawn]


@pytest.fixture(scope="module", params=LOCAL_TASKS)
def prepared(
    request: pytest.FixtureRequest, engine: Engine, texts: list[str], tmp_path_factory: Any
) -> Iterator[tuple[Task, str]]:
    """A task that can be prepared without a network, and its data's volume."""
    task = load_task(request.param)
    files: list[Path] = []
    if task.needs_input:
        path = tmp_path_factory.mktemp("texts") / "own.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        files = [path]
    volume = task_data.ensure(engine, DATA_IMAGE, task, files, print)
    yield task, volume
    if task.needs_input:
        for name in task_data.places_of(volume):
            engine.remove_volume(name)


def test_every_held_out_row_is_made_of_the_documents(
    engine: Engine, prepared: tuple[Task, str], texts: list[str], documents: list[Needle]
) -> None:
    """Decoded, each part of a row is of one held-out document of that very split."""
    task, volume = prepared
    mounts = tuple(
        Mount(name, to, read_only=True) for name, to in task_data.places_of(volume).items()
    )
    command = ["python", "-c", PRINT_ROWS]
    ran = run(engine, spec(DATA_IMAGE, role="prepare", command=command, mounts=mounts))
    assert ran.state.exit_code == 0, ran.notes
    for split, place in (("val", "/heldout/val.bin"), ("test", "/test/test.bin")):
        known = sorted(held_out(task, split, texts, documents))
        whole = "\0".join(known)  # of short documents, the rest stands in a later row
        parts = [part for where, part in map(json.loads, ran.lines) if where == place]
        assert len(parts) > len(known) / 2
        for part in (part.removesuffix("�") for part in parts):
            after = bisect.bisect_left(known, part)
            begins = after < len(known) and known[after].startswith(part)
            assert begins or (task.needs_input and part in whole), part


def held_out(task: Task, split: str, texts: list[str], documents: list[Needle]) -> list[str]:
    """The documents of a held-out split."""
    if task.needs_input:
        place = EVERY // 2 if split == "val" else EVERY - 1
        return texts[place::EVERY]
    return [needle.content.decode() for needle in documents if needle.kind == split]


@pytest.mark.timeout(1200)
def test_no_held_out_byte_can_be_read_in_a_trial(
    engine: Engine,
    prepared: tuple[Task, str],
    texts: list[str],
    documents: list[Needle],
    tmp_path: Path,
) -> None:
    """Neither packed rows nor their text: in no file, mount or memory. Training rows are found."""
    task, volume = prepared
    rows = {
        name: [row.tobytes() for row in rows_in(engine, volume, place)]
        for name, place in (
            ("train", "/data/train.bin"), ("val", "/heldout/val.bin"), ("test", "/test/test.bin")
        )
    }  # fmt: skip
    wanted = [Needle("train", row) for row in rows["train"][:CONTROLS]]
    for split in ("val", "test"):
        wanted += [Needle(split, row) for row in rows[split]]
        wanted += [Needle(split, t.encode()) for t in held_out(task, split, texts, documents)]
    found, searched = searched_in_a_trial(engine, volume, wanted, tmp_path)
    assert {where for kind, where in found if kind != "train"} == set()
    assert ("train", "/data/train.bin") in found
    assert searched["shown"] < 3000, "more was found than could be shown"
    assert searched["counts"]["files"] > 10_000
    assert searched["counts"]["memory"] > 100
    assert searched["sizes"]["files"] > 1e8


def rows_in(engine: Engine, volume: str, path: str) -> Any:
    """The packed rows in a file of the prepared volumes, [N, 257]."""
    mounts = tuple(
        Mount(name, to, read_only=True) for name, to in task_data.places_of(volume).items()
    )
    content = one_off.read_file(
        engine, spec(DATA_IMAGE, command=["none"], mounts=mounts), path, 64 << 20
    )
    assert content is not None
    return np.frombuffer(content, "<u2").reshape(-1, 257)


def searched_in_a_trial(
    engine: Engine, volume: str, wanted: list[Needle], folder: Path
) -> tuple[set[tuple[str, str]], dict[str, Any]]:
    """What a trial finds, as (kind, where), and how much it searched."""
    here = Path(__file__).parent
    keys = base64.b85encode(needles.keys_of([needle.content for needle in wanted]).tobytes())
    text = (here / "needles.py").read_text() + (here / "trial_search.py").read_text().replace(
        "from __future__ import annotations\n", ""
    ).replace('KEYS = ""', f'KEYS = "{keys.decode()}"')
    rig = TrialRig(engine, folder)
    try:
        executor = rig.executor(limit_seconds=600, memory_bytes=3 << 30, data_volume=volume)
        record = rig.run(text, executor)
        log = rig.log(record.trial).decode().splitlines()
    finally:
        rig.remove()
    searched = [json.loads(line.removeprefix("searched: ")) for line in log if "searched: " in line]
    assert searched, log[-20:]
    found, known = set(), by_window(wanted)
    for line in (line for line in log if line.startswith("found: ")):
        where, place, around = json.loads(line.removeprefix("found: "))
        content = bytes.fromhex(around)
        for needle in known.get(content[place : place + needles.WINDOW], []):
            if needle.is_at(content, place):
                found.add((needle.kind, where))
    return found, searched[0]
