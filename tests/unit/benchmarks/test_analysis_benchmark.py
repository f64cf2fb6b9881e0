"""The benchmark of the analysis: its made-up runs are whole, and always the same."""

from __future__ import annotations

from pathlib import Path

from benchmarks.analysis import __main__ as bench
from benchmarks.analysis import runs
from runner.results.dataframes import read


def contents(folder: Path) -> dict[str, bytes]:
    """Each file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_made_up_runs_read_like_real_ones(tmp_path: Path) -> None:
    """Six runs share 62 trials, are judged, and nothing about them is a problem."""
    assert runs.make(tmp_path, trials=62, seeds=1) == 6
    frames = read(tmp_path)
    assert frames.problems == ()
    assert sorted(frames.runs["trials"]) == [10, 10, 10, 10, 11, 11]
    assert frames.runs["judged"].all()
    assert frames.runs["best"].notna().all()
    assert len(frames.trials) == 62
    assert set(frames.knobs.groupby(["run", "trial"]).size()) == {14}
    assert (
        len(frames.requests) == 3 * frames.runs.loc[frames.runs["kind"] == "agent", "trials"].sum()
    )
    texts = frames.trials.loc[frames.trials["source"] == "agent", "text"]
    assert all(Path(text).is_file() for text in texts)


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    """So two measurements read the same bytes; another seed makes other ones."""
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        runs.make(tmp_path / name, trials=12, seeds=1, seed=seed)
    one, again, other = (contents(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert one != other


def test_the_parts_are_timed(tmp_path: Path) -> None:
    """The same rows as CSV and as run directories: each takes some time and memory."""
    assert bench.prepared(tmp_path, trials=12, seeds=1) == 6
    found = {part: bench.timed(part, tmp_path) for part in ("csv", "tables")}
    assert all(row["seconds"] > 0 and row["peak_mb"] > 1 for row in found.values())
    lines = bench.table(12, 6, found).splitlines()
    assert lines[0].startswith("| 12 trials in 6 runs |")
    assert [line.split("|")[3].strip() for line in lines[2:]] == ["–", "≤ 3"]
