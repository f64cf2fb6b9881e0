"""An optimizer's container as the runner makes it, and the runner's end of it."""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.wire.messages import Message, Started, TrialFinished, TrialRequested

from .program_end import ProgramEnd

IMAGE = os.environ.get("BAKEOFF_TEST_OPTIMIZER_IMAGE", "bakeoff/optimizer:0.1.0")
SPACE: dict[str, Any] = {
    "DEPTH": {"type": "int", "low": 2, "high": 8, "default": 4},
    "TOTAL_BATCH_SIZE": {"type": "int", "low": 4096, "high": 65536, "log": True, "default": 16384},
    "MATRIX_LR": {"type": "float", "low": 0.005, "high": 0.2, "log": True, "default": 0.04},
    "WARMUP_RATIO": {
        "type": "float", "low": 0.0, "high": 0.3, "default": 0.0,
        "when": {"knob": "WINDOW_PATTERN", "values": ["SL", "SSSL"]},
    },
    "WINDOW_PATTERN": {"type": "categorical", "choices": ["SL", "L", "SSSL"], "default": "L"},
}  # fmt: skip
DEFAULTS = {name: knob["default"] for name, knob in SPACE.items()}
CRASHED, PRUNED = 3, 6  # two trials of every history, so that their telling is replayed as well
Damage = Callable[[bytes, list[bytes]], bytes]  # of the whole journal, and of its lines
M = TypeVar("M", bound=Message)


def loss(knobs: dict[str, Any]) -> float:
    """A stand-in for a value: lowest at a rate of 0.02 and a pattern of SSSL; deeper is better."""
    pattern: float = {"SL": 0.1, "L": 0.05, "SSSL": 0.0}[knobs["WINDOW_PATTERN"]]
    rate = math.log(knobs["MATRIX_LR"] / 0.02) ** 2
    batch = math.log(knobs["TOTAL_BATCH_SIZE"] / 8192) ** 2
    return float(2.0 + 0.1 * rate + 0.05 * batch + pattern - 0.02 * knobs["DEPTH"])


def answer(request: TrialRequested) -> TrialFinished:
    """What the ledger would say of a trial: one crashes, one is pruned, the others are measured."""
    number = int(request.request.rpartition("-")[2])
    status = {CRASHED: "crash", PRUNED: "pruned"}.get(number, "ok")
    value = None if status == "crash" else loss(request.knobs)
    batch = request.knobs["TOTAL_BATCH_SIZE"]
    summary = {"depth": 4.0, "TOTAL_BATCH_SIZE": 4096.0 * round(batch / 4096)}
    return TrialFinished(request.request, number, status, value, 1.0, summary)


@dataclass
class Optimizer(ProgramEnd):
    """The runner's end of one optimizer container, which may be killed and started again."""

    config: dict[str, Any]
    volume: str

    def up(self) -> Started:
        """Start the container (again), give it its config, and wait until it works."""
        self.start(self.config)
        return self.next(Started)

    def kill(self) -> None:
        self.engine.kill(self.container)
        assert self.engine.wait_exit(self.container, 20)

    def journal(self) -> bytes:
        """The study's journal as it is on the volume."""
        return self.engine.get_file(self.container, "/state/journal.log", 1 << 20) or b""

    def damage(self, damaged: Damage) -> None:
        """Change the journal on the volume, while the container is stopped."""
        whole = self.journal()
        changed = damaged(whole, whole.splitlines(keepends=True))
        self.engine.put_files(self.container, "/state", {"journal.log": changed})


Make = Callable[..., Optimizer]


@contextlib.contextmanager
def optimizers(engine: Engine) -> Iterator[Make]:
    """Make optimizers as the runner does, each with a state volume; remove them at the end."""
    made: list[Optimizer] = []

    def make(sampler: str = "random", seed: int = 1, **config: Any) -> Optimizer:
        run_id = f"test-{uuid.uuid4().hex[:8]}"
        volume = f"bakeoff-{run_id}-state"
        engine.create_volume(volume, run_id=run_id)
        spec = ContainerSpec(
            name=f"bakeoff-{run_id}-optimizer",
            image=IMAGE,
            run_id=run_id,
            role="optimizer",
            mounts=(Mount(volume, "/state"),),
            tmpfs={"/tmp": 64 << 20},
        )
        container = engine.create(spec)
        whole = {
            "sampler": sampler, "seed": seed, "space": SPACE, "direction": "minimize",
            "deadline_seconds": 300,
        }  # fmt: skip
        made.append(Optimizer(engine, container, whole | config, volume))
        return made[-1]

    try:
        yield make
    finally:
        for optimizer in made:
            optimizer.hang_up()
            engine.remove(optimizer.container)
            engine.remove_volume(optimizer.volume)
