"""The time of real trials: what the kernel counts, what is charged, and what is found.

Work is given in processor seconds, so that a busy machine makes a test longer and not wrong.
"""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runner import calibration
from runner.build import images
from runner.build.images import image_tag
from runner.calibration import Calibration, Place
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import Mount
from runner.metrics import VAL_BPB
from runner.spec import Budget, RunSpec
from runner.task_data import heldout_volume
from runner.tasks import load_task, pristine_text
from runner.timing.counts import is_disturbed, read_counts
from runner.timing.findings import Allowances
from runner.trials.executor import DISTURBED
from runner.trials.terms import CHECK
from runner.wire.messages import TrialExited

from .trainer_rig import IMAGE, run, spec, trial
from .trial_rig import TrialRig, scored

pytestmark = pytest.mark.alone  # time is what is measured here

NAMES = {
    "cpu_seconds", "throttled_seconds", "waited_seconds", "pressure_seconds", "gpu_seconds",
    "others_seconds", "stolen_seconds", "read_bytes", "written_bytes", "samples",
}  # fmt: skip
TWO_BURN = """
import multiprocessing, time
def burn():
    while time.process_time() < {seconds}:
        pass
both = [multiprocessing.Process(target=burn) for _ in range(2)]
for one in both:
    one.start()
for one in both:
    one.join()
"""
NEIGHBOUR = "import os\nos.fork()\nos.fork()\nos.write(1, b'burns\\n')\nwhile True: pass\n"
PATIENT = {"limit_seconds": 400.0, "deadline_seconds": 500.0}  # for a busy machine
HEAVY = 2 * 1024  # the neighbour's weight on a contended processor; a trial has 1024
# While it is scored, the model computes for a while, and so does a thread that it has left behind.
LEFT_BEHIND = """
import multiprocessing, time
def burn(seconds):
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass
left = []
def compute():
    if not left:
        left.append(multiprocessing.Process(target=burn, args=(60,), daemon=True))
        left[0].start()
    burn(0.5)
"""


@pytest.fixture(scope="module", autouse=True)
def _built(engine: Engine) -> None:
    images.ensure(engine, ["trainer", "data"])


@contextlib.contextmanager
def neighbour(engine: Engine) -> Iterator[None]:
    """Four processes of another container that want every processor, with two trials' weight."""
    wanted = replace(
        spec(IMAGE, role="cleanup", cpus=2.0, command=["python", "-c", NEIGHBOUR]),
        cpu_weight=HEAVY,
    )
    container = engine.create(wanted)
    try:
        channel = engine.attach(container)
        engine.start(container)
        burning = (line for _, line in channel.lines() if "burns" in line)
        assert sum(1 for _ in zip(range(4), burning, strict=False)) == 4
        channel.close()
        yield
    finally:
        engine.remove(container)


def disturbed(exited: TrialExited) -> bool:
    counts = read_counts(exited.measured)
    return is_disturbed(counts[0], counts[-1], exited.seconds, 0.0)


# --- what the kernel counts -----------------------------------------------------------------------


def test_a_trial_that_sleeps_uses_no_processor(engine: Engine) -> None:
    """Its start costs a little, its sleep nothing, and nobody disturbs a sleeper."""
    exited = trial(engine, "import time\ntime.sleep(8)\n").exited
    assert set(exited.measured) == NAMES
    assert exited.seconds >= 8
    assert 0 < exited.measured["cpu_seconds"] < 1
    assert len(exited.measured["samples"]) > 10
    assert not disturbed(exited)


def test_processor_time_of_all_processes_is_counted(engine: Engine) -> None:
    """Two children that compute for a second each are two seconds, and two busy threads."""
    exited = trial(engine, TWO_BURN.format(seconds=1), limits={"cpus": 2.0}, **PATIENT).exited
    assert 2 <= exited.measured["cpu_seconds"] < 3.5
    assert max(count.busy_threads for count in read_counts(exited.measured)) >= 2


def test_bytes_that_reach_no_disk_are_none(engine: Engine) -> None:
    """/trial is in memory: what a trial writes there is not written to a disk."""
    exited = trial(engine, "open('big', 'wb').write(bytes(10_000_000))\n").exited
    assert exited.measured["written_bytes"] in (0, None)


def test_a_trial_beside_a_heavy_neighbour_is_disturbed(engine: Engine) -> None:
    """It waited for processors that another container had."""
    with neighbour(engine):
        exited = trial(engine, TWO_BURN.format(seconds=0.3), limits={"cpus": 2.0}, **PATIENT).exited
    assert exited.measured["waited_seconds"] > 0.5
    assert exited.measured["others_seconds"] > exited.measured["cpu_seconds"]
    assert disturbed(exited)


# --- what is charged, and what is found -----------------------------------------------------------


def test_a_tiny_declared_time_costs_what_it_took(rig: TrialRig) -> None:
    """The text declares a hundredth of a second and takes six: charged by the host's clock."""
    executor = rig.executor(train_seconds=30.0, limit_seconds=300.0, allowances=Allowances(1.0))
    record = rig.run(f"import time\ntime.sleep(6)\n{scored()}", executor)
    assert record.status == "ok"
    assert record.declared_seconds == 0.01
    assert record.train_seconds == pytest.approx(record.training_seconds - 1.0, abs=0.01)
    assert record.train_seconds > 5
    assert "declared time" in [verdict.name for verdict in record.verdicts]
    assert record.measured.cpu_seconds is not None
    assert record.measured.cpu_seconds_training is not None
    assert record.measured.cpu_seconds_training <= record.measured.cpu_seconds


def test_a_training_far_beyond_its_time_has_no_score(rig: TrialRig) -> None:
    """What a slowed clock gains: sixteen seconds for one are rejected."""
    executor = rig.executor(train_seconds=1.0, limit_seconds=300.0, allowances=Allowances(1.0))
    record = rig.run(f"import time\ntime.sleep(16)\n{scored()}", executor)
    names = [verdict.name for verdict in record.verdicts]
    assert (record.status, "overtime" in names) == ("rejected", True)
    assert record.train_seconds > 14


def test_work_that_goes_on_while_it_is_scored_is_seen(rig: TrialRig) -> None:
    """A child computes beside the model: it is said, and the scoring is charged as training."""
    text = f"{LEFT_BEHIND}{scored(before='compute()')}"
    executor = rig.executor(train_seconds=30.0, limit_seconds=300.0, allowances=Allowances(60.0))
    record = rig.run(text, executor)
    assert record.status == "ok"
    found = {verdict.name: verdict for verdict in record.verdicts}
    assert "computing during scoring" in found
    assert found["computing during scoring"].numbers["threads"] >= 2
    assert record.train_seconds >= record.scoring_seconds


def test_an_honest_trial_has_no_verdict(rig: TrialRig) -> None:
    """A model that computes while it is scored, alone, does what scoring needs."""
    text = f"{LEFT_BEHIND}left.append(1)\n{scored(before='compute()')}"
    executor = rig.executor(train_seconds=30.0, limit_seconds=300.0, allowances=Allowances(60.0))
    record = rig.run(text, executor)
    assert (record.status, [v for v in record.verdicts if v.by == "probe"]) == ("ok", [])


# --- checks, and trials that run again ------------------------------------------------------------


def test_a_check_runs_three_steps_and_one_batch(rig: TrialRig) -> None:
    """It has no value, all of its output is passed on, and its files are beside the trials."""
    text = f"import os\nprint('steps', os.environ['BAKEOFF_MAX_STEPS'])\n{scored()}print('after')\n"
    rig.lines.clear()
    record = rig.executor(limit_seconds=300.0, allowances=Allowances(200.0)).run(
        rig.order(text, CHECK), rig.watch()
    )
    assert (record.status, record.reason, record.value) == ("ok", "", None)
    assert rig.lines[0] == "steps 3"
    assert rig.lines[-1] == "after"
    assert (rig.run_dir.last_check / "train.py").read_text() == text


def test_a_check_finds_what_does_not_run(rig: TrialRig) -> None:
    """A slip in the text, and logits of a wrong shape."""
    executor = rig.executor(limit_seconds=300.0, allowances=Allowances(200.0))
    slip = executor.run(rig.order("import torch\nDEPHT\n", CHECK), rig.watch())
    assert slip.status == "crash"
    assert "NameError" in slip.reason
    shape = executor.run(rig.order(scored("torch.zeros(2, 3)"), CHECK), rig.watch())
    assert shape.status in ("rejected", "crash")


def test_a_disturbed_trial_runs_again_once(rig: TrialRig) -> None:
    """Both records are kept; the first counts for nothing, and its log is beside the second's."""
    text = f"{TWO_BURN.format(seconds=0.5)}\n{scored()}"
    executor = rig.executor(train_seconds=30.0, limit_seconds=300.0, retry_disturbed=True, cpus=2.0)
    with neighbour(rig.engine):
        record = rig.run(text, executor)
    assert rig.repeated == [DISTURBED]
    assert record.first_attempt is not None
    assert record.first_attempt.disturbed
    assert record.first_attempt.first_attempt is None
    assert record.first_attempt.status == "ok"
    assert (rig.run_dir.trial(record.trial) / "first.log").exists()


# --- calibration ----------------------------------------------------------------------------------


def test_the_pristine_train_py_is_measured_once(engine: Engine, rig: TrialRig) -> None:
    """Its times and the reference are kept, and a second run takes them from there."""
    task = load_task("pystdlib")
    asked = RunSpec(
        run_id="random-s1", kind="baseline", contestant="random", seed=1, task=task.name,
        metric=VAL_BPB, budget=Budget(trials=1), trial_seconds=2.0,
    )  # fmt: skip
    image = engine.image_digest(image_tag("trainer"))
    text = f"{pristine_text(task)}\n# {uuid.uuid4()}\n"  # a key of this test's own
    place = Place(engine, asked, task, image, rig.data_volume, text)
    second = replace(place, spec=asked.model_copy(update={"run_id": "random-s2", "seed": 2}))
    try:
        kept = measured_once(place)
        said: list[str] = []
        assert calibration.ensure(second, lambda _role, line: said.append(line)) == kept
        assert said == []
    finally:
        remove_kept(place)


def measured_once(place: Place) -> Calibration:
    """What is measured where nothing is kept; again, as documented, if other load disturbed it."""
    assert calibration.read_facts(place) is None
    said: list[str] = []
    found = calibration.ensure(place, lambda _role, line: said.append(line))
    assert any("measuring the pristine train.py" in line for line in said)
    while not calibration.will_do(found.facts, place.train_seconds):
        found = calibration.ensure(place, lambda *_: None)
    facts = found.facts
    assert facts.overhead_seconds > 0.3  # importing torch alone takes longer
    assert facts.scoring_seconds > 1.0
    assert calibration.read_facts(place) == facts
    longest = place.task.limit_seconds
    allowed = facts.allowances(longest).start_seconds
    assert min(facts.overhead_seconds, longest) <= allowed <= longest
    losses = reference_of(place)
    assert losses.shape[1] == place.task.sequence_tokens
    assert losses.size > 100_000
    assert 0 < losses.mean(dtype=float) < 7.5  # nats a token; one of 1,024 by chance is 6.9
    return found


def reference_of(place: Place) -> Any:
    """The losses that are kept for the audit, in nats, [rows, T]; NaN is in none of them."""
    mounts = (Mount(heldout_volume(place.data_volume), "/heldout", read_only=True),)
    path = f"/heldout/reference-{place.key}.npy"
    content = one_off.read_file(place.engine, spec(IMAGE, mounts=mounts), path, 64 << 20)
    assert content is not None
    losses = np.load(io.BytesIO(content))
    assert losses.dtype == np.float16
    assert np.isfinite(losses).all()
    return losses


def remove_kept(place: Place) -> None:
    """Leave the task's volume as it was."""
    volume = heldout_volume(place.data_volume)
    command = ["sh", "-c", f"rm -f /heldout/*-{place.key}.*"]
    run(place.engine, spec(IMAGE, command=command, mounts=(Mount(volume, "/heldout"),)))
