"""Writes directories of runs as the runner does."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.metrics import VAL_BPB, Metric
from runner.records.files import append_line, to_json
from runner.records.schema import TrialRecord, UsageRecord
from tests.run_results import WHEN, run_result
from tests.unit.results.runs import SPENT, Make

SPEC_FIELDS = {"run_id", "contestant", "kind", "seed", "task", "metric", "rehearsed"}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a run's directory as the runner does."""

    def _make(
        name: str,
        trials: list[TrialRecord],
        *,
        claimed: str | None = None,
        cost_usd: float | None = None,
        rehearsed: bool = False,
        ended: bool = True,
        metric: Metric = VAL_BPB,
    ) -> Path:
        path = tmp_path / "runs" / name
        (path / "artifacts").mkdir(parents=True)
        result = run_result(path.name, spent=SPENT, rehearsed=rehearsed, metric=metric)
        (path / "spec.json").write_text(result.model_dump_json(include=SPEC_FIELDS))
        for record in trials:
            append_line(path / "trials.jsonl", record)
        if claimed is not None:
            (path / "artifacts" / "experiments.csv").write_text(claimed)
        if cost_usd is not None:
            usage = UsageRecord(
                at=WHEN,
                request="1",
                provider="openai",
                model="m",
                cost_usd=cost_usd,
                input_tokens=10,
                rehearsed=rehearsed,
            )
            append_line(path / "usage.jsonl", usage)
        if ended:
            (path / "result.json").write_text(to_json(result))
        return path

    return _make
