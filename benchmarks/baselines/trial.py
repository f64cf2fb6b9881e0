"""What a whole trial costs beside its training and its scoring, in real runs of a few trials.

Between two trials lie the end of one (its records, its container's removal), what the sampler is
told and asked, and the start of the next. Within a trial, it is all but the process of train.py:
making, starting and ending its container. Beside them stands what the engine's own command line
takes for a container that does nothing.
"""

from __future__ import annotations

import itertools
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from benchmarks.survival.live_run import LiveRun
from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.records.schema import TrialRecord
from runner.sandbox.removal import remove_run

TRIALS, TRAIN_SECONDS = 9, 1
BARE_RUNS = 7


def measured(sampler: str) -> dict[str, float]:
    """Medians over the trials of one run, seconds: `between`, `within`, `bare` and `beyond`.

    `beyond` is what a trial takes beyond a bare container: the first two less the third.
    """
    seed = random.SystemRandom().randrange(10**6, 10**9)
    engine = Engine.connect()
    with tempfile.TemporaryDirectory() as folder:
        run = LiveRun(Path(folder), f"{sampler}-s{seed}", engine, None)
        try:
            run.start(
                "baseline", sampler, "--seed", str(seed), "--verify", "none", "--trials",
                str(TRIALS), "--trial-seconds", str(TRAIN_SECONDS),
            )  # fmt: skip
            if run.ended() != 0:
                raise SystemExit(f"error: the run of {sampler} failed:\n{run.output()[-4000:]}")
            trials = run.trials()
        finally:
            run.kill()
            remove_run(engine, run.run_id)
            engine.close()
    ok = [trial for trial in trials if trial.status == "ok"]
    within = statistics.median(
        one.wall_seconds - one.training_seconds - one.scoring_seconds for one in ok
    )
    between, bare = statistics.median(gaps(trials)), bare_container()
    return {"between": between, "within": within, "bare": bare, "beyond": between + within - bare}


def gaps(trials: list[TrialRecord]) -> list[float]:
    """From the end of each trial to the start of the next, seconds."""
    return [
        (moment(after.started_at) - moment(before.ended_at)).total_seconds()
        for before, after in itertools.pairwise(trials)
    ]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def bare_container() -> float:
    """The median time of `docker run --rm` with the trainer's image and nothing to do, seconds."""
    docker = shutil.which("docker")
    if docker is None:
        raise SystemExit("error: there is no docker command to compare with")
    took = []
    for _ in range(BARE_RUNS):
        began = time.monotonic()
        subprocess.run(
            [docker, "run", "--rm", "--network", "none", "--entrypoint", "true",
             image_tag("trainer")],
            check=True,
        )  # fmt: skip
        took.append(time.monotonic() - began)
    return statistics.median(took)


def table(found: dict[str, dict[str, float]]) -> str:
    """Seconds of a trial beside its training and scoring, as Markdown."""
    lines = [
        "| sampler | between two trials, s | within, s | bare `docker run`, s | beyond it, s |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, its in found.items():
        figures = (its[key] for key in ("between", "within", "bare", "beyond"))
        lines.append(f"| {name} | {' | '.join(f'{one:.2f}' for one in figures)} |")
    return "\n".join(lines) + "\n"
