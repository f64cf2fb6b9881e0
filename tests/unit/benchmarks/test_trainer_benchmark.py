"""The benchmark of trainers: what it reads from a trial, and what it runs under the harness."""

from __future__ import annotations

import argparse
import ast
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.trainer import harness, native, rows
from trainer import constants

SAID = """model: Shape(depth=4)
progress: step=1 train_seconds=0.50 loss=6.1
---
val_bpb:          1.250000
training_seconds: 10.0
total_seconds:    20.0
peak_vram_mb:     {memory}
mfu_percent:      {mfu}
total_tokens_M:   0.031
num_steps:        31
num_params_M:     1.311
depth:            4
bench: startup=3.000 loading=0.100 evaluation=2.000 estimates=1.000 cpu=8.000 tokens=31000.000 \
untimed={untimed}.000 whole=19.000
{{"exit_code": 0, "score.finished": [{{"status": "scored", "tokens": 24482}}]}}
"""


def test_a_trial_on_a_gpu_is_read() -> None:
    """Steps that compile are not timed, and what they took is neither start nor scoring."""
    row = rows.read_row("ours", 1, SAID.format(memory="49331.0", mfu="36.13", untimed=11))
    assert row.tokens_per_second == pytest.approx(20 * 1000 / 10)
    assert (row.peak_memory_mb, row.mfu_percent) == (49331.0, 36.13)
    assert row.compiling == pytest.approx(19 - 10 - 2 - 1 - 3)
    table = rows.gpu_table([row])
    assert "| ours | 2,000 (2,000–2,000) | 36.1 % | 49,331 | 1.2500 (1.2500–1.2500) |" in table


def test_a_trial_on_a_cpu_is_read() -> None:
    """There every step is timed, and there is neither memory of a GPU nor a share of its peak."""
    row = rows.read_row("ours", 1, SAID.format(memory="n/a", mfu="n/a", untimed=0))
    assert row.tokens_per_second == pytest.approx(3100)
    assert (row.peak_memory_mb, row.mfu_percent) == (None, None)
    assert row.cpu_seconds_per_million_tokens == pytest.approx(1e6 * 8 / 31000)
    assert "| ours | 3,100 | 258 | 1.2500 (1.2500–1.2500) | 31 |" in rows.table([row])


@pytest.mark.parametrize("peer", [False, True])
def test_batches_that_were_used_are_counted(monkeypatch: pytest.MonkeyPatch, peer: bool) -> None:
    """A peer asks for each batch one step ahead, so its last one is not counted."""

    class Batch:
        def numel(self) -> int:
            return 100

    monkeypatch.setattr(harness, "GIVEN", {"peer": peer})
    monkeypatch.setattr(harness, "SPENT", dict.fromkeys(harness.SPENT, 0.0))
    monkeypatch.setattr(harness, "FIRST_BATCH", [])
    batches = harness.timed_batches(lambda: iter([(Batch(), Batch(), 1)] * 5))()
    assert len(list(itertools.islice(batches, 4))) == 4
    assert harness.SPENT["tokens"] == (300 if peer else 400)


def given(text: str) -> dict[str, Any]:
    """What the harness is told, read from its text."""
    (line,) = [line for line in text.splitlines() if line.startswith("GIVEN: ")]
    return dict(ast.literal_eval(line.partition(" = ")[2].rpartition("  #")[0]))


def prepared(folder: Path, task: str) -> Path:
    """A folder that says which task its data is of."""
    folder.mkdir()
    (folder / "task.json").write_text(json.dumps({"name": task}))
    return folder


def test_both_trainers_get_the_knobs_of_the_datas_task(tmp_path: Path) -> None:
    """A peer gets those that it has, and both get what the command line sets."""
    checkout = tmp_path / "peer"
    checkout.mkdir()
    (checkout / "train.py").write_text("DEPTH = 8\nHEAD_DIM = 128\nOTHER = 1\n")
    data = prepared(tmp_path / "data", "pystdlib")
    args = argparse.Namespace(data=data, peer=checkout, knobs={"HEAD_DIM": 32})
    texts = {name: given(text) for name, text in native._texts(args).items()}
    ours, peer = (constants.read(texts[name]["text"]) for name in ("ours", "peer"))
    assert (ours["DEPTH"], ours["HEAD_DIM"], ours["TOTAL_BATCH_SIZE"]) == (4, 32, 2048)
    assert peer == {"DEPTH": 4, "HEAD_DIM": 32, "OTHER": 1}
    assert [texts[name]["peer"] for name in ("ours", "peer")] == [False, True]


@pytest.mark.parametrize("lacking", ["data", "peer"])
def test_a_folder_that_is_not_there_is_said(tmp_path: Path, lacking: str) -> None:
    """One error and one hint, before anything is trained."""
    data = tmp_path / "none" if lacking == "data" else prepared(tmp_path / "data", "pystdlib")
    args = argparse.Namespace(data=data, peer=tmp_path / "nothing", knobs={})
    with pytest.raises(SystemExit, match=r"error: .*\nhint: "):
        native._texts(args)
