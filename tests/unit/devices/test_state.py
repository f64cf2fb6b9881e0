"""What people are shown of the devices."""

from __future__ import annotations

import os
from pathlib import Path

from runner.devices.queue import Entry
from runner.devices.queue_folder import QueueFolder
from runner.devices.signs import Sign
from runner.devices.state import DeviceState, Party, state


def put(folder: Path, number: int, wants: str, **also: object) -> Sign:
    """An entry of somebody who is there."""
    ticket = f"{number:032x}"
    entry = Entry.model_validate(
        {
            "ticket": ticket, "wants": [f"engine/{name}" for name in wants.split()],
            "run": f"run-{number}", "trial": number, "pid": 10 + number, "asked_at": f"a{number}",
            **also,
        }
    )  # fmt: skip
    QueueFolder(folder).change(lambda queue: queue.put(entry))
    return Sign(folder, ticket)


def test_nothing_is_shown_where_nobody_wants_a_device(tmp_path: Path) -> None:
    """On a machine that never had a trial, too, and no folder is made there."""
    assert state(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []
    sign = put(tmp_path, 1, "cpu")
    QueueFolder(tmp_path).change(lambda queue: queue.without(f"{1:032x}"))
    sign.close()
    assert state(tmp_path) == []


def test_each_device_has_its_holder_and_its_waiters_in_order(tmp_path: Path) -> None:
    """Of whoever waits for any of several devices, each of them says so."""
    signs = [
        put(tmp_path, 1, "cpu", device="engine/cpu", had_at="h1", container="c1", attached=1),
        put(tmp_path, 2, "cpu"),
        put(tmp_path, 3, "gpu-0 gpu-1"),
        put(tmp_path, 4, "gpu-1", device="engine/gpu-1", had_at="h4"),
        put(tmp_path, 5, "cpu"),
    ]
    cpu, first, second = state(tmp_path)
    assert (cpu.engine, cpu.device) == ("engine", "cpu")
    assert cpu.holder is not None
    assert cpu.holder.seen_seconds < 60
    assert cpu.holder == Party("run-1", 1, "c1", 11, "h1", True, cpu.holder.seen_seconds)
    assert [(each.run, each.since) for each in cpu.waiting] == [("run-2", "a2"), ("run-5", "a5")]
    assert (first.device, first.holder) == ("gpu-0", None)
    assert [each.run for each in first.waiting] == [each.run for each in second.waiting]
    assert second.holder is not None
    assert (second.holder.run, second.holder.container) == ("run-4", "")
    for sign in signs:
        sign.close()


def test_the_dead_and_the_stopped_are_told_apart(tmp_path: Path) -> None:
    """A dead holder is shown as long as it has the device; a dead waiter waits no more."""
    dead = put(tmp_path, 1, "cpu", device="engine/cpu", container="c1")
    waiter, stopped = put(tmp_path, 2, "cpu"), put(tmp_path, 3, "cpu")
    os.utime(tmp_path / f"{3:032x}.alive", (0, 0))
    dead.close()
    waiter.close()
    (shown,) = state(tmp_path)
    assert isinstance(shown, DeviceState)
    assert shown.holder is not None
    assert not shown.holder.alive
    assert [each.run for each in shown.waiting] == ["run-3"]
    assert shown.waiting[0].alive
    assert shown.waiting[0].seen_seconds > 1000
    stopped.close()
