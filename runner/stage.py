"""A run on its way: the spec, the records and the inbox that all later steps share."""

from __future__ import annotations

import platform
import queue
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from runner import __version__, images, inventory
from runner.agents import Agent, load_agent
from runner.engine import Engine
from runner.errors import ImageError
from runner.journal import Journal
from runner.layout import ROOT, RunDir
from runner.records import write_whole
from runner.sandbox import Inbox, Show, new_token
from runner.spec import RunSpec, Task
from runner.trials.ledger import Ledger
from trainer import constants

# Containers end themselves after this, should no runner come back: the wall budget several times
# over, because runs that share a device wait for it in turns and get that time back.
REFUNDS = 4.0
SPARE_SECONDS = 24 * 3600.0
LONGEST_SECONDS = 14 * 24 * 3600.0  # a run without a wall budget


@dataclass
class Stage:
    """What the steps after the preflight share."""

    spec: RunSpec
    engine: Engine
    run_dir: RunDir
    task: Task
    data_volume: str
    show: Show
    resumed: bool = False

    def __post_init__(self) -> None:
        self.journal = Journal(self.run_dir)
        self.ledger = Ledger(self.run_dir)
        self.inbox: Inbox = queue.Queue()
        self.token = new_token()
        self.pristine = self._pristine()

    def agent(self) -> Agent:
        return load_agent(self.spec.contestant, self.spec.model, self.spec.context_tokens)

    @property
    def deadline_seconds(self) -> float:
        hours = self.spec.budget.hours
        wall = LONGEST_SECONDS if hours is None else REFUNDS * hours * 3600 + SPARE_SECONDS
        return wall + self.spec.grace_seconds

    def image(self, name: str) -> str:
        """The image of that name by its content, as it was when the run began.

        Raises:
            ImageError: it is gone from the engine.
        """
        digest = str(self.spec.versions["images"][name])
        if not self.engine.image_digest(digest):
            raise ImageError(
                f"running {self.spec.run_id}: image {name} that it began with is gone",
                hint=f"`make stop RUN={self.spec.run_id}` collects it; begin another run",
            )
        return digest

    def _pristine(self) -> str:
        """The task's train.py that this run began with; a resumed run has the very same."""
        path = self.run_dir.pristine
        if not path.exists():
            source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
            write_whole(path, constants.rewrite(source, self.task.knobs))
        return path.read_text(encoding="utf-8")


def image_names(spec: RunSpec) -> list[str]:
    """The images that this run needs."""
    if spec.kind == "baseline":
        return ["trainer", "optimizer"]
    return images.needed_for(cli=load_agent(spec.contestant).spec.cli, rehearsal=spec.rehearsed)


def versions(spec: RunSpec, engine: Engine, volume: str) -> dict[str, Any]:
    """What exactly ran: commit, images by content and with all that they hold, data."""
    digests = {name: engine.image_digest(image_tag(name)) for name in image_names(spec)}
    return {
        "bakeoff": __version__,
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "engine": engine.info().version,
        "images": digests,
        "base": (engine.image_labels(image_tag("trainer")) or {}).get(images.LABEL_ORIGIN, ""),
        "data": volume,
        "software": {name: inventory.installed(engine, one) for name, one in digests.items()},
    }


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def image_tag(name: str) -> str:
    return images.load_table()[name].tag
