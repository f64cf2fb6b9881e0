"""A study or a handed-out model that takes too much of the disk ends its container or its trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.engine.client import Engine
from runner.trials.terms import CONTESTANT
from runner.wire.config_reader import read_config
from runner.wire.disk_use import Exceeded
from runner.wire.messages import DiskExceeded, Message, Started, Stopped, TrialRequested
from tests.docker.optimizer_rig import Make, optimizers
from tests.docker.trial_rig import TrialRig

MB = 1 << 20
BOUND = {"max_bytes": 64 * MB, "max_files": 1_000}
FILLING = """
import threading
import time
from pathlib import Path

import optuna


def write():
    for number in range(1_000_000):
        Path(f"/state/cache-{number}").write_bytes(bytes(4 << 20))
        time.sleep(0.1)


threading.Thread(target=write, daemon=True).start()


def Filling(seed):
    return optuna.samplers.RandomSampler(seed=seed)
"""
HANDS_OUT_TOO_MUCH = """
import os
import time
for number in range(20):
    with open(f"/handout/part-{number}", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 64 << 20)
time.sleep(600)
"""
ONE_LARGE_FILE = """
with open("/handout/model.pt", "wb") as file:
    file.truncate(2 << 30)
"""


@pytest.fixture
def make(engine: Engine) -> Iterator[Make]:
    with optimizers(engine) as made:
        yield made


def test_an_optimizer_whose_study_grows_without_end_ends(make: Make) -> None:
    """It says what it took, and stops; its study stays as it is."""
    own = {"file": "filling.py", "factory": "Filling", "text": FILLING}
    optimizer = make("filling", own=own, disk=BOUND)
    optimizer.start(optimizer.config)
    while not isinstance(message := optimizer.next(Message), DiskExceeded):
        assert isinstance(message, Started | TrialRequested)  # the disk may come before them
    said = read_config(Exceeded, message.found)
    assert said.path == "/state"
    assert BOUND["max_bytes"] < said.bytes < 4 * BOUND["max_bytes"]
    assert "the study takes" in optimizer.next(Stopped).reason
    assert optimizer.end().exit_code == 1
    assert optimizer.journal()


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [(HANDS_OUT_TOO_MUCH, "killed", "disk"), (ONE_LARGE_FILE, "crash", "File too large")],
)
def test_a_trial_that_hands_out_too_much_is_ended(
    text: str, status: str, words: str, engine: Engine, tmp_path: Path
) -> None:
    """The volume of its model is bounded by PID 1, and each file of its own by the kernel."""
    rig = TrialRig(engine, tmp_path)
    try:
        order = rig.order(text, replace(CONTESTANT, hand_out=rig.volume))
        record = rig.executor().run(order, rig.watch())
    finally:
        rig.remove()
    assert (record.status, words in record.reason) == (status, True), record
