"""A run's best text is trained for longer; what is known is not trained again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import options
from runner.errors import UserError
from runner.metrics import VAL_BPB
from runner.records.files import append_line, to_json
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.records.verification import Retest, read_retest
from runner.spec import Budget, RunSpec
from runner.trials.orders.order import TrialOrder
from runner.verification import retest
from runner.verification.finished import Finished
from tests.run_results import run_result

RUN = "tpe-s1"
TEXT = "print('the best text')\n"


class FakeBench:
    """Trials of ours that end at once; it notes what was asked of each."""

    def __init__(self) -> None:
        self.orders: list[tuple[float, int | None]] = []
        self.status: Any = "ok"
        self.stops_after = 100

    def run(self, order: TrialOrder, seconds: float) -> TrialRecord:
        if len(self.orders) == self.stops_after:
            raise UserError("stopped by a person")
        assert order.train_py == TEXT
        self.orders.append((seconds, order.terms.seed))
        return TrialRecord(
            trial=order.trial, source="referee", request=order.request, status=self.status,
            value=1.0 / seconds if self.status == "ok" else None, judged=True,
        )  # fmt: skip


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> FakeBench:
    """No engine: a context is its spec, and a bench runs nothing."""
    made = FakeBench()

    @contextlib.contextmanager
    def opened(spec: RunSpec, _asked: Any, *, referee: bool) -> Iterator[Any]:
        assert not referee

        class Opened:
            def run(self, order: TrialOrder) -> TrialRecord:
                return made.run(order, spec.trial_seconds)

        yield Opened()

    monkeypatch.setattr(retest, "opened", opened)
    monkeypatch.setattr(retest, "remove_run", lambda _engine, _run_id: None)
    monkeypatch.setattr(Finished, "context", lambda _self, spec, _engine, _show: spec)
    return made


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A finished run whose second trial was its best."""
    run_dir = RunDir(tmp_path / RUN)
    run_dir.trial(2).mkdir(parents=True)
    (run_dir.trial(2) / "train.py").write_text(TEXT)
    spec = RunSpec(
        run_id=RUN, kind="baseline", contestant="tpe", seed=1, task="pystdlib", metric=VAL_BPB,
        budget=Budget(trials=2), trial_seconds=5.0,
    )  # fmt: skip
    run_dir.spec.write_text(spec.model_dump_json())
    for number, value in ((1, 2.0), (2, 1.5)):
        append_line(run_dir.trials, TrialRecord(
            trial=number, source="sampler", request=f"r{number}", status="ok", value=value,
            judged=True, sha256=f"text {number}",
        ))  # fmt: skip
    run_dir.result.write_text(to_json(run_result(RUN, kind="baseline")))
    return tmp_path


def trained(runs: Path, asked: retest.Asked, said: list[str] | None = None) -> Retest:
    engine: Any = None
    report = (said if said is not None else []).append
    return retest.retest_run(engine, runs, RUN, asked, lambda *_: None, report)


def test_the_best_text_is_trained_for_each_time_with_the_same_seeds(
    bench: FakeBench, runs: Path
) -> None:
    """Two and four times the run's training time, the task's own seed first; all of it is kept."""
    found = trained(runs, retest.Asked((2.0, 4.0), 2))
    seconds = [seconds for seconds, _ in bench.orders]
    seeds = [seed for _, seed in bench.orders]
    assert seconds == [10.0, 10.0, 20.0, 20.0]
    assert seeds[0] is None
    assert seeds[1] is not None
    assert seeds[2:] == seeds[:2]
    assert [(one.times, one.sha256) for one in found.trainings[1:3]] == [
        (2.0, "text 2"), (4.0, "text 2"),
    ]  # fmt: skip
    assert read_retest(RunDir(runs / RUN)) == found


def test_a_retest_that_was_stopped_goes_on_where_it_was(bench: FakeBench, runs: Path) -> None:
    """Nothing is trained twice, and more times or seeds are added to what is there."""
    bench.stops_after = 1
    with pytest.raises(UserError, match="stopped by a person"):
        trained(runs, retest.Asked((2.0, 4.0)))
    bench.stops_after = 100
    assert len(trained(runs, retest.Asked((2.0, 4.0))).trainings) == 2
    assert len(trained(runs, retest.Asked((2.0, 4.0, 8.0))).trainings) == 3
    assert [seconds for seconds, _ in bench.orders] == [10.0, 20.0, 40.0]


def test_what_the_machine_ended_is_trained_again(bench: FakeBench, runs: Path) -> None:
    """A killed training says nothing of the text; its record is replaced."""
    bench.status = "killed"
    said: list[str] = []
    trained(runs, retest.Asked((2.0,)), said)
    assert "killed" in said[-1]
    bench.status = "ok"
    found = trained(runs, retest.Asked((2.0,)))
    assert [one.record.status for one in found.trainings] == ["ok"]
    assert len(bench.orders) == 2


def test_a_run_without_a_result_or_a_value_is_refused(bench: FakeBench, runs: Path) -> None:
    """The message says what is missing."""
    run_dir = RunDir(runs / RUN)
    run_dir.trials.write_text("")
    with pytest.raises(UserError, match="no trial of it has a value"):
        trained(runs, retest.Asked((2.0,)))
    run_dir.result.unlink()
    with pytest.raises(UserError, match="no result yet"):
        trained(runs, retest.Asked((2.0,)))
    assert bench.orders == []


def test_an_unreadable_text_is_said(bench: FakeBench, runs: Path) -> None:
    """It names the trial."""
    (RunDir(runs / RUN).trial(2) / "train.py").unlink()
    with pytest.raises(UserError, match=r"trial 2 for longer: its train\.py cannot be read"):
        trained(runs, retest.Asked((2.0,)))


@pytest.mark.parametrize("asked", ["", "two", "2,,x", "0", "-1", "nan", "inf", "1e9"])
def test_times_that_are_none_are_refused(asked: str) -> None:
    """The hint says what would do."""
    with pytest.raises(UserError) as caught:
        options.retest_times(asked)
    assert "TIMES=2,4,8" in caught.value.hint


def test_times_are_sorted_and_each_is_taken_once() -> None:
    """Blanks and repetitions do no harm."""
    assert options.retest_times(" 8, 2,2.0,4,") == [2.0, 4.0, 8.0]
