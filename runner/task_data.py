"""A task's data: the image `data` prepares it once into three volumes, all of them or none.

Trials mount the first, the judge the held-out one, the referee's judge the test one as well. Their
names hold one digest of everything that decides what the data is. So a change of the task, of
prepare.py or of the user's own text makes other volumes, and never mixes two. prepare.py writes
`task.json` last: a volume without that file is prepared again.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from runner.engine import lockdown, one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.errors import SandboxError, UserError
from runner.limits import limits
from runner.records.layout import ROOT, shared_folder
from runner.tasks import TASKS_FOLDER, Task

ROLE = "prepare"
EXIT_SECONDS = 15.0  # from the end of prepare.py's output to its exit code
PREPARE_SECONDS = 4 * 3600.0  # enough for some gigabytes over a slow connection
MAX_INPUT_BYTES = 64 << 30
READ_BYTES = 1 << 20
LAST_LINES = 6
# Files of trainer/ that preparing does not use: a change in them leaves the data as it is.
NOT_IN_DIGEST = (
    "train.py", "constants.py", "fused.py", "device.py", "scoring.py", "frames.py", "handing_out.py"
)  # fmt: skip
PACKAGES_LOCK = ROOT / "images/data/requirements.lock"  # whose text the task pystdlib is made of
DATA_PREFIX, HELD_OUT_PREFIX, TEST_PREFIX = "bakeoff-data-", "bakeoff-heldout-", "bakeoff-test-"

Report = Callable[[str], None]  # is called with each line for a person


def input_files(data: str | None, task: Task, report: Report = lambda _: None) -> list[Path]:
    """The user's files for a task that needs some, in a fixed order; none for any other task.

    Args:
        data: the file or folder that the user named.
        task: the task that is to be run.
        report: is told which files of a folder are left out.

    Raises:
        UserError: the task takes no files, or it needs some and the path has nothing readable.
    """
    if not task.needs_input:
        if data is not None:
            raise UserError(
                f"choosing the data: task {task.name} has its own, so DATA={data} has no use",
                hint="unset DATA, or set TASK=text",
            )
        return []
    if data is None:
        raise UserError(
            f"choosing the data: task {task.name} needs a text of your own",
            hint="set DATA to a file of text, JSON, CSV or Parquet, or a folder of them",
        )
    return _readable_files(Path(data).expanduser(), report)


def _readable_files(path: Path, report: Report) -> list[Path]:
    """The file itself or the files of the folder, each of which could be opened.

    Raises:
        UserError: one cannot be read, there are none, or they are too large together.
    """
    doing = f"reading DATA={_printable(path)}"
    if any("\ud800" <= c <= "\udfff" for c in str(path)):  # a run's records are UTF-8
        raise UserError(
            f"{doing}: its name is not UTF-8",
            hint="rename it, or move it into a folder of its own and name that folder",
        )
    try:
        if path.is_file():
            files = [path]
        elif path.exists() and not path.is_dir():
            raise UserError(
                f"{doing}: it is neither a file nor a folder",
                hint="write its output into a file, and name that file",
            )
        else:
            files = sorted(_visible_files(path, report))
        for file in files:
            with file.open("rb"):
                pass
        size = sum(file.stat().st_size for file in files)
    except OSError as error:
        named = _printable(Path(os.fsdecode(error.filename or path)))
        raise UserError(
            f"{doing}: {error.strerror}: {named}", hint="check that the path is right and readable"
        ) from error
    if not files:
        what = "it has no files" if path.exists() else "there is no such file or folder"
        raise UserError(
            f"{doing}: {what}", hint="name a file of text, JSON, CSV or Parquet, or a folder"
        )
    if not 0 < size <= MAX_INPUT_BYTES:
        raise UserError(
            f"{doing}: it holds {size} bytes", hint="name files of between 1 byte and 64 GiB in all"
        )
    return files


def _visible_files(folder: Path, report: Report) -> Iterator[Path]:
    """The files in a folder that are not hidden. Links to files are followed, to folders not."""

    def fail(error: OSError) -> None:
        raise error

    left_out = []
    for here, folders, names in os.walk(folder, onerror=fail if folder.exists() else None):
        left_out += [Path(here, f) for f in folders if _is_hidden(f) or Path(here, f).is_symlink()]
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for path in (Path(here, name) for name in names):
            if not _is_hidden(path.name) and path.is_file():
                yield path
            else:
                left_out.append(path)
    if left_out:
        some = ", ".join(_printable(path.relative_to(folder)) for path in sorted(left_out)[:5])
        report(f"left out: {len(left_out)} hidden, broken or linked files and folders: {some}")


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _printable(path: Path) -> str:
    """A path as text for a person: characters that cannot be printed are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def places_of(data_volume: str) -> dict[str, str]:
    """The three volumes that are prepared together, each with its folder while they are."""
    return {
        data_volume: "/data",
        heldout_volume(data_volume): "/heldout",
        test_volume(data_volume): "/test",
    }


def heldout_volume(data_volume: str) -> str:
    """The name of the volume that only the judge sees, beside the volume that trials see."""
    return HELD_OUT_PREFIX + data_volume.removeprefix(DATA_PREFIX)


def test_volume(data_volume: str) -> str:
    """The name of the volume that only the referee's judge sees."""
    return TEST_PREFIX + data_volume.removeprefix(DATA_PREFIX)


def meaning(volume: str, task: str) -> str:
    """What a volume with a task's data is, for a person."""
    kinds = {HELD_OUT_PREFIX: "the validation text", TEST_PREFIX: "the test text"}
    kind = next((said for prefix, said in kinds.items() if volume.startswith(prefix)), "the data")
    return f"{kind} of task {task}"


def volume_of(task: Task, files: list[Path]) -> str:
    """The name of the volume that trials of this task see, whether or not it exists yet."""
    digest = hashlib.sha256(PACKAGES_LOCK.read_bytes())
    for path in [TASKS_FOLDER / f"{task.name}.toml", *sorted((ROOT / "trainer").glob("*.py"))]:
        if path.name not in NOT_IN_DIGEST:
            digest.update(path.name.encode() + path.read_bytes())
    for name, path in _named(files):
        digest.update(os.fsencode(name) + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{DATA_PREFIX}{task.name}-{digest.hexdigest()[:12]}"


def missing(engine: Engine, data_volume: str) -> list[str]:
    """Those of the three volumes that are not on the engine, whether or not they are complete."""
    there = {volume.name for volume in engine.volumes()}
    return [name for name in places_of(data_volume) if name not in there]


def ensure(engine: Engine, image: str, task: Task, files: list[Path], report: Report) -> str:
    """Prepare the task's data unless that is done; return the volume that trials see.

    Args:
        engine: where the volumes are.
        image: the image `data`.
        task: the task that needs the data.
        files: the user's own files, from `input_files`.
        report: is called with each line that prepare.py prints.

    Raises:
        UserError: the data cannot be used; the message is prepare.py's own.
        SandboxError: prepare.py failed for another reason.
    """
    volume = volume_of(task, files)
    with FileLock(shared_folder("bakeoff-data") / f"{volume}.lock", mode=0o666):
        if not missing(engine, volume) and _is_whole(engine, image, volume):
            return volume
        report(f"preparing the data of task {task.name} (once)")
        for name in places_of(volume):
            engine.create_volume(name, data=task.name)
        try:
            _prepare(engine, image, task, files, volume, report)
        except BaseException:
            for name in places_of(volume):
                if name != volume or not task.network:  # the next attempt continues a download
                    engine.remove_volume(name)
            raise
    return volume


def _is_whole(engine: Engine, image: str, volume: str) -> bool:
    """Whether prepare.py reached its end in all three volumes: it writes task.json last."""
    places = places_of(volume)
    spec = ContainerSpec(
        name=f"{volume}-check",
        image=image,
        run_id=volume,
        role=ROLE,
        mounts=tuple(Mount(name, folder, read_only=True) for name, folder in places.items()),
    )
    return all(
        one_off.read_file(engine, spec, f"{folder}/task.json", READ_BYTES) is not None
        for folder in places.values()
    )


def _prepare(
    engine: Engine, image: str, task: Task, files: list[Path], volume: str, report: Report
) -> None:
    """Run prepare.py on the volumes, with the user's files in a volume of their own."""
    input_volume = f"{volume}-input"
    mounts = [Mount(name, folder) for name, folder in places_of(volume).items()]
    engine.remove(f"{volume}-prepare")  # left by a runner that was killed
    if files:
        engine.remove_volume(input_volume)
        engine.create_volume(input_volume, run_id=volume)
        mounts.append(Mount(input_volume, "/input"))
    command = ["python", "/opt/trainer/prepare.py", "--task", task.name, "--data", "/data"]
    command += ["--heldout", "/heldout", "--test-data", "/test"]
    spec = ContainerSpec(
        name=f"{volume}-prepare",
        image=image,
        run_id=volume,
        role=ROLE,
        command=[*command, "--input", "/input"] if files else command,
        mounts=tuple(mounts),
        network=lockdown.OWN_NETWORK if task.network else lockdown.NO_NETWORK,
        **lockdown.sizes(limits()[ROLE], engine.info()),
    )
    try:
        _run_to_end(engine, spec, files, task, report)
    finally:
        engine.remove(spec.name)
        if files:
            engine.remove_volume(input_volume)


def _run_to_end(
    engine: Engine, spec: ContainerSpec, files: list[Path], task: Task, report: Report
) -> None:
    """Put the user's files into the container, run it and report what it prints.

    Raises:
        UserError: the files cannot be used, or changed while they were copied.
        SandboxError: prepare.py failed for another reason.
    """
    container = engine.create(spec)
    if files:
        engine.put_archive(container, "/input", archive(files))
        if volume_of(task, files) != spec.run_id:
            raise UserError(
                f"copying the text for task {task.name}: it changed meanwhile",
                hint="try again when no program writes to it",
            )
    channel = engine.attach(container)
    last: list[str] = []
    overrun = threading.Timer(PREPARE_SECONDS, engine.kill, (container,))
    try:
        engine.start(container)
        overrun.start()
        for _, line in channel.lines():
            report(line)
            last = [*last, line][-LAST_LINES:]
    finally:
        overrun.cancel()
        channel.close()
    state = engine.wait_exit(container, EXIT_SECONDS)
    if state is None or state.exit_code != 0:
        _raise_failed(task, last, state.exit_code if state else None)


def _raise_failed(task: Task, last: list[str], exit_code: int | None) -> None:
    """Raise what prepare.py printed last; its exit code 2 means that the input is at fault."""
    said = [line.removeprefix("error: ") for line in last if not line.startswith("hint: ")]
    hint = next((ln.removeprefix("hint: ") for ln in last if ln.startswith("hint: ")), "")
    message = f"preparing the data of task {task.name}: {said[-1] if said else 'it gave no reason'}"
    if exit_code == 2:
        raise UserError(message, hint=hint)
    raise SandboxError(f"{message} (exit code {exit_code})", hint=hint)


def archive(files: list[Path]) -> Iterator[bytes]:
    """The files as a tar archive, read while it is sent, so that no large text is copied.

    Raises:
        UserError: a file cannot be read, or its length changed meanwhile.
    """
    for name, path in _named(files):
        member = tarfile.TarInfo(name)
        member.uid = member.gid = lockdown.UID
        try:
            with path.open("rb") as file:
                member.size, member.mode = os.fstat(file.fileno()).st_size, 0o444
                yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
                left = member.size
                while left and (block := file.read(min(left, READ_BYTES))):
                    left -= len(block)
                    yield block
                if left or file.read(1):
                    raise OSError("its length changed while it was read")
        except OSError as error:
            raise UserError(
                f"reading {_printable(path)}: {error.strerror or error}",
                hint="check that no program writes to it",
            ) from error
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _named(files: list[Path]) -> Iterator[tuple[str, Path]]:
    """Each file with its name in the container: its path below the folder that all files share."""
    shared = os.path.commonpath([path.parent for path in files]) if files else ""
    for path in files:
        yield str(path.relative_to(shared)), path
