"""A run on its way: the spec, the records and the inbox that all later steps share."""

from __future__ import annotations

import platform
import queue
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runner import __version__, images
from runner.agents import Agent, load_agent
from runner.engine import Engine
from runner.journal import Journal
from runner.layout import ROOT, RunDir
from runner.sandbox import Inbox, new_token
from runner.spec import RunSpec, Task
from runner.trials.ledger import Ledger
from trainer import constants

Show = Callable[[str, str], None]

SPARE_SECONDS = 3600.0  # for refunds, beyond twice the wall budget, until containers end themselves
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
        source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
        self.pristine = constants.rewrite(source, self.task.knobs)

    def agent(self) -> Agent:
        return load_agent(self.spec.contestant, self.spec.model)

    @property
    def deadline_seconds(self) -> float:
        hours = self.spec.budget.hours
        wall = LONGEST_SECONDS if hours is None else 2 * hours * 3600 + SPARE_SECONDS
        return wall + self.spec.grace_seconds


def image_names(spec: RunSpec) -> list[str]:
    """The images that this run needs."""
    if spec.kind == "baseline":
        return ["trainer", "optimizer"]
    return images.needed_for(cli=load_agent(spec.contestant).spec.cli, rehearsal=spec.rehearsed)


def versions(spec: RunSpec, engine: Engine, volume: str) -> dict[str, Any]:
    """What exactly ran: software, commit, images by content, data."""
    return {
        "bakeoff": __version__,
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "engine": engine.info().version,
        "images": {name: engine.image_digest(image_tag(name)) for name in image_names(spec)},
        "data": volume,
    }


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def image_tag(name: str) -> str:
    return images.load_table()[name].tag
