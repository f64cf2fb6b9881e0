"""The agent's repository: made before the first turn, bundled after the last.

Git runs as a child that can be killed, with hooks and file-system monitors off: by the time of
the bundle, the repository's configuration is the agent's.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import processes
from places import BUNDLE, WORKSPACE
from turns import BASE_ENV

GIT = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"]
GIT_SECONDS = 60.0


class GitError(Exception):
    """A git command failed or took too long."""


async def open_repository(reaper: processes.Reaper, branch: str) -> str:
    """Make /workspace a repository with one first commit on `branch`; its commit hash.

    A repository that is there already (the container was restarted) is left as it is.

    Raises:
        GitError: git refused, for one because the volume is full.
    """
    if not Path(WORKSPACE, ".git").exists():
        await _git(reaper, "init", "--quiet", f"--initial-branch={branch}")
        await _git(reaper, "config", "user.name", "bakeoff")
        await _git(reaper, "config", "user.email", "bakeoff@localhost")
        await _git(reaper, "add", "--all")
        await _git(reaper, "commit", "--quiet", "--allow-empty", "--message=Start of the run")
    return await _git(reaper, "rev-parse", "HEAD")


async def write_bundle(reaper: processes.Reaper, seconds: float) -> None:
    """Pack every branch of the agent's repository into one file for the runner to fetch.

    Raises:
        GitError: the repository is broken or empty, or takes longer than `seconds`.
    """
    await _git(reaper, "bundle", "create", "--quiet", BUNDLE, "--all", seconds=seconds)


async def _git(reaper: processes.Reaper, *arguments: str, seconds: float = GIT_SECONDS) -> str:
    env = {**BASE_ENV, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    process = reaper.spawn([*GIT, *arguments], cwd=WORKSPACE, env=env)
    try:
        exit_code = await asyncio.wait_for(process.exit, seconds)
    except TimeoutError:
        await processes.kill_everything()
        raise GitError(f"git {arguments[0]} took longer than {seconds:.0f} s") from None
    finally:
        output = _read_and_close(process.stdout)
        errors = _read_and_close(process.stderr)
    if exit_code != 0:
        raise GitError(f"git {arguments[0]}: {errors.strip() or f'exit code {exit_code}'}")
    return output.strip()


def _read_and_close(descriptor: int) -> str:
    """What fits into a pipe is all that these commands print."""
    try:
        os.set_blocking(descriptor, False)
        return os.read(descriptor, 64 * 1024).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
    finally:
        os.close(descriptor)
