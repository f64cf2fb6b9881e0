"""Serves one batch of a handed-out model: it has the text and the model, and no memory.

A contestant's code runs here: the text is loaded as a module, without its `main`, and the model is
unpickled. The container ends after one batch, so an answer cannot depend on what another batch
showed. It has no data, and no place to write to. PID 1 only waits for the child that does this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

from judge_terms import JUDGE_SOCKET

FOLDER = Path("/fresh")  # train.py, model.pt, and serve.json with what the host says
TRAINER = Path("/opt/trainer")
CHILD = "--child"
EXIT_NO_MODEL, EXIT_LATE = 3, 4


def main() -> int:
    """PID 1: run the child with the environment of a trial, for so long at most."""
    said = json.loads((FOLDER / "serve.json").read_text())
    environment = {
        **os.environ,
        "PYTHONPATH": str(TRAINER),
        "OMP_NUM_THREADS": str(said["threads"]),
        "BAKEOFF_JUDGE": JUDGE_SOCKET,
        "BAKEOFF_JUDGE_TOKEN": str(said["token"]),
    }
    command = [sys.executable, "-u", __file__, CHILD, str(said["task"])]
    try:
        return subprocess.run(
            command, env=environment, timeout=said["seconds"], check=False
        ).returncode
    except subprocess.TimeoutExpired:
        print("the model did not answer in time", flush=True)
        return EXIT_LATE


def serve(task_name: str) -> int:
    """Load the model and let the judge ask it once."""
    import torch
    from catalog import named_task
    from device import find_device
    from frames import MAX_ROWS
    from scoring import evaluate_bpb

    device = find_device()
    torch.set_float32_matmul_precision("high")  # as ours does
    try:
        load_text((FOLDER / "train.py").read_text(encoding="utf-8"))
        model = torch.load(FOLDER / "model.pt", map_location=device.torch, weights_only=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a contestant's code may raise anything
        print(f"the model is not loaded: {type(error).__name__}: {error}"[:300], flush=True)
        return EXIT_NO_MODEL
    evaluate_bpb(model, named_task(task_name), MAX_ROWS, device.torch)
    return 0


def load_text(text: str) -> types.ModuleType:
    """Run a train.py as a module that is not the main one, so that its `main` does not run.

    Pickles name the classes of a main module by `__main__`, so it gets that name as well.
    """
    module, place = types.ModuleType("train"), str(FOLDER / "train.py")
    module.__file__ = place
    sys.modules["train"] = module
    exec(compile(text, place, "exec"), module.__dict__)
    sys.modules["__main__"] = module
    return module


if __name__ == "__main__":
    sys.exit(serve(sys.argv[2]) if sys.argv[1:2] == [CHILD] else main())
