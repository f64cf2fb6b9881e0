"""The default task's own calibration on this machine, which all runs of these tests then share."""

from __future__ import annotations

import pytest

from runner import calibration, task_data
from runner.build import images
from runner.build.images import image_tag
from runner.calibration import Place
from runner.calibration.facts import GOOD_ENOUGH, will_do
from runner.calibration.measuring import LONGEST_TRAINING
from runner.engine.client import Engine
from runner.metrics import VAL_BPB
from runner.spec import Budget, RunSpec
from runner.tasks import load_task, pristine_text


@pytest.mark.alone  # a busy machine would be measured again by each of the next runs
def test_the_default_task_is_measured_once_for_all_runs(engine: Engine) -> None:
    """What the longest calibration left serves every shorter run, and nothing is measured again."""
    images.ensure(engine, ["trainer", "data"])
    task = load_task("pystdlib")
    data = task_data.ensure(engine, image_tag("data"), task, [], print)
    image = engine.image_digest(image_tag("trainer"))
    found = []
    for seconds in (LONGEST_TRAINING, LONGEST_TRAINING / 10):
        spec = RunSpec(
            run_id="random-s1", kind="baseline", contestant="random", seed=1, task=task.name,
            metric=VAL_BPB, budget=Budget(trials=1), trial_seconds=seconds,
        )  # fmt: skip
        place = Place(engine, spec, task, image, data, pristine_text(task))
        found.append(calibration.ensure(place, print))
    longest, shorter = found
    assert shorter.key == longest.key
    assert longest.facts.train_seconds >= GOOD_ENOUGH * LONGEST_TRAINING
    if will_do(longest.facts, LONGEST_TRAINING):
        assert shorter == longest
