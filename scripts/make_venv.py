#!/usr/bin/env python3
"""Makes a virtual environment that holds exactly what a lock names; `scripts/setup` calls it.

    make_venv.py FOLDER LOCK                    an environment in FOLDER
    make_venv.py FOLDER LOCK LARGER             the same; one made from LARGER keeps to that
    make_venv.py FOLDER LOCK... --project DIR   with the project in DIR, in place
    make_venv.py ... --check                    only say, by the exit code, whether it is there

Of what a user's shell exports, only the settings count that say where packages come from (index,
find-links, certificates, proxies); what is installed, and where, is decided here. One set-up runs
at a time; a second one waits, and finds everything done. It needs the standard library only, of any
Python from 3.11 on.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALL = HERE / "install-locked"
STAMP = "set-up.json"  # in the environment; it exists exactly when the environment is complete
TOOLS = {"pip", "setuptools", "wheel"}  # an environment's own, whether a lock names them or not
ISOLATED = ("-I", "-X", "utf8")  # options of Python: ignore the shell's variables and locale

# The settings of pip that say where packages come from. All others are not passed on: they say what
# is installed, or where, or change neither.
WHERE = {
    "cache-dir", "cert", "client-cert", "default-timeout", "extra-index-url", "find-links",
    "index-url", "keyring-provider", "no-index", "proxy", "retries", "timeout", "trusted-host",
    "use-deprecated", "use-feature",
}  # fmt: skip


class SetUpError(Exception):
    """The environment could not be made; the second argument says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What the environment is to hold.

    Attributes:
        folder: where it lies.
        locks: those that will do, smallest first; each contains all packages of those before it.
        project: a folder whose project is installed in place, or None.
    """

    folder: Path
    locks: tuple[Path, ...]
    project: Path | None

    def stamp(self, lock: Path) -> dict[str, str]:
        """The stamp of a finished environment that was made from this lock."""
        digest = hashlib.sha256()
        sources = [lock, Path(__file__), INSTALL]
        if self.project is not None:
            sources.append(self.project / "pyproject.toml")
        for path in sources:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return {"lock": lock.name, "made_from": digest.hexdigest(), "folder": str(self.folder)}

    def found_stamp(self) -> dict[str, str]:
        """The stamp of the environment in the folder; {} if it is incomplete or missing."""
        try:
            return dict(json.loads((self.folder / STAMP).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def is_there(self) -> bool:
        """Whether the environment works, and was made from one of the locks as they are now."""
        found = self.found_stamp()
        return any(found == self.stamp(lock) for lock in self.locks) and is_environment(self)

    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def pip(self, *arguments: str) -> list[str]:
        """The command line of the environment's pip."""
        return [str(self.python()), *ISOLATED, "-m", "pip", *arguments]


def main() -> int:
    """Exit with 0 if the environment is there in the end."""
    parser = argparse.ArgumentParser(description="make a virtual environment from a lock")
    parser.add_argument("folder", type=Path)
    parser.add_argument("locks", type=Path, nargs="+", metavar="lock")
    parser.add_argument("--project", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    locks = tuple(lock.absolute() for lock in given.locks)
    project = given.project.absolute() if given.project else None
    wanted = Wanted(given.folder.absolute(), locks, project)
    try:
        there = wanted.is_there()
        if given.check or there:
            return 0 if there else 1
        with one_at_a_time(wanted.folder):
            if not wanted.is_there():  # another set-up may have made it meanwhile
                make(wanted)
    except SetUpError as error:
        message, hint = error.args
    except OSError as error:  # a full disk, a folder of another user's, a file in its place
        message, hint = str(error), "repair that, or remove the folder, and run it again"
    else:
        return 0
    print(f"error: setting up {wanted.folder}: {message}\nhint: {hint}", file=sys.stderr)
    return 1


def say(text: str) -> None:
    """Tell the waiting user what is being done, in ASCII."""
    print(f"setup: {text}", flush=True)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the lock of an environment until this process and all its children have ended.

    Children inherit the lock (see `run`), because a set-up that is killed leaves a pip that still
    writes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another set-up of {folder.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(wanted: Wanted) -> None:
    """Make the environment, or update an existing one to the lock.

    Raises:
        SetUpError: a step failed. There is no stamp then, so the next set-up starts from the
            beginning.
    """
    if wanted.folder.is_symlink():
        raise SetUpError("it is a link to a folder that may be somebody's", "remove the link")
    before = wanted.found_stamp()
    # An environment for tests stays one: it has everything that the smaller lock names.
    lock = next((one for one in wanted.locks if one.name == before.get("lock")), wanted.locks[0])
    usable = before.get("folder") == str(wanted.folder) and is_environment(wanted)
    (wanted.folder / STAMP).unlink(missing_ok=True)
    if not usable:
        create(wanted)
    say(f"installing what {lock.name} names")
    with scratch_folder(wanted.folder) as scratch:
        environment = {**without_steering(scratch), **sources(wanted, scratch)}
        drop_the_rest(wanted, lock, environment)
        run(["sh", str(INSTALL), str(wanted.python()), str(lock)], environment)
        if wanted.project is not None:
            install_project(wanted, wanted.project, environment)
    stamp = json.dumps(wanted.stamp(lock), indent=1) + "\n"
    (wanted.folder / STAMP).write_text(stamp, encoding="utf-8")
    say(f"done: {wanted.folder}")


def is_environment(wanted: Wanted) -> bool:
    """Whether the Python in the folder runs, is new enough, has pip, and installs nowhere else."""
    program = (
        "import os, pip, sys; folder = os.path.realpath(sys.argv[1]); "
        "sys.exit(sys.version_info < (3, 11) or os.path.realpath(sys.prefix) != folder "
        "or sys.prefix == sys.base_prefix)"
    )
    command = [str(wanted.python()), *ISOLATED, "-c", program, str(wanted.folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def create(wanted: Wanted) -> None:
    """Make an empty environment with this Python.

    Raises:
        SetUpError: the venv module failed, or made something that is not an environment.
    """
    say(f"making {wanted.folder.name} with Python {sys.version.split()[0]}")
    python = sys.executable
    if Path(python).is_relative_to(wanted.folder):  # a broken one is active; it will be cleared
        python = os.path.realpath(python)
    with scratch_folder(wanted.folder) as scratch:
        venv = [python, *ISOLATED, "-m", "venv", "--clear", str(wanted.folder)]
        run(venv, without_steering(scratch))
    if not is_environment(wanted):
        raise SetUpError(
            f"the venv module of {sys.executable} made no working environment with pip",
            "name another Python: make setup PYTHON=/path/to/python3.12",
        )


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder for temporary files beside the environment; the user's own may be full."""
    scratch = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)  # of a set-up that was killed
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def without_steering(scratch: Path) -> dict[str, str]:
    """The user's variables, without those that change what Python and pip do or write."""
    steering = ("PIP_", "PYTHON", "VIRTUAL_ENV", "__PYVENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {
        **kept,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PYTHONUTF8": "1",
        "TMPDIR": str(scratch),
    }


def sources(wanted: Wanted, scratch: Path) -> dict[str, str]:
    """Where the user's own pip takes packages from, as variables: PIP_INDEX_URL and so on.

    pip itself is asked. It reads its configuration files, and lets its variables override them.

    Raises:
        SetUpError: pip cannot read its configuration.
    """
    asked = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment = without_steering(scratch)
    del environment["PIP_CONFIG_FILE"]
    # -vvv, because with `quiet` in a configuration file pip would list nothing.
    listed = run(wanted.pip("-vvv", "config", "list"), {**environment, **asked})
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for section, name, value in re.findall(
        r"^(:env:|[\w-]+)\.([\w-]+)=(.*)$", listed, re.MULTILINE
    ):
        if section in found and name in WHERE:
            text = str(ast.literal_eval(value))
            if text.strip():
                found[section][f"PIP_{name.upper().replace('-', '_')}"] = " ".join(text.split())
    return {**found["global"], **found["install"], **found[":env:"]}


def drop_the_rest(wanted: Wanted, lock: Path, environment: dict[str, str]) -> None:
    """Uninstall packages that the lock does not name, but an earlier lock did."""
    named = {
        normalized(one) for one in re.findall(r"^([\w.-]+)(?:\[.*\])?==", lock.read_text(), re.M)
    }
    listed = run(wanted.pip("list", "--format=json"), environment)
    there = {normalized(one["name"]) for one in json.loads(listed)}
    project = {project_name(wanted.project)} if wanted.project else set()
    if rest := sorted(there - named - project - TOOLS):
        say(f"removing what the lock does not name: {', '.join(rest)}")
        run(wanted.pip("uninstall", "--quiet", "--yes", *rest), environment)


def project_name(project: Path) -> str:
    with (project / "pyproject.toml").open("rb") as file:
        return normalized(str(tomllib.load(file)["project"]["name"]))


def normalized(name: str) -> str:
    """The name in the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def install_project(wanted: Wanted, project: Path, environment: dict[str, str]) -> None:
    """Install the project in place.

    `compat` puts the repository's own folder on the path, so that a new package of it needs no new
    set-up.
    """
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    options += ["--config-settings", "editable_mode=compat", "--editable", str(project)]
    run(wanted.pip("install", *options), environment)


def run(command: list[str], environment: dict[str, str]) -> str:
    """The standard output of a command, which inherits the lock of the environment.

    Raises:
        SetUpError: it failed; the message is the end of its output.
    """
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            encoding="utf-8", errors="replace", check=False, close_fds=False,
        )  # fmt: skip
    except OSError as error:
        raise SetUpError(
            f"running {command[0]}: {error.strerror}", "check that the program exists"
        ) from None
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise SetUpError(
            f"{Path(command[0]).name} ended with {done.returncode}:\n{said}",
            "repair what the message names and run the same command again; where packages come "
            "from is in your own pip's configuration (pip config list)",
        )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
