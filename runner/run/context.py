"""What the steps of a run share: its spec, its records, its inbox, and its train.py."""

from __future__ import annotations

import platform
import queue
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from runner import __version__
from runner.agents import Agent, load_agent
from runner.build import images, inventory
from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import EngineInfo
from runner.engine.kinds import runtime_record
from runner.errors import ImageError
from runner.records.files import write_whole
from runner.records.journal import Journal
from runner.records.layout import ROOT, RunDir
from runner.records.runtime import RUNTIME
from runner.sandbox.peer import Inbox, Show
from runner.sandbox.sandbox import new_token
from runner.spec import RunSpec
from runner.tasks import Task, pristine_text
from runner.trials.judging import Judging
from runner.trials.ledger import Ledger

# If no runner comes back, containers end by themselves after the wall budget several times over:
# runs that share a device take turns, and the time that they wait is given back to them.
WALL_BUDGETS = 4.0
SPARE_SECONDS = 24 * 3600.0
LONGEST_SECONDS = 14 * 24 * 3600.0  # of a run without a wall budget
TRAINS_ON = "trains_on"  # of `versions`


@dataclass(frozen=True)
class RunContext:
    """What the steps after the preflight share.

    Attributes:
        spec: the run, as it was asked for.
        engine: where its containers run.
        run_dir: where its records go.
        task: what is trained.
        data_volume: the engine's volume with the task's data.
        show: is given (role, line) of what the containers print for people.
        pristine: the task's train.py, with which every contestant begins.
        token: what the contestant shows the gateway.
        resumed: an earlier life of the run let the contestant work.
        judging: the sessions of the run's judge.
    """

    spec: RunSpec
    engine: Engine
    run_dir: RunDir
    task: Task
    data_volume: str
    show: Show
    journal: Journal
    ledger: Ledger
    inbox: Inbox
    pristine: str
    token: str
    resumed: bool = False
    judging: Judging = field(default_factory=Judging)

    @cached_property
    def machine(self) -> EngineInfo:
        """The engine's machine, as it is in this life of the run."""
        return self.engine.info()

    def agent(self) -> Agent:
        """The agent that competes in this run."""
        return load_agent(self.spec.contestant, self.spec.model, self.spec.context_tokens)

    @property
    def branch(self) -> str:
        """The git branch in which an agent works."""
        return f"bakeoff/{self.spec.run_id}"

    @property
    def deadline_seconds(self) -> float:
        """When a container of this run ends by itself, counted from its start."""
        hours = self.spec.budget.hours
        wall = LONGEST_SECONDS if hours is None else WALL_BUDGETS * hours * 3600 + SPARE_SECONDS
        return wall + self.spec.grace_seconds

    def image(self, name: str) -> str:
        """The image of that name that the run began with, by its content.

        Raises:
            ImageError: the engine no longer has it.
        """
        digest = str(self.spec.versions["images"][name])
        if not self.engine.image_digest(digest):
            raise ImageError(
                f"running {self.spec.run_id}: the image {name} that it began with is gone",
                hint=f"`make stop RUN={self.spec.run_id}` collects it; begin another run",
            )
        return digest


def open_context(
    spec: RunSpec,
    engine: Engine,
    run_dir: RunDir,
    task: Task,
    data_volume: str,
    show: Show,
    *,
    resumed: bool = False,
) -> RunContext:
    """Open the records of a run; the task's train.py is kept there if it is not yet.

    Raises:
        HostError: the run's directory cannot be written.
    """
    return RunContext(
        spec=spec,
        engine=engine,
        run_dir=run_dir,
        task=task,
        data_volume=data_volume,
        show=show,
        journal=Journal(run_dir),
        ledger=Ledger(run_dir, spec.metric),
        inbox=queue.Queue(),
        pristine=_pristine(run_dir, task),
        token=new_token(),
        resumed=resumed,
    )


def _pristine(run_dir: RunDir, task: Task) -> str:
    """The task's train.py that this run began with; a resumed run has the very same."""
    if not run_dir.pristine.exists():
        write_whole(run_dir.pristine, pristine_text(task))
    return run_dir.pristine.read_text(encoding="utf-8")


def image_names(spec: RunSpec) -> list[str]:
    """The images that this run needs."""
    is_agent = spec.kind == "agent"
    contestant = f"agent-{load_agent(spec.contestant).spec.cli}" if is_agent else "optimizer"
    relay = ["relay"] if spec.storage is not None else []
    model = ["gateway", *(["rehearsal"] if spec.rehearsed else [])]
    return ["trainer", "data", contestant, *relay, *(model if spec.uses_model else [])]


def versions(spec: RunSpec, engine: Engine, volume: str) -> dict[str, Any]:
    """What exactly runs: the commit, the images by content with all that they hold, the data."""
    digests = {name: engine.image_digest(image_tag(name)) for name in image_names(spec)}
    return {
        "bakeoff": __version__,
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "engine": engine.info().version,
        "engine_kind": engine.info().kind,
        "machine": engine.info().id,
        RUNTIME: runtime_record(engine.info(), spec.runtime).model_dump(mode="json"),
        TRAINS_ON: trains_on(spec, engine),
        "images": digests,
        "base": (engine.image_labels(image_tag("trainer")) or {}).get(images.LABEL_ORIGIN, ""),
        "data": volume,
        "software": {name: inventory.installed(engine, one) for name, one in digests.items()},
    }


def trains_on(spec: RunSpec, engine: Engine) -> str:
    """What a trial trains on, in words for a model."""
    if spec.all_gpus:
        return "one GPU"
    cores = engine.info().cpus // spec.cpu_sets
    return "one processor core" if cores == 1 else f"{cores} processor cores"


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace").strip()
