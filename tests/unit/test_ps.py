"""What there is, as far as it can be told without an engine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from runner import ps
from runner.cli import contest
from runner.devices.queue import Entry
from runner.devices.queue_folder import QueueFolder
from runner.devices.signs import Sign
from runner.records import layout
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.visible import visible_line


def test_a_folder_that_is_not_there_has_no_runs(tmp_path: Path) -> None:
    """Before the first run there is nothing to list, and no folder is made."""
    assert layout.run_folders(tmp_path / "runs") == []
    assert list(tmp_path.iterdir()) == []


def test_runs_are_listed_by_name(tmp_path: Path) -> None:
    """Files and hidden folders are no runs."""
    for name in ("tpe-s1", "gpt-s1", ".aside"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in layout.run_folders(tmp_path)] == ["gpt-s1", "tpe-s1"]


def test_a_free_seed_is_free_for_all(tmp_path: Path) -> None:
    """The seed is the first that none of the contestants has used."""
    for name in ("gpt-s1", "tpe-s2", "opus-s3"):
        (tmp_path / name).mkdir()
    assert contest.free_seed(tmp_path, ("gpt", "tpe")) == 3
    assert contest.free_seed(tmp_path, ("sonnet",)) == 1


def test_no_word_of_an_agent_steers_a_terminal(run_dir: RunDir) -> None:
    """Escape sequences in a hypothesis do not get through to whoever reads the log."""
    Journal(run_dir).write("trial.queued", hypothesis="\x1b]52;c;aGk=\x07 hot\u009b2J")
    line = visible_line(ps.event_line(Journal(run_dir).events()[0]))
    assert "hot" in line
    assert line.isprintable()


def put(folder: Path, number: int, **also: object) -> Sign:
    """An entry in the queue for a device, of somebody who is there."""
    ticket = f"{number:032x}"
    fields = {"ticket": ticket, "wants": ["engine/cpu"], "run": f"gp-s{number}", "trial": number}
    entry = Entry.model_validate(fields | {"asked_at": "2026-01-01T00:00:00Z"} | also)
    QueueFolder(folder).change(lambda queue: queue.put(entry))
    return Sign(folder, ticket)


def test_who_has_a_device_and_who_waits_is_listed(tmp_path: Path) -> None:
    """In the order in which they will be served; of the dead and the stopped it is said."""
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert ps.devices_tables(now, tmp_path) == []
    had = {"device": "engine/cpu", "had_at": "2026-01-01T00:00:30Z", "container": "c"}
    signs = [put(tmp_path, 1, **had), put(tmp_path, 2), put(tmp_path, 3, run="[red]\x1b", trial=0)]
    os.utime(tmp_path / f"{2:032x}.alive", (0, 0))
    signs.pop(0).close()
    [table] = ps.devices_tables(now, tmp_path)
    device, held_by, since, waiting = ([*column.cells] for column in table.columns)
    assert (device, since) == (["cpu"], ["30 s"])
    assert held_by == ["gp-s1 trial 1 (its runner died; held until its container ends)"]
    first, second = str(waiting[0]).splitlines()
    assert first.startswith("gp-s2 trial 2 (its runner has not moved for ")
    assert first.endswith("), 60 s")
    assert second == "\\[red]\ufffd, 60 s"
    for sign in signs:
        sign.close()
