"""What a run cost: its model, its devices, and both."""

from __future__ import annotations

import json
from pathlib import Path

from runner.results import write_results
from tests.unit.results.runs import Make, table, trial


def priced(path: Path, usd_per_hour: float) -> None:
    """Give a run's spec a price of a device."""
    spec = json.loads((path / "spec.json").read_text())
    budget = {"trials": 2, "total_usd": 9.0, "compute_usd_per_hour": usd_per_hour}
    (path / "spec.json").write_text(json.dumps(spec | {"budget": budget}))


def test_device_hours_have_the_price_that_a_run_began_with(make: Make, tmp_path: Path) -> None:
    """Else that of `collect`; model and compute stand side by side, with their sum."""
    two = [trial(0, 2.5, wall_seconds=1000.0), trial(1, 2.6, wall_seconds=800.0)]
    own = make("gpt-s1", two, cost_usd=1.25)
    priced(own, 4.0)
    other = make("tpe-s1", [trial(0, 2.9, source="sampler", wall_seconds=3600.0)])
    referee = trial(1, 2.0, source="referee", wall_seconds=999.0)
    third = make("gp-s1", [trial(0, 3.0, source="sampler", wall_seconds=1800.0), referee])
    results = tmp_path / "results"
    rows = {row.contestant: row for row in write_results([own, other, third], results, 2.0)}
    shown = {
        name: (row.device_time, row.cost, row.compute, row.total) for name, row in rows.items()
    }
    assert shown == {
        "gpt": ("30 min 00 s", "$1.25", "$2.00", "$3.25"),
        "tpe": ("1 h 00 min", "–", "$2.00", "$2.00"),
        "gp": ("30 min 00 s", "–", "$1.00", "$1.00"),
    }
    [line, *_] = table(results / "runs.csv")
    columns = ("device_seconds", "compute_usd_per_hour", "compute_usd", "total_usd")
    assert [float(line[name]) for name in columns] == [1800.0, 4.0, 2.0, 3.25]
    assert json.loads(line["budget"]) == {"trials": 2.0, "total_usd": 9.0}
    page = (results / "summary.md").read_text()
    assert "| device time | model cost | compute cost | total cost |" in page
    assert "COMPUTE_USD_PER_HOUR" in page


def test_without_a_price_no_compute_is_made_up(make: Make, tmp_path: Path) -> None:
    """The cells are empty, and not 0; a price of 0 is one."""
    path = make("tpe-s1", [trial(0, 2.9, source="sampler", wall_seconds=3600.0)])
    write_results([path], tmp_path / "results")
    [line] = table(tmp_path / "results" / "runs.csv")
    assert (line["compute_usd"], line["total_usd"]) == ("", "")
    write_results([path], tmp_path / "results", 0.0)
    [line] = table(tmp_path / "results" / "runs.csv")
    assert (line["compute_usd"], line["total_usd"]) == ("0.0", "0.0")
