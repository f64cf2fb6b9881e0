"""Builds the images of `images/images.toml`, and only those whose inputs changed.

Invariant: an image's label `bakeoff.inputs` is a hash of everything that its build could see: its
files, its arguments and, through its parent's hash, everything below it. Equal label, equal image;
a build sees no file that the table does not name.
"""

from __future__ import annotations

import graphlib
import hashlib
import tarfile
import tempfile
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from runner import certificates, ingredients
from runner.build_display import BuildDisplay
from runner.engine import Engine
from runner.errors import HostError, ImageError, unknown_name
from runner.layout import ROOT

LABEL_INPUTS = "bakeoff.inputs"
LABEL_ORIGIN = "bakeoff.base"  # what `base`, and so every image, was built upon
LABEL_STAGE = "bakeoff.stage=build"  # what a Dockerfile calls a stage that may be thrown away
PARALLEL_BUILDS = 2  # unpacking and compiling fill about two cores
LOG_TAIL_LINES = 25

_NEVER_SENT = {"__pycache__", ".mypy_cache", ".ruff_cache"}


class ImageSpec(BaseModel):
    """One table of `images.toml`; the fields are explained at its top."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tag: str
    dockerfile: str
    inputs: tuple[str, ...]
    parent: str = ""
    unhashed: tuple[str, ...] = ()
    args: dict[str, str] = {}
    for_tests: bool = False


Table = Mapping[str, ImageSpec]


@dataclass(frozen=True)
class Workshop:
    """Where and what to build: the checkout, its table, and the arguments of this machine."""

    root: Path
    table: Table
    machine_args: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine, root: Path = ROOT) -> Workshop:
        """The workshop of a checkout, with the machine's certificates in place."""
        certificates.sync(root)
        return cls(root, load_table(root), ingredients.machine_args(engine))

    def args(self, name: str) -> dict[str, str]:
        """The build arguments of an image, its parent's tag among them."""
        spec = self.table[name]
        parent = {"BASE_IMAGE": self.table[spec.parent].tag} if spec.parent else {}
        return {**parent, **spec.args, **self.machine_args.get(name, {})}

    def fingerprint(self, name: str) -> str:
        """The hash that an up-to-date image carries as its label `bakeoff.inputs`."""
        spec = self.table[name]
        digest = hashlib.sha256()
        for part in (spec.dockerfile, *(f"{k}={v}" for k, v in sorted(self.args(name).items()))):
            digest.update(part.encode() + b"\0")
        for path in self.files(name, hashed_only=True):
            content = (self.root / path).read_bytes()
            digest.update(f"{path}\0{_is_executable(self.root / path)}\0{len(content)}\0".encode())
            digest.update(content)
        if spec.parent:
            digest.update(self.fingerprint(spec.parent).encode())
        return digest.hexdigest()

    def is_leaf(self, name: str) -> bool:
        """Whether no other image stands on this one."""
        return all(spec.parent != name for spec in self.table.values())

    def files(self, name: str, *, hashed_only: bool = False) -> list[str]:
        """The files that a build sees, relative to the root, sorted.

        Raises:
            HostError: the table names an input that is not there.
        """
        spec = self.table[name]
        found: set[str] = set()
        for given in (spec.dockerfile, *spec.inputs):
            found.update(_files_below(self.root, given))
        if hashed_only:
            aside = tuple(f"{folder}/" for folder in spec.unhashed)
            found = {path for path in found if not path.startswith(aside)} if aside else found
        return sorted(found)


def load_table(root: Path = ROOT) -> dict[str, ImageSpec]:
    """Read and check `images/images.toml`.

    Raises:
        HostError: the table does not parse, has a field too many, or names an unknown parent.
    """
    path = root / "images" / "images.toml"
    try:
        body = tomllib.loads(path.read_text())
        table = {name: ImageSpec.model_validate(fields) for name, fields in body.items()}
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise HostError(f"reading {path}: {error}") from error
    for name, spec in table.items():
        if spec.parent and spec.parent not in table:
            raise HostError(f"reading {path}: the parent of {name}, {spec.parent!r}, has no table")
    return table


def everyday(root: Path = ROOT) -> list[str]:
    """The names of all images but those that only tests use."""
    return [name for name, spec in load_table(root).items() if not spec.for_tests]


def needed_for(*, cli: str | None = None, rehearsal: bool = False) -> list[str]:
    """The images that one run needs, by name.

    Args:
        cli: the agent's CLI (claude, codex, gemini); None for a baseline.
        rehearsal: whether a scripted model stands in for the provider.
    """
    if cli is None:
        return ["optimizer", "trainer"]
    return [f"agent-{cli}", "gateway", "trainer", *(["rehearsal"] if rehearsal else [])]


def ensure(engine: Engine, names: Iterable[str], *, root: Path = ROOT) -> list[str]:
    """Build whatever of these images (and their parents) is absent or out of date.

    Returns:
        The names that were built, in the order in which they were finished.

    Raises:
        UserError: a name has no table.
        ImageError: a build failed; the message ends with the last lines of its log.
        HostError, EngineError: something that a build needs cannot be had on this machine.
    """
    workshop = Workshop.of(engine, root)
    wanted = list(names)
    for name in wanted:
        if name not in workshop.table:
            raise unknown_name("image", name, workshop.table)
    if not stale(engine, workshop, wanted):
        return []
    with FileLock(_scratch(root) / "images.lock"):  # another command may be building the same now
        return _build_all(engine, workshop, stale(engine, workshop, wanted))


def stale(engine: Engine, workshop: Workshop, names: Iterable[str]) -> set[str]:
    """Those of the images that must be built, with the parents that must be built for them."""
    found: set[str] = set()
    queue = deque(names)
    while queue:
        name = queue.popleft()
        labels = engine.image_labels(workshop.table[name].tag) or {}
        if name in found or labels.get(LABEL_INPUTS) == workshop.fingerprint(name):
            continue
        found.add(name)
        if parent := workshop.table[name].parent:
            queue.append(parent)
    return found


def _build_all(engine: Engine, workshop: Workshop, names: set[str]) -> list[str]:
    """Build the images, parents first, two at a time."""
    order = graphlib.TopologicalSorter(
        {name: {workshop.table[name].parent} & names for name in names}
    )
    order.prepare()
    built: list[str] = []
    with BuildDisplay() as display, ThreadPoolExecutor(PARALLEL_BUILDS) as pool:
        running: dict[Future[None], str] = {}
        while order.is_active():
            for name in sorted(order.get_ready(), key=workshop.is_leaf):  # parents first
                running[pool.submit(_build, engine, workshop, name, display)] = name
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                built.append(running.pop(future))
                order.done(built[-1])
    engine.prune_images(LABEL_STAGE)
    return built


def _build(engine: Engine, workshop: Workshop, name: str, display: BuildDisplay) -> None:
    """Build one image, its log in `.bakeoff/build-<name>.log`, its last line on the display."""
    spec = workshop.table[name]
    say = display.line(name)
    extra = ingredients.gather(engine, name, workshop.root, say)
    superseded = engine.image_digest(spec.tag)
    labels = {LABEL_INPUTS: workshop.fingerprint(name)}
    if "BASE" in extra:
        labels[LABEL_ORIGIN] = f"{extra['BASE']} {engine.image_origin(extra['BASE'])}"
    log_path = _scratch(workshop.root) / f"build-{name}.log"
    tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
    with context(workshop, name) as archive, log_path.open("w") as log:
        steps = engine.build_image(
            archive,
            dockerfile=spec.dockerfile,
            tag=spec.tag,
            buildargs={**workshop.args(name), **extra},
            labels=labels,
        )
        try:
            for step in steps:
                log.write(step + "\n")
                tail.append(step)
                say(step)
        except ImageError as error:
            raise ImageError(
                "\n".join([error.message, "the end of its log:", *tail]),
                hint=f"the whole log is in {log_path.relative_to(workshop.root)}",
            ) from error
    if superseded and superseded != engine.image_digest(spec.tag) and _nobody_runs(engine):
        engine.remove_image(superseded)
    display.finished(name)


def _nobody_runs(engine: Engine) -> bool:
    """Whether no run is under way or to be resumed: those go on with the images they began with."""
    return not engine.containers() and not any(volume.run_id for volume in engine.volumes())


def context(workshop: Workshop, name: str) -> IO[bytes]:
    """The tar archive that a build sees: the image's inputs, the same bytes for the same files."""
    scratch = _scratch(workshop.root)  # a wheel of torch is too large for many a /tmp
    archive = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in workshop.files(name):
            full = workshop.root / path
            member = tarfile.TarInfo(path)
            member.size = full.stat().st_size
            member.mode = 0o755 if _is_executable(full) else 0o644
            with full.open("rb") as content:
                tar.addfile(member, content)
    archive.seek(0)
    return archive


def _scratch(root: Path) -> Path:
    """The folder of a checkout for what only this machine needs; git ignores it."""
    folder = root / ".bakeoff"
    folder.mkdir(exist_ok=True)
    return folder


def _files_below(root: Path, given: str) -> Iterator[str]:
    """The regular files at or below a path of the table, relative to the root."""
    start = root / given
    if not start.exists():
        raise HostError(f"building images: {given} of images/images.toml is not there")
    for path in [start] if start.is_file() else start.rglob("*"):
        relative = path.relative_to(root).as_posix()
        if path.is_file() and not _NEVER_SENT & set(path.parts):
            yield relative


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o111)
