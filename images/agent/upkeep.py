"""Checks after each turn whether the agent can still work, and repairs what it can.

An agent that deleted its workspace, filled its disk or lost `trial` would go on asking its model
for hours and make no trial. No process of the agent runs meanwhile. All that is written here is a
new file: nothing is opened where something stands already, so that no link of the agent's is
followed. What is in the way is renamed and not removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import processes
import workspace
from messages import MAX_PHRASE_CHARS, MAX_PHRASES
from places import HOME, OUTBOX, STATE, WORKSPACE
from safe_folder import Repair, open_folder, put_aside

TMP = "/tmp"
NEEDED = ("train.py", "program.md")  # without them there is nothing to do
KEPT = ("experiments.csv", "STATUS.md")  # the agent's memory, which is in no commit
LOGIN_FILES = (".bash_profile", ".bash_login", ".profile", ".bashrc")
MAX_KEPT_BYTES = 4 * 1024 * 1024
MAX_PRISTINE_BYTES = 16 * 1024 * 1024
LEAST_FREE_BYTES = 8 * 1024 * 1024  # for a commit, a transcript and what a CLI notes
LEAST_FREE_FILES = 64
TRIAL_SECONDS = 20.0
LARGEST = 3
ASK = "command -v trial >/dev/null && trial list >/dev/null && echo answered"


@dataclass
class Findings:
    """What was wrong after a turn, and what of it was repaired; one phrase for each."""

    wrong: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)


class Upkeep:
    """Remembers what an agent began with and what it wrote down.

    Args:
        reaper: starts the commands that check.
        branch: the run's, for a repository that has to be begun again.
    """

    def __init__(self, reaper: processes.Reaper, branch: str) -> None:
        self._reaper = reaper
        self._branch = branch
        self._pristine: dict[str, bytes] = {}
        self._kept: dict[str, bytes] = {}

    async def begin(self) -> None:
        """Read from the first commit what there was at the start.

        Raises:
            GitError: it cannot be read.
            OSError: the volume is full.
        """
        aside = f"{STATE}/pristine.tar"
        await workspace.export_first_commit(self._reaper, aside)
        self._pristine = dict(_files_of(aside))
        Path(aside).unlink()

    async def run(self) -> Findings:
        """Check everything and repair what can be repaired; returns what was wrong."""
        found = Findings()
        for step in (
            self._check_room, self._check_rights, self._repair_git, self._check_files,
            self._begin_git, self._check_outbox, self._check_trial,
        ):  # fmt: skip
            try:
                await step(found)
            except (OSError, RecursionError, workspace.GitError) as error:
                found.wrong.append(f"checking the sandbox failed: {error}")
        return Findings(_bounded(found.wrong), _bounded(found.restored))

    async def _check_room(self, found: Findings) -> None:
        """A full disk: of /tmp everything is deleted, of the agent's volumes nothing."""
        for place in (WORKSPACE, HOME, TMP):
            if _has_room(place):
                continue
            found.wrong.append(f"{place} is full; the largest files are {_largest(place)}")
            if place == TMP:
                _empty(TMP)
                found.restored.append(f"{TMP} was emptied")

    async def _check_rights(self, found: Findings) -> None:
        inside = (f"{WORKSPACE}/{name}" for name in (".git", *NEEDED, *KEPT))
        for place in map(Path, (WORKSPACE, HOME, *inside)):
            bits = os.R_OK | os.W_OK | (os.X_OK if place.is_dir() else 0)
            if place.exists() and not os.access(place, bits):
                place.chmod(0o755)
                found.wrong.append(f"{place} could not be read and written")
                found.restored.append(f"{place} can be read and written again")

    async def _repair_git(self, found: Findings) -> None:
        """What a git leaves that was killed with its turn: locks, and half of an index."""
        if locks := workspace.remove_locks():
            found.wrong.append(f"git was killed and left {', '.join(locks)}")
            found.restored.append("these locks were removed")
        if not await workspace.is_usable(self._reaper) and Path(WORKSPACE, ".git").is_dir():
            found.wrong.append("git could not read its index or last commit")
            if await workspace.repair(self._reaper, self._branch):
                found.restored.append("git's index was written again from the last commit")

    async def _check_files(self, found: Findings) -> None:
        """The files that an agent needs, restored from its last commit or as they began."""
        self._remember()
        lost = [name for name in self._kept if not _is_there(name)]
        missing = [name for name in NEEDED if name in self._pristine and not _is_there(name)]
        for name in [*missing, *lost]:
            aside = put_aside(f"{WORKSPACE}/{name}")
            state = f"was no file with anything in it, and is {aside} now" if aside else "was gone"
            found.wrong.append(f"{WORKSPACE}/{name} {state}")
        for name in missing:
            if await workspace.check_out(self._reaper, name):
                found.restored.append(f"{WORKSPACE}/{name}, from the last commit")
        if missing:
            for name in _write_missing(self._pristine):
                found.restored.append(f"{WORKSPACE}/{name}, as it was at the start of the run")
        for name in _write_missing({name: self._kept[name] for name in lost}):
            found.restored.append(f"{WORKSPACE}/{name}, as it was after an earlier turn")

    async def _begin_git(self, found: Findings) -> None:
        if await workspace.is_usable(self._reaper):
            return
        found.wrong.append("the git repository in /workspace was gone, and its history is lost")
        names = [name for name in self._pristine if os.path.lexists(f"{WORKSPACE}/{name}")]
        await workspace.open_repository(self._reaper, self._branch, names)
        found.restored.append(f"a new repository was begun on {self._branch}")

    async def _check_outbox(self, found: Findings) -> None:
        """The folder in which `trial` hands in a train.py."""
        repairs: list[Repair] = []
        os.close(open_folder(OUTBOX, HOME, repairs))
        for repair in repairs:
            if repair.aside:
                found.wrong.append(f"{repair.path} was no folder, and is {repair.aside} now")
                found.restored.append(f"{repair.path} is a folder again")
            else:
                found.wrong.append(f"{repair.path} could not be written")
                found.restored.append(f"{repair.path} can be written again")

    async def _check_trial(self, found: Findings) -> None:
        """Whether a login shell of the agent finds `trial`, and `trial` answers."""
        answered, said = await self._ask_trial("-lc")
        if answered:
            return
        found.wrong.append(f"`trial` did not answer in a login shell: {said[-200:] or 'silence'}")
        if not (await self._ask_trial("-c"))[0]:
            return
        for name in LOGIN_FILES:
            if aside := put_aside(f"{HOME}/{name}"):
                found.restored.append(f"{HOME}/{name}, which may be why, is {aside} now")
        if (await self._ask_trial("-lc"))[0]:
            found.restored.append("`trial` answers")

    async def _ask_trial(self, flags: str) -> tuple[bool, str]:
        """Whether a shell got an answer of `trial`, and what it printed.

        The exit code alone does not tell: a login file may end the shell with 0.
        """
        try:
            code, said = await workspace.run(self._reaper, ["bash", flags, ASK], TRIAL_SECONDS)
        except workspace.GitError as error:
            return False, str(error)
        return code == 0 and said.endswith("answered"), said

    def _remember(self) -> None:
        """Keep what the agent wrote down, should it be lost in a later turn."""
        for name in KEPT:
            path = Path(WORKSPACE, name)
            if _is_there(name) and 0 < path.stat().st_size <= MAX_KEPT_BYTES:
                self._kept[name] = path.read_bytes()


def _write_missing(files: dict[str, bytes]) -> list[str]:
    """Write those of the files that are not in /workspace; returns their names."""
    made = []
    for name, content in files.items():
        path = Path(WORKSPACE, name)
        if os.path.lexists(path):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
        made.append(name)
    return made


def _bounded(phrases: list[str]) -> list[str]:
    """As many and as much of them as a message may hold, as text that can be encoded."""
    clean = (phrase.encode("utf-8", "replace").decode() for phrase in phrases)
    return [phrase[:MAX_PHRASE_CHARS] for phrase in clean][:MAX_PHRASES]


def _files_of(archive: str) -> Iterator[tuple[str, bytes]]:
    """The regular files of an archive, read and never unpacked, up to a bound."""
    total_bytes = 0
    # What cannot be read ends the list: tarfile refuses the archive of an empty commit.
    with contextlib.suppress(tarfile.TarError), tarfile.open(archive, "r:") as tar:
        for member in tar:
            total_bytes += member.size
            if total_bytes > MAX_PRISTINE_BYTES:
                return
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None and ".." not in Path(member.name).parts:
                yield member.name.lstrip("/"), file.read()


def _is_there(name: str) -> bool:
    """Whether it is a file of /workspace with something in it."""
    path = Path(WORKSPACE, name)
    return path.is_file() and path.stat().st_size > 0


def _has_room(place: str) -> bool:
    room = os.statvfs(place)
    no_count = room.f_files == 0  # some file systems do not count files
    return room.f_bavail * room.f_frsize >= LEAST_FREE_BYTES and (
        no_count or room.f_favail >= LEAST_FREE_FILES
    )


def _largest(place: str) -> str:
    """The largest files of a folder, as far as a bounded walk finds them."""
    sizes: list[tuple[int, str]] = []
    for entry in workspace.walked(place):
        with contextlib.suppress(OSError):
            sizes.append((entry.stat(follow_symlinks=False).st_size, entry.path))
    largest = sorted(sizes, reverse=True)[:LARGEST]
    return ", ".join(f"{path} ({size >> 20} MB)" for size, path in largest) or "no file"


def _empty(place: str) -> None:
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                # A tree that is too deep stays, and is named among the largest files.
                with contextlib.suppress(RecursionError):
                    shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()
