"""Where everything of a run lies, and what its containers and volumes are called.

The one place for paths under `runs/` and for names on the engine.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from runner.errors import HostError

ROOT = Path(__file__).resolve().parents[2]
# Where all users of a machine meet, on Linux and macOS, whatever TMPDIR each of them has.
MACHINE_FOLDER = Path("/tmp")

LABEL_RUN = "bakeoff.run"
LABEL_ROLE = "bakeoff.role"
LABEL_DATA = "bakeoff.data"


@dataclass(frozen=True)
class RunDir:
    """The directory of one run; its attributes are the files that a run writes."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def pristine(self) -> Path:
        return self.path / "train.py"

    @property
    def stop(self) -> Path:
        """It exists once somebody has asked the run's runner to end the run."""
        return self.path / "stop"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def log(self) -> Path:
        """What its runner logged, whoever read it on a terminal."""
        return self.path / "run.log"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def clock(self) -> Path:
        """What was spent at the runner's last sign of life; replaced every second or two."""
        return self.path / "clock.json"

    @property
    def trials(self) -> Path:
        return self.path / "trials.jsonl"

    @property
    def usage(self) -> Path:
        return self.path / "usage.jsonl"

    @property
    def transcript(self) -> Path:
        return self.path / "transcript.jsonl"

    @property
    def prompts(self) -> Path:
        """What the agent was told, as it was sent."""
        return self.path / "prompts.jsonl"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def records(self) -> Path:
        return self.path / "records"

    @property
    def study(self) -> Path:
        """A baseline's study: Optuna's journal, as it was after the last trial."""
        return self.path / "study.jsonl"

    @property
    def texts(self) -> Path:
        """What a search of whole texts asked its model for and learnt, as after the last trial."""
        return self.path / "texts.jsonl"

    @property
    def study_table(self) -> Path:
        """That study's trials, as `make export` writes them."""
        return self.path / "study.csv"

    @property
    def experiments(self) -> Path:
        return self.artifacts / "experiments.csv"

    @property
    def containment(self) -> Path:
        """What was tried in containers like the run's own before its contestant began."""
        return self.path / "containment.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def verification(self) -> Path:
        """What the referee's own trials of this run's texts came to."""
        return self.path / "verification.json"

    @property
    def retest(self) -> Path:
        """What this run's best text came to when it was trained for longer."""
        return self.path / "retest.json"

    @property
    def last_check(self) -> Path:
        """The directory of the last check (`trial --check`): train.py and train.log."""
        return self.path / "check"

    def trial(self, number: int) -> Path:
        """The directory of one trial: order.json, train.py, diff.patch, train.log."""
        return self.path / "trials" / f"{number:04d}"


def run_folders(runs: Path) -> list[Path]:
    """The directories of all runs, by name."""
    if not runs.is_dir():
        return []
    return sorted(p for p in runs.iterdir() if p.is_dir() and not p.name.startswith("."))


def shared_folder(name: str) -> Path:
    """A folder for locks that all users of this machine share; it is made if it is not there.

    Raises:
        HostError: it cannot be made, or is something else.
    """
    folder = shared_path(name)
    make_shared(folder)
    return folder


def shared_path(name: str) -> Path:
    """Where `shared_folder` is, made or not."""
    return MACHINE_FOLDER / name


def make_shared(folder: Path) -> None:
    """Make the folder, open to all users of this machine, if it is not there.

    Unlike /tmp it is not sticky: in a sticky folder nobody can remove a file of another user's, and
    the kernel lets nobody open one for writing (fs.protected_regular).

    Raises:
        HostError: it cannot be made, or is something else.
    """
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            folder.chmod(0o777)  # a mode given to mkdir is cut by the umask
        usable = folder.is_dir() and not folder.is_symlink()
    except OSError as error:
        raise HostError(
            f"making {folder}: {error.strerror or error}",
            hint="all users of this machine need that folder, and to be able to write there",
        ) from error
    if not usable:
        raise HostError(f"using {folder}: it is no folder", hint="remove it, or have it removed")


def container_name(run_id: str, role: str) -> str:
    return f"bakeoff-{run_id}-{role}"


def trial_container_name(run_id: str, trial: int) -> str:
    return f"bakeoff-{run_id}-trial-{trial:04d}"


def volume_name(run_id: str, purpose: str) -> str:
    return f"bakeoff-{run_id}-{purpose}"
