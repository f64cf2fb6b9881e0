"""The agent's repository: made before the first turn, repaired after any, bundled at the end.

Git runs as a child that can be killed, with hooks and file-system monitors off: by the time of
the bundle, the repository's configuration is the agent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import processes
from places import BUNDLE, HOME, STATE, WORKSPACE
from safe_folder import open_folder, put_aside
from turns import BASE_ENV

GIT = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"]
GIT_SECONDS = 20.0  # for the first commit; the runner waits 60 s for `started`
COMMAND_SECONDS = 8.0  # for any other command
MOST_LOCKS, MOST_WALKED = 100, 20_000
MAX_BUNDLE_BYTES = 256 << 20  # as much as the runner fetches


class GitError(Exception):
    """A git command failed or took too long."""


async def open_repository(reaper: processes.Reaper, branch: str, names: Sequence[str] = ()) -> str:
    """Make /workspace a repository with one first commit on `branch`; returns its commit hash.

    A repository that is there already (the container was restarted) is repaired where it is broken
    and otherwise left as it is. One that cannot be repaired is renamed.

    Args:
        reaper: starts git.
        branch: the run's.
        names: what the first commit holds; everything when there are none.

    Raises:
        GitError: git failed or took too long: the volume is full, or the agent broke it.
    """
    remove_locks()
    if not await is_usable(reaper) and not await repair(reaper, branch):
        put_aside(f"{WORKSPACE}/.git")
        try:
            await asyncio.wait_for(_make_repository(reaper, branch, names), GIT_SECONDS)
        except TimeoutError:
            await processes.kill_everything()
            raise GitError(f"the first commit took longer than {GIT_SECONDS:.0f} s") from None
    return await _git(reaper, "rev-parse", "HEAD")


async def _make_repository(reaper: processes.Reaper, branch: str, names: Sequence[str]) -> None:
    await _git(reaper, "init", "--quiet", f"--initial-branch={branch}")
    await _git(reaper, "config", "user.name", "bakeoff")
    await _git(reaper, "config", "user.email", "bakeoff@localhost")
    what = ["--force", "--", *names] if names else ["--all"]
    await _git(reaper, "add", *what, seconds=GIT_SECONDS)
    message = "--message=Start of the run"
    await _git(reaper, "commit", "--quiet", "--allow-empty", message, seconds=GIT_SECONDS)


def remove_locks() -> list[str]:
    """Remove the locks of a git that was killed, while no other git runs; returns their names."""
    folder = Path(WORKSPACE, ".git")
    below = (Path(entry.path) for entry in walked(str(folder / "refs")))
    beside = (Path(entry.path) for entry in walked(str(folder), deep=False))
    locks = (path for path in itertools.chain(beside, below) if path.suffix == ".lock")
    removed = []
    for lock in list(itertools.islice(locks, MOST_LOCKS)):
        with contextlib.suppress(OSError):
            lock.unlink()
            removed.append(str(lock.relative_to(WORKSPACE)))
    return removed


def walked(place: str, *, deep: bool = True) -> Iterator[os.DirEntry[str]]:
    """Everything but folders in a folder (and below it, if `deep`), up to `MOST_WALKED` entries."""
    folders, left = [place], MOST_WALKED
    while folders and left > 0:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in itertools.islice(entries, left):
                left -= 1
                if not entry.is_dir(follow_symlinks=False):
                    yield entry
                elif deep:
                    folders.append(entry.path)


async def is_usable(reaper: processes.Reaper) -> bool:
    """Whether there is a last commit and an index that can be read.

    Raises:
        GitError: git did not answer in time, which does not say that anything is broken.
    """
    if not _is_plain():
        return False
    head, _ = await run(reaper, [*GIT, "rev-parse", "--quiet", "--verify", "HEAD^{tree}"])
    index, _ = await run(reaper, [*GIT, "update-index", "-q", "--refresh"])
    return head == 0 and index in (0, 1)  # 1: files differ from it


def _is_plain() -> bool:
    """Whether git's own files are files: git would read a pipe in their place for ever."""
    folder = Path(WORKSPACE, ".git")
    needed, others = (
        (folder / "HEAD", folder / "config"),
        (folder / "index", folder / "packed-refs"),
    )
    return all(path.is_file() for path in needed) and not any(
        path.exists() and not path.is_file() for path in others
    )


async def repair(reaper: processes.Reaper, branch: str) -> bool:
    """Write the index again from the last commit, or from that of the run's branch.

    Returns:
        Whether the repository is usable then.

    Raises:
        GitError: git did not answer in time.
    """
    with contextlib.suppress(OSError):
        Path(WORKSPACE, ".git", "index").unlink()
    if not _is_plain():
        return False
    return await _index_of_head(reaper) or await _return_to(reaper, branch)


async def _index_of_head(reaper: processes.Reaper) -> bool:
    code, _ = await run(reaper, [*GIT, "reset", "--quiet"])
    return code == 0 and await is_usable(reaper)


async def _return_to(reaper: processes.Reaper, branch: str) -> bool:
    """Point HEAD at the run's branch if that is whole; `checkout --orphan` leaves it at none."""
    name = f"refs/heads/{branch}"
    code, _ = await run(reaper, [*GIT, "rev-parse", "--quiet", "--verify", f"{name}^{{tree}}"])
    if code != 0:
        return False
    await _git(reaper, "symbolic-ref", "HEAD", name)
    return await _index_of_head(reaper)


async def check_out(reaper: processes.Reaper, name: str) -> bool:
    """Bring a file back as it is in the last commit; whether it is there."""
    code, _ = await run(reaper, [*GIT, "checkout", "--quiet", "HEAD", "--", name])
    return code == 0


async def export_first_commit(reaper: processes.Reaper, path: str) -> None:
    """Write the files of the first commit into a tar archive.

    Raises:
        GitError: there is none.
        OSError: the volume is full.
    """
    _clear_way(path)
    first = (await _git(reaper, "rev-list", "--max-parents=0", "HEAD")).split()[-1:]
    await _git(reaper, "archive", "--format=tar", f"--output={path}", *first)


async def write_bundle(reaper: processes.Reaper, seconds: float) -> None:
    """Pack every branch of the agent's repository into one file for the runner to fetch.

    Raises:
        GitError: the repository is broken or empty, takes longer than `seconds`, or is larger than
            `MAX_BUNDLE_BYTES`: a volume that is full already must not grow by as much again.
        OSError: the volume is full.
    """
    _clear_way(BUNDLE)
    command = [*GIT, "bundle", "create", "--quiet", BUNDLE, "--all"]
    code, said = await run(reaper, command, seconds, MAX_BUNDLE_BYTES)
    if code == -signal.SIGXFSZ:
        raise GitError(f"the repository takes more than {MAX_BUNDLE_BYTES >> 20} MB")
    if code != 0:
        raise GitError(f"git bundle: {said or f'exit code {code}'}")


def _clear_way(path: str) -> None:
    """Rename whatever the agent left in the place of a file that agentd will write.

    Raises:
        OSError: the volume is full.
    """
    folder, name = open_folder(STATE, HOME), PurePosixPath(path).name
    try:
        for taken in (name, f"{name}.lock"):
            put_aside(taken, folder)
    finally:
        os.close(folder)


async def _git(reaper: processes.Reaper, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
    code, said = await run(reaper, [*GIT, *arguments], seconds)
    if code != 0:
        raise GitError(f"git {arguments[0]}: {said or f'exit code {code}'}")
    return said


async def run(
    reaper: processes.Reaper,
    command: list[str],
    seconds: float = COMMAND_SECONDS,
    file_bytes: int | None = None,
) -> tuple[int, str]:
    """Run a command in /workspace; returns its exit code and output (stderr if it failed).

    Everything that it started is killed: a login file or a git filter is the agent's program.

    Raises:
        GitError: it took too long, and was killed.
    """
    env = {**BASE_ENV, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    process = reaper.spawn(command, cwd=WORKSPACE, env=env, file_bytes=file_bytes)
    try:
        exit_code = await asyncio.wait_for(process.exit, seconds)
    except TimeoutError:
        name = " ".join(command[:1] + command[len(GIT) : len(GIT) + 1])
        raise GitError(f"{name} took longer than {seconds:.0f} s") from None
    finally:
        await processes.kill_everything()
        output = _read_and_close(process.stdout)
        errors = _read_and_close(process.stderr)
    return exit_code, (output if exit_code == 0 else errors).strip()


def _read_and_close(descriptor: int) -> str:
    """What a pipe holds: these commands print no more than that."""
    try:
        os.set_blocking(descriptor, False)
        return os.read(descriptor, 64 * 1024).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
    finally:
        os.close(descriptor)
