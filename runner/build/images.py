"""Builds the images of `images/images.toml`, and only those whose inputs changed.

Invariant: an image's label `bakeoff.inputs` is a hash of everything that its build could see: its
files, its arguments and, through its parent's hash, everything below it. Two images with equal
labels are equal. A build sees no file that the table does not name.
"""

from __future__ import annotations

import graphlib
import hashlib
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from filelock import FileLock
from pydantic import Field, ValidationError

from runner.build import agent_images, certificates, machine
from runner.build.display import BuildDisplay
from runner.engine.client import Engine
from runner.errors import HostError, ImageError, unknown_name
from runner.records.layout import ROOT
from runner.spec import Frozen, read_table

LABEL_INPUTS = "bakeoff.inputs"
LABEL_ORIGIN = "bakeoff.base"  # the image that `base`, and so every image, was built on
LABEL_STAGE = "bakeoff.stage=build"  # marks a stage that may be removed after the build
PARALLEL_BUILDS = 2  # unpacking and compiling keep about two cores busy
LOG_TAIL_LINES = 25

_NEVER_SENT = {"__pycache__", ".mypy_cache", ".ruff_cache"}


class ImageSpec(Frozen):
    """One table of `images.toml`; the fields are explained at its top."""

    tag: str
    dockerfile: str
    inputs: tuple[str, ...]
    parent: str = ""
    unhashed: tuple[str, ...] = ()
    args: dict[str, str] = Field(default_factory=dict)
    for_tests: bool = False


Table = Mapping[str, ImageSpec]


@dataclass(frozen=True)
class BuildContext:
    """What builds need to know: the checkout, its table of images, and this machine's arguments."""

    root: Path
    table: Table
    machine_args: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine, root: Path = ROOT) -> BuildContext:
        """The build context of a checkout; it puts the machine's certificates into place."""
        certificates.sync(root)
        return cls(root, load_table(root), machine.machine_args(engine))

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
        """Whether no other image is built on this one."""
        return all(spec.parent != name for spec in self.table.values())

    def files(self, name: str, *, hashed_only: bool = False) -> list[str]:
        """The files that a build sees, relative to the root, sorted.

        Args:
            name: the image.
            hashed_only: leave out what the table keeps out of the hash (`unhashed`).

        Raises:
            HostError: the table names an input that does not exist.
        """
        spec = self.table[name]
        found: set[str] = set()
        for given in (spec.dockerfile, *spec.inputs):
            found.update(_files_below(self.root, given))
        if hashed_only:
            unhashed = tuple(f"{folder}/" for folder in spec.unhashed)
            found = {path for path in found if not path.startswith(unhashed)}
        return sorted(found)


def load_table(root: Path = ROOT) -> dict[str, ImageSpec]:
    """Read and check `images/images.toml`.

    Raises:
        HostError: the table cannot be parsed, has an unknown field, or names an unknown parent.
    """
    path = root / "images" / "images.toml"
    try:
        body = agent_images.expanded(read_table(path), root)
        table = {name: ImageSpec.model_validate(fields) for name, fields in body.items()}
    except ValidationError as error:
        raise HostError(f"reading {path}: {error}") from error
    for name, spec in table.items():
        if spec.parent and spec.parent not in table:
            raise HostError(f"reading {path}: {spec.parent!r}, the parent of {name}, has no table")
    return table


def image_tag(name: str, root: Path = ROOT) -> str:
    """The tag of an image of the table."""
    return load_table(root)[name].tag


def everyday(root: Path = ROOT) -> list[str]:
    """The names of all images except those that only tests use."""
    return [name for name, spec in load_table(root).items() if not spec.for_tests]


def ensure(engine: Engine, names: Iterable[str], *, root: Path = ROOT) -> list[str]:
    """Build those of these images, and of their parents, that are missing or out of date.

    Returns:
        The names of the images that were built, in the order in which they were finished.

    Raises:
        UserError: the table has no image of that name.
        ImageError: a build failed; the message ends with the last lines of its log.
        HostError, EngineError: this machine cannot get something that a build needs.
    """
    context = BuildContext.of(engine, root)
    wanted = list(names)
    for name in wanted:
        if name not in context.table:
            raise unknown_name("image", name, context.table)
    if not stale(engine, context, wanted):
        return []
    with FileLock(_scratch(root) / "images.lock"):  # another command may be building now
        return _build_all(engine, context, stale(engine, context, wanted))


def stale(engine: Engine, context: BuildContext, names: Iterable[str]) -> set[str]:
    """The images that must be built, and the parents that must be built before them."""
    found: set[str] = set()
    queue = deque(names)
    while queue:
        name = queue.popleft()
        labels = engine.image_labels(context.table[name].tag) or {}
        if name in found or labels.get(LABEL_INPUTS) == context.fingerprint(name):
            continue
        found.add(name)
        if parent := context.table[name].parent:
            queue.append(parent)
    return found


def _build_all(engine: Engine, context: BuildContext, names: set[str]) -> list[str]:
    """Build the images, parents first, two at a time."""
    order = graphlib.TopologicalSorter(
        {name: {context.table[name].parent} & names for name in names}
    )
    order.prepare()
    built: list[str] = []
    with BuildDisplay() as display, ThreadPoolExecutor(PARALLEL_BUILDS) as pool:
        running: dict[Future[None], str] = {}
        while order.is_active():
            for name in sorted(order.get_ready(), key=context.is_leaf):  # parents first
                running[pool.submit(_build, engine, context, name, display)] = name
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                built.append(running.pop(future))
                order.done(built[-1])
    engine.prune_images(LABEL_STAGE)
    return built


def _build(engine: Engine, context: BuildContext, name: str, display: BuildDisplay) -> None:
    """Build one image. The log goes to `.bakeoff/build-<name>.log` and the display."""
    spec = context.table[name]
    report = display.line(name)
    extra = machine.gather(engine, name, context.root, report)
    superseded = engine.image_digest(spec.tag)
    labels = {LABEL_INPUTS: context.fingerprint(name)}
    if "BASE" in extra:
        labels[LABEL_ORIGIN] = f"{extra['BASE']} {engine.image_origin(extra['BASE'])}"
    log_path = _scratch(context.root) / f"build-{name}.log"
    tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
    with (
        build_archive(context, name) as archive,
        log_path.open("w", encoding="utf-8", errors="replace") as log,
    ):
        steps = engine.build_image(
            archive,
            dockerfile=spec.dockerfile,
            tag=spec.tag,
            buildargs={**context.args(name), **extra},
            labels=labels,
        )
        try:
            for step in steps:
                log.write(step + "\n")
                tail.append(step)
                report(step)
        except ImageError as error:
            raise ImageError(
                "\n".join([error.message, "the end of its log:", *tail]),
                hint=f"{log_path.relative_to(context.root)} has the whole log",
            ) from error
    if superseded and superseded != engine.image_digest(spec.tag) and _no_run_is_open(engine):
        engine.remove_image(superseded)
    display.finished(name)


def _no_run_is_open(engine: Engine) -> bool:
    """Whether no run is under way or can be resumed. Such a run keeps the images it began with."""
    return not engine.containers() and not any(volume.run_id for volume in engine.volumes())


def build_archive(context: BuildContext, name: str) -> IO[bytes]:
    """The tar archive that a build sees; equal inputs give equal bytes. The caller closes it."""
    scratch = _scratch(context.root)  # a wheel of torch may be too large for /tmp
    archive = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - returned open
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in context.files(name):
            full = context.root / path
            member = tarfile.TarInfo(path)
            member.size = full.stat().st_size
            member.mode = 0o755 if _is_executable(full) else 0o644
            with full.open("rb") as content:
                tar.addfile(member, content)
    archive.seek(0)
    return archive


def _scratch(root: Path) -> Path:
    """The folder of a checkout for files of this machine alone; git ignores it."""
    folder = root / ".bakeoff"
    folder.mkdir(exist_ok=True)
    return folder


def _files_below(root: Path, given: str) -> Iterator[str]:
    """The regular files at or below a path of the table, or a pattern, relative to the root."""
    starts = sorted(root.glob(given))
    if not starts:
        raise HostError(f"building images: {given}, which images/images.toml names, does not exist")
    for start in starts:
        for path in [start] if start.is_file() else start.rglob("*"):
            relative = path.relative_to(root).as_posix()
            if path.is_file() and not _NEVER_SENT & set(path.parts):
                yield relative


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o111)
