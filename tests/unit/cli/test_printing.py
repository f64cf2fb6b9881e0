"""The comparison on a terminal: what a run cost, of the model and of devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.printing import print_rows
from runner.records.files import append_line, to_json
from runner.records.schema import TrialRecord, UsageRecord
from runner.results import write_results
from tests.run_results import run_result


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A rehearsed run whose model cost $1.25, and that held a device for half an hour."""
    path = tmp_path / "runs" / "gpt-s1"
    path.mkdir(parents=True)
    result = run_result(path.name, rehearsed=True)
    (path / "spec.json").write_text(
        result.model_dump_json(
            include={"run_id", "contestant", "kind", "seed", "task", "metric", "rehearsed"}
        )
    )
    (path / "result.json").write_text(to_json(result))
    trial = TrialRecord(
        trial=1, source="agent", request="r", status="ok", value=2.5, judged=True,
        wall_seconds=1800.0,
    )  # fmt: skip
    append_line(path / "trials.jsonl", trial)
    request = UsageRecord(at="", request="1", provider="openai", model="m", cost_usd=1.25)
    append_line(path / "usage.jsonl", request)
    return path


@pytest.mark.parametrize(
    ("price", "shown", "explained"), [(None, "$1.25* ", False), (4.0, "$1.25*+$2.00 ", True)]
)
def test_devices_stand_beside_the_model(
    agent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    price: float | None,
    shown: str,
    explained: bool,
) -> None:
    """With a price of a device only, and then with a line that says what is what."""
    print_rows(write_results([agent], tmp_path / "results", price))
    printed = capsys.readouterr().out
    assert shown in printed
    assert ("of the devices" in printed) == explained
