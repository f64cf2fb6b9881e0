"""What people and papers do with an analysis: opens its pages, and compiles its tables.

Both happen in the image of tests/docker/pages/, in the lock of every container: without a network,
and with nothing writable but one volume and /tmp.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import image

from runner.build.images import ensure, image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount

IMAGE = "pages-test"
WORK = "/analysis"
MEGABYTE = 1 << 20
SECONDS = 600.0
LARGEST = 64 * MEGABYTE


@dataclass(frozen=True)
class Visit:
    """A page to open.

    Attributes:
        name: of the visit.
        page: the file, from the analysis's folder on.
        width: of the window, in CSS pixels.
        height: of the window, in CSS pixels.
        mobile: whether it is a phone's, which widens its window to what does not fit.
        questions: JavaScript expressions whose values are wanted.
    """

    name: str
    page: str = "index.html"
    width: int = 1280
    height: int = 800
    mobile: bool = False
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Visited:
    """What a page did, and what it looks like.

    Attributes:
        answers: to the questions, in their order.
        errors: all that the browser's console shows.
        requests: the addresses that were asked for, the page's own among them.
        failed: why a request failed.
        dialogues: texts that a script showed in a window of its own.
        picture: the whole page as a PNG file.
    """

    answers: list[Any]
    errors: list[str]
    requests: list[str]
    failed: list[str]
    dialogues: list[str]
    picture: bytes

    @property
    def pixels(self) -> np.ndarray:
        """Rows, columns, and red, green and blue from 0 to 1."""
        return np.asarray(image.imread(io.BytesIO(self.picture)))[..., :3]


@dataclass(frozen=True)
class Typeset:
    """What LaTeX made.

    Attributes:
        log: what it said.
        text: what a person reads in the document.
        inputs: the files that it read.
        document: the PDF file.
    """

    log: str
    text: str
    inputs: tuple[str, ...]
    document: bytes


class Reader:
    """Runs the image's programs; each call has a container and a volume of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        ensure(engine, [IMAGE])

    def visit(self, analysis: Path, visits: Sequence[Visit]) -> dict[str, Visited]:
        """Open pages of an analysis; what came of each, by the visit's name."""
        files = {
            path.relative_to(analysis).as_posix(): path.read_bytes()
            for path in analysis.rglob("*")
            if path.is_file()
        }
        files["visits.json"] = json.dumps([asdict(one) for one in visits]).encode()
        wanted = ("visited.json", *(f"{one.name}.png" for one in visits))
        made = self._run(["python3", "/opt/bakeoff/visit.py"], files, wanted)
        told = json.loads(made["visited.json"])
        return {
            one.name: Visited(**told[one.name], picture=made[f"{one.name}.png"]) for one in visits
        }

    def typeset(self, tables: Mapping[str, str]) -> Typeset:
        """Compile one document with all tables, by pdfLaTeX and with no package.

        Args:
            tables: name → LaTeX.
        """
        files = {f"tables/{name}": text.encode("ascii") for name, text in tables.items()}
        inputs = "\n".join(f"\\noindent\\input{{tables/{name}}}\\par" for name in tables)
        body = f"\\documentclass{{article}}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
        files["all.tex"] = body.encode()
        script = (
            "pdflatex -interaction=nonstopmode -halt-on-error -recorder all.tex"
            " && pdftotext -raw all.pdf all.txt"
        )
        made = self._run(["sh", "-c", script], files, ("all.log", "all.txt", "all.fls", "all.pdf"))
        read = [line.partition(" ")[2] for line in made["all.fls"].decode().splitlines()
                if line.startswith("INPUT ")]  # fmt: skip
        return Typeset(
            made["all.log"].decode("utf-8", "replace"), made["all.txt"].decode(),
            tuple(dict.fromkeys(read)), made["all.pdf"],
        )  # fmt: skip

    def _run(
        self, command: list[str], files: Mapping[str, bytes], wanted: Sequence[str]
    ) -> dict[str, bytes]:
        """The files that a program made of files."""
        run_id = f"test-{uuid.uuid4().hex[:12]}"
        volume = f"bakeoff-{run_id}-work"
        spec = ContainerSpec(
            f"bakeoff-{run_id}-trial", image_tag(IMAGE), run_id, "trial", command=command,
            mounts=(Mount(volume, WORK),), tmpfs={"/tmp": 512 * MEGABYTE},
            memory_bytes=2048 * MEGABYTE, cpus=2.0, pids=512,
        )  # fmt: skip
        self._engine.create_volume(volume, run_id=run_id)
        try:
            container = self._engine.create(spec)
            self._engine.put_files(container, WORK, files)
            self._engine.start(container)
            state = self._engine.wait_exit(container, SECONDS)
            said = b"".join(self._engine.logs(container)).decode("utf-8", "replace")
            assert state is not None, f"not done after {SECONDS:g} s: {said[-4000:]}"
            assert state.exit_code == 0, said[-4000:]
            made = {}
            for name in wanted:
                content = self._engine.get_file(container, f"{WORK}/{name}", LARGEST)
                assert content is not None, f"there is no {name}: {said[-4000:]}"
                made[name] = content
            return made
        finally:
            with suppress(UnboundLocalError):
                self._engine.remove(container)
            self._engine.remove_volume(volume)
