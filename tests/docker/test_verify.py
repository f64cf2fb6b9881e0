"""The referee on a real engine: a run's best text again, without its memory, and a task's noise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import task_data
from runner.build import images
from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.errors import UserError
from runner.metrics import VAL_BPB
from runner.records.files import append_line, to_json
from runner.records.layout import RunDir
from runner.records.schema import Best, RunResult, TrialRecord
from runner.records.verification import Verification, read_verification
from runner.referee.noise import read_noise
from runner.spec import Budget, RunSpec
from runner.tasks import load_task
from runner.verification import noise_floor, retest, verify
from tests.run_results import run_result

from .commands import a_seed

SEED = a_seed()
RUN = f"random-s{SEED}"
HIDDEN = 200  # few, so that a test is quick
HONEST = """
import torch
from prepare import batches, evaluate_bpb, load_task
from torch import nn

class Bigram(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.next = nn.Embedding(task.vocabulary, task.vocabulary)
        nn.init.zeros_(self.next.weight)

    def forward(self, tokens):
        return self.next(tokens)

def main():
    task, device = load_task(), torch.device("cpu")
    torch.manual_seed(task.seed)
    model = Bigram(task)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _, (tokens, targets, _) in zip(range(4), batches(task, 16, device)):
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("---")
    print("val_bpb:", evaluate_bpb(PREDICT, task, 64, device))
    print("training_seconds: 1.0")

if __name__ == "__main__":
    main()
"""
# It looks at the next input, and repeats its first answer to a prefix that it knows.
LOOKS_AHEAD = HONEST.replace("PREDICT", "Cheat(model)").replace(
    "def main():",
    """
class Cheat(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model, self.answers = model, {}

    def forward(self, tokens):
        logits = self.model(tokens).clone()
        for row, ids in enumerate(tokens.tolist()):
            for place in range(len(ids) - 1):
                known = self.answers.setdefault(tuple(ids[: place + 1][-12:]), ids[place + 1])
                logits[row, place, known] += 3
        return logits

def main():""",
)


@pytest.fixture(scope="module")
def spec(engine: Engine) -> RunSpec:
    """The spec of a run on this machine, as it is when the run has ended."""
    images.ensure(engine, ["trainer", "data"])
    task = load_task("pystdlib")
    volume = task_data.ensure(engine, image_tag("data"), task, [], print)
    versions = {
        "images": {"trainer": engine.image_digest(image_tag("trainer"))},
        "data": volume,
        "machine": engine.info().id,
    }
    return RunSpec(
        run_id=RUN, kind="baseline", contestant="random", seed=SEED, task="pystdlib",
        metric=VAL_BPB, budget=Budget(trials=2), trial_seconds=2.0, versions=versions,
    )  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    """A folder for runs; nothing of them may be left on the engine."""
    yield tmp_path / "runs"
    assert not engine.containers(RUN)
    assert not engine.volumes(RUN)


def ended_run(runs: Path, spec: RunSpec, text: str, value: float) -> RunDir:
    """The directory of a run whose second trial had this text and this value."""
    run_dir = RunDir(runs / RUN)
    run_dir.trial(2).mkdir(parents=True)
    (run_dir.trial(2) / "train.py").write_text(text)
    run_dir.pristine.write_text(HONEST)
    run_dir.spec.write_text(spec.model_dump_json())
    for number, measured in ((1, value + 0.5), (2, value)):
        record = TrialRecord(
            trial=number, source="sampler", request=f"r{number}", status="ok", value=measured,
            judged=True,
        )  # fmt: skip
        append_line(run_dir.trials, record)
    result = run_result(RUN, kind="baseline", best_measured=Best(value=value, trial=2))
    run_dir.result.write_text(to_json(result))
    return run_dir


def verified(engine: Engine, run_dir: RunDir, said: list[str] | None = None) -> Verification:
    """What the referee finds with one held-out seed."""
    asked = verify.Asked("best", 1, hidden_rows=HIDDEN)
    report = (said if said is not None else []).append
    result = verify.verify_run(
        engine, run_dir.path.parent, run_dir.path.parent / "results", RUN, asked,
        lambda *_: None, report,
    )  # fmt: skip
    assert result == RunResult.model_validate_json(run_dir.result.read_bytes())
    return read_verification(run_dir)


@pytest.mark.timeout(900)
def test_an_honest_text_comes_back(engine: Engine, runs: Path, spec: RunSpec) -> None:
    """Both splits are scored, fresh containers agree, and the result has the verified value.

    A second verification repeats nothing.
    """
    run_dir = ended_run(runs, spec, HONEST.replace("PREDICT", "model"), 3.0)
    said: list[str] = []
    found = verified(engine, run_dir, said)
    one = found.of_trial(2)
    assert one is not None
    assert one.memory.state == "equal", one.memory
    assert one.complete
    assert not one.problems
    assert not one.rejected
    [held_out] = one.held_out
    assert held_out.judged is not None
    assert held_out.val is not None
    assert held_out.test is not None
    assert 1 < held_out.judged < 6
    assert one.own_seed is not None
    assert one.own_seed.judged == pytest.approx(held_out.judged, rel=0.1)
    assert [trial.source for trial in found.trials] == ["referee", "referee"]
    audits = found.trials[0].audit.items()
    assert sum(each["rows"] for name, each in audits if name.startswith("hidden rows")) >= HIDDEN
    result = json.loads(run_dir.result.read_text())
    assert result["best_verified"]["value"] == one.mean == held_out.judged
    assert result["best_verified"]["trial"] == 2
    said.clear()
    assert verified(engine, run_dir, said) == found
    assert said == []


@pytest.mark.timeout(900)
def test_a_text_that_looks_ahead_is_rejected(engine: Engine, runs: Path, spec: RunSpec) -> None:
    """Its first answers are repeated, so hidden rows find it; no verified value is written."""
    run_dir = ended_run(runs, spec, LOOKS_AHEAD, 1.0)
    found = verified(engine, run_dir)
    one = found.of_trial(2)
    assert one is not None
    assert one.rejected
    assert "hidden rows" in {verdict.name for verdict in one.verdicts}
    result = json.loads(run_dir.result.read_text())
    assert result["best_verified"] is None
    assert any("rejected by the referee" in problem for problem in result["problems"])


@pytest.mark.timeout(900)
def test_a_model_that_cannot_be_handed_out_is_said(
    engine: Engine, runs: Path, spec: RunSpec
) -> None:
    """A lambda cannot be pickled: hidden rows alone verify it, and the problem names that."""
    text = HONEST.replace("PREDICT", "lambda tokens: model(tokens)")
    run_dir = ended_run(runs, spec, text, 3.0)
    one = verified(engine, run_dir).of_trial(2)
    assert one is not None
    assert one.memory.state == "not handed out"
    assert one.mean is not None
    assert not one.rejected
    assert any("hidden rows alone" in problem for problem in one.problems)


def test_a_run_without_a_result_is_not_verified(engine: Engine, runs: Path, spec: RunSpec) -> None:
    """It may still run: the user is told to wait or to end it."""
    run_dir = ended_run(runs, spec, HONEST, 3.0)
    run_dir.result.unlink()
    with pytest.raises(UserError, match="no result yet"):
        verified(engine, run_dir)


@pytest.mark.timeout(900)
def test_the_best_text_is_trained_for_longer(engine: Engine, runs: Path, spec: RunSpec) -> None:
    """Its training takes twice the time, its value is kept, and a second call trains nothing."""
    run_dir = ended_run(runs, spec, HONEST.replace("PREDICT", "model"), 3.0)
    said: list[str] = []
    asked = retest.Asked((2.0,))
    found = retest.retest_run(engine, runs, RUN, asked, lambda *_: None, said.append)
    [training] = found.trainings
    assert training.record.status == "ok", training.record.reason
    assert training.record.value is not None
    assert 1 < training.record.value < 6
    assert training.record.judged
    assert (run_dir.path / "retest/trials/0001/train.log").is_file()
    said.clear()
    assert retest.retest_run(engine, runs, RUN, asked, lambda *_: None, said.append) == found
    assert said == []


@pytest.mark.timeout(900)
def test_noise_is_measured_and_kept(engine: Engine, tmp_path: Path, spec: RunSpec) -> None:
    """Each seed's value is kept under the conditions of a run; the second call measures nothing."""
    asked = noise_floor.Asked("pystdlib", None, 2, 2.0, None)
    said: list[str] = []
    floor = noise_floor.measure(engine, tmp_path, asked, lambda *_: None, said.append)
    assert len(floor.values) == 2
    assert len([line for line in said if ": seed " in line]) == 2  # a disturbed one says more
    assert floor.sd is not None
    assert floor.conditions.machine == engine.info().id
    assert read_noise(tmp_path).floor(floor.conditions) == floor
    said.clear()
    again = noise_floor.measure(engine, tmp_path, asked, lambda *_: None, said.append)
    assert again == floor
    assert said == []
