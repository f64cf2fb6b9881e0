"""`make bench-engine-faults`: what happens to an engine and its machine, on an engine of its own.

The engine is restarted, with and without live-restore, its disk is filled, and the memory of all
its containers runs out, each while a trial trains. It needs root on Linux, and dockerd. Results go
to `benchmarks/results/engine-faults.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import rich

from benchmarks.survival.__main__ import table
from benchmarks.survival.faults import KINDS, Fault
from benchmarks.survival.live_run import LiveRun
from benchmarks.survival.measure import Outcome, survive
from benchmarks.survival.own_engine import OwnEngine
from runner.build.images import ensure, everyday, image_tag
from runner.engine.client import Engine
from runner.errors import EngineError

RESULTS = Path(__file__).parents[1] / "results" / "engine-faults.json"
GIB = 1 << 30
DISK_BYTES = 16 * GIB
AWAY_SECONDS = 3.0  # from the engine's end to its next start
FULL_SECONDS = 8.0
ROOM_BYTES = 2 * GIB
ANSWER_SECONDS = 30.0
UNUSED = ("agent-claude", "agent-gemini")


def restart(own: OwnEngine, run: LiveRun) -> None:
    """The engine is restarted, as by an upgrade."""
    own.stop()
    time.sleep(AWAY_SECONDS)
    own.start()
    _forget_connections(run.engine)


def fill_disk(own: OwnEngine, _run: LiveRun) -> None:
    """The engine's disk is full for a while."""
    own.fill_disk()
    try:
        time.sleep(FULL_SECONDS)
    finally:
        own.empty_disk()


def exhaust_memory(own: OwnEngine, _run: LiveRun) -> None:
    """The memory of all containers together is used up for a while."""
    own.exhaust_memory(ROOM_BYTES, FULL_SECONDS)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.survival.engine_faults", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault is done")
    args = parser.parse_args()
    found: dict[str, list[Outcome]] = {}
    ordinary = dict(os.environ)
    for live_restore in (False, True):
        os.environ.clear()
        os.environ.update(ordinary)  # the images come from the machine's ordinary engine
        name = "with live-restore" if live_restore else "without live-restore"
        with _own_engine(live_restore=live_restore) as (own, engine):
            faults = _faults(own, live_restore=live_restore)
            found[name] = [_survived(kind, own, engine, faults, args.rounds) for kind in KINDS]
        rich.print(name)
        rich.print(table(found[name]))
        for outcome in found[name]:
            for fault, said in outcome.named.items():
                rich.print(f"{outcome.kind}, {fault}: {'; '.join(said) or 'nothing was said'}")
    RESULTS.parent.mkdir(exist_ok=True)
    plain = {name: [dataclasses.asdict(one) for one in ones] for name, ones in found.items()}
    RESULTS.write_text(json.dumps({"machine": platform.machine(), "runs": plain}, indent=2))


def _faults(own: OwnEngine, *, live_restore: bool) -> dict[str, Fault]:
    faults: dict[str, Fault] = {"restart the engine": partial(restart, own)}
    if not live_restore:
        faults["fill the disk"] = partial(fill_disk, own)
        faults["exhaust the memory"] = partial(exhaust_memory, own)
    return faults


def _survived(
    kind: str, own: OwnEngine, engine: Engine, faults: dict[str, Fault], rounds: int
) -> Outcome:
    seed = random.SystemRandom().randrange(10**6, 10**9)
    with tempfile.TemporaryDirectory() as folder:
        return survive(kind, Path(folder), engine, own.address, faults, seed=seed, rounds=rounds)


@contextlib.contextmanager
def _own_engine(*, live_restore: bool) -> Iterator[tuple[OwnEngine, Engine]]:
    """An engine of this benchmark's own that has all images."""
    names = [name for name in everyday() if name not in UNUSED]
    ordinary = Engine.connect()
    ensure(ordinary, names)
    ordinary.close()
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        own = OwnEngine(Path(folder), DISK_BYTES, live_restore=live_restore)
        try:
            own.take_images([image_tag(name) for name in names])
            os.environ["DOCKER_HOST"] = own.address
            engine = Engine.connect()
            yield own, engine
            engine.close()
        finally:
            own.close()


def _forget_connections(engine: Engine) -> None:
    """Ask until an answer comes: connections to the engine's earlier process are of no use."""
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            engine.info()
        except EngineError:
            if time.monotonic() > until:
                raise
        else:
            return


if __name__ == "__main__":
    main()
