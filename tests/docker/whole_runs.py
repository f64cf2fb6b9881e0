"""Whole runs on the engine, seen through in this process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from runner.engine.client import Engine
from runner.records.files import read_lines
from runner.records.layout import ROOT, RunDir
from runner.records.schema import RunResult, TrialRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import RunSpec


def copy_checkout(folder: Path) -> None:
    """Copy the files that git holds, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def through(engine: Engine, spec: RunSpec, runs: Path) -> tuple[RunResult, list[TrialRecord]]:
    """See the run through; its result and its ledger."""
    try:
        result = lifecycle.start(spec, engine, runs, lambda *_: None)
    finally:
        left = remove_run(engine, spec.run_id)
    assert left == 0, "something was left on the engine"
    return result, list(read_lines(RunDir(runs / spec.run_id).trials, TrialRecord))
