"""A task's data: prepared once by the trainer image into a volume, mounted read-only ever after.

The volume's name holds a digest of everything that shapes the data, so a change in the task, in
prepare.py or in the user's own text makes another volume and never mixes two. `prepare.py` itself
writes aside and renames; a volume counts only when its container ended well.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from filelock import FileLock

from runner.containers import ContainerSpec, Mount
from runner.engine import Engine
from runner.errors import SandboxError, UserError
from runner.layout import ROOT
from runner.spec import TASKS_FOLDER, Task, limits

STOP_SECONDS = 15.0
PREPARE_SECONDS = 4 * 3600.0  # a download of some gigabytes on a slow line
MAX_INPUT_BYTES = 64 << 30
READ_BYTES = 1 << 20
UNSHAPING = ("train.py", "constants.py", "fused.py", "device.py")  # of trainer/: used after it


def input_files(data: str | None, task: Task) -> list[Path]:
    """The user's files for a task that takes some, in a fixed order.

    Raises:
        UserError: the task takes none, needs one, or the path holds nothing readable.
    """
    if not task.needs_input:
        if data is not None:
            raise UserError(
                f"choosing the data: task {task.name} brings its own, DATA={data} has no use",
                hint="leave DATA out, or set TASK=text",
            )
        return []
    if data is None:
        raise UserError(
            f"choosing the data: task {task.name} needs a text of yours",
            hint="set DATA to a text or parquet file, or a folder of them",
        )
    return _readable_files(Path(data).expanduser())


def _readable_files(path: Path) -> list[Path]:
    doing = f"reading DATA={path}"
    try:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            with file.open("rb"):
                pass
        size = sum(file.stat().st_size for file in files)
    except OSError as error:
        raise UserError(f"{doing}: {error}", hint="is the path right and readable?") from error
    if not path.exists() or not files:
        what = "there are no files in it" if path.exists() else "there is no such file or folder"
        raise UserError(f"{doing}: {what}", hint="name a text or parquet file, or a folder of them")
    if not 0 < size <= MAX_INPUT_BYTES:
        raise UserError(f"{doing}: it holds {size} bytes", hint="between 1 byte and 64 GiB will do")
    return files


def volume_of(task: Task, files: list[Path]) -> str:
    """The name of the volume that holds this task's data, whether or not it is there yet."""
    digest = hashlib.sha256()
    for path in [TASKS_FOLDER / f"{task.name}.toml", *sorted((ROOT / "trainer").glob("*.py"))]:
        if path.name not in UNSHAPING:
            digest.update(path.name.encode() + path.read_bytes())
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"bakeoff-data-{task.name}-{digest.hexdigest()[:12]}"


def ensure(
    engine: Engine, image: str, task: Task, files: list[Path], say: Callable[[str], None]
) -> str:
    """Prepare the task's data unless it is there, and return its volume's name.

    Args:
        engine: where.
        image: the trainer image.
        task: whose data.
        files: the user's own files, from `input_files`.
        say: is given each line that preparing prints.

    Raises:
        UserError: the data cannot be used; the message is prepare.py's own.
    """
    volume = volume_of(task, files)
    with FileLock(Path(tempfile.gettempdir()) / f"{volume}.lock", mode=0o666):
        there = any(v.name == volume for v in engine.volumes())
        if there and _is_whole(engine, image, volume):
            return volume
        say(f"preparing the data of task {task.name} (once)")
        engine.create_volume(volume, data=task.name)
        try:
            _prepare(engine, image, task, files, volume, say)
        except BaseException:
            if not task.network:  # what was downloaded is gone on with by the next try
                engine.remove_volume(volume)
            raise
    return volume


def _is_whole(engine: Engine, image: str, volume: str) -> bool:
    """Whether preparing came to its end: it writes task.json last. Looked at, not run."""
    name = f"{volume}-look"
    mounts = (Mount(volume, "/data", read_only=True),)
    engine.remove(name)
    container = engine.create(
        ContainerSpec(name=name, image=image, run_id=volume, role="prepare", mounts=mounts)
    )
    try:
        return engine.get_file(container, "/data/task.json", READ_BYTES) is not None
    finally:
        engine.remove(container)


def _prepare(
    engine: Engine, image: str, task: Task, files: list[Path], volume: str,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    limit, machine = limits()["prepare"], engine.info()
    inbox = f"{volume}-input"
    mounts = [Mount(volume, "/data")]
    if files:
        engine.create_volume(inbox, run_id=volume)
        mounts.append(Mount(inbox, "/input"))
    command = ["python", "/opt/trainer/prepare.py", "--task", task.name, "--data", "/data"]
    spec = ContainerSpec(
        name=f"{volume}-prepare",
        image=image,
        run_id=volume,
        role="prepare",
        command=[*command, "--input", "/input"] if files else command,
        mounts=tuple(mounts),
        tmpfs={"/tmp": limit.tmp_mb << 20},
        network="bridge" if task.network else "none",
        memory_bytes=limit.memory_bytes(machine.memory_bytes),
        cpus=machine.cpus * limit.cpu_share,
        pids=limit.pids,
    )
    engine.remove(spec.name)
    try:
        _run_to_end(engine, spec, files, task, say)
    finally:
        engine.remove(spec.name)
        if files:
            engine.remove_volume(inbox)


def _run_to_end(
    engine: Engine, spec: ContainerSpec, files: list[Path], task: Task, say: Callable[[str], None]
) -> None:
    container = engine.create(spec)
    if files:
        with _archive(files) as archive:
            engine.put_archive(container, "/input", iter(lambda: archive.read(READ_BYTES), b""))
    channel = engine.attach(container)
    last: list[str] = []
    overrun = threading.Timer(PREPARE_SECONDS, engine.kill, (container,))
    try:
        engine.start(container)
        overrun.start()
        for _, line in channel.lines():
            say(line)
            last = [*last[-5:], line]
    finally:
        overrun.cancel()
        channel.close()
    state = engine.wait_exit(container, STOP_SECONDS)
    if state is None or state.exit_code != 0:
        _raise_failed(task, last, state.exit_code if state else None)


def _raise_failed(task: Task, last: list[str], exit_code: int | None) -> None:
    """Exit code 2 means that the input is at fault; prepare.py says so in its last lines."""
    said = [line.removeprefix("error: ") for line in last if not line.startswith("hint: ")]
    hint = next((ln.removeprefix("hint: ") for ln in last if ln.startswith("hint: ")), "")
    message = f"preparing the data of task {task.name}: {said[-1] if said else 'no word why'}"
    if exit_code == 2:
        raise UserError(message, hint=hint)
    raise SandboxError(f"{message} (exit code {exit_code})", hint=hint)


def _archive(files: list[Path]) -> IO[bytes]:
    """The files in one tar on disk, their names kept, numbered where two are the same."""
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, path in _named(files):
            member = tarfile.TarInfo(name)
            member.uid = member.gid = 1000
            member.size, member.mode = path.stat().st_size, 0o444
            with _readable(path) as file:
                tar.addfile(member, file)
    archive.seek(0)
    return archive


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:  # also when it was cut meanwhile
        raise UserError(
            f"reading {path}: {error}", hint="does something still write it?"
        ) from error


def _named(files: list[Path]) -> Iterator[tuple[str, Path]]:
    for number, path in enumerate(files):
        yield (path.name if len(files) == 1 else f"{number:06d}-{path.name}"), path
