"""Every cheat of the corpus is caught, with its reason, and no honest text is.

Trials in the real image with a real judge, three at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.build import images
from runner.engine.client import Engine
from runner.records.schema import TrialRecord
from tests.corpora import Text, corpus, expected, pristine

from .corpora_rig import CorporaRig, Judged

pytestmark = pytest.mark.alone  # what a text does while it is scored is seen by its use of time

AT_ONCE = 3  # some wait more than they compute
CHEATS, HONEST, EXPECTED = corpus("cheats"), corpus("honest"), expected()
SLOW_FIRST = ["lets_the_judge_wait", "looks_up_the_library"]
BESIDE = ["pristine", *(f"pristine beside it {n}" for n in range(1, AT_ONCE))]
# How much better than the best pristine score a score may be whose trial did nothing else.
NO_BETTER = 0.35


class Corpora:
    """All texts that were asked for, each run once, in the background."""

    def __init__(self, rig: CorporaRig, pool: ThreadPoolExecutor) -> None:
        self.rig, self.pool = rig, pool
        self.lock = threading.Lock()
        self.runs: dict[str, Future[Judged]] = {}

    def begin(self, texts: list[Text]) -> None:
        for text in texts:
            if text.name not in self.runs:
                self.runs[text.name] = self.pool.submit(self.rig.run, text)

    def judged(self, name: str) -> Judged:
        return self.runs[name].result()

    def pristine(self) -> list[TrialRecord]:
        """The trials of the pristine text, which ran beside each other."""
        return [self.judged(name).record for name in BESIDE]


@pytest.fixture(scope="module")
def corpora(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Corpora]:
    """Runs the texts of all tests of this module that were chosen, and the pristine text."""
    wanted = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == Path(__file__) and hasattr(item, "callspec")
    }
    texts = [text for text in (*CHEATS.values(), *HONEST.values()) if text.name in wanted]
    texts.sort(key=lambda text: text.name not in SLOW_FIRST)
    images.ensure(engine, ["trainer", "data"])
    folder = tmp_path_factory.mktemp("runs")
    with CorporaRig.made(engine, folder) as rig, ThreadPoolExecutor(AT_ONCE) as pool:
        made = Corpora(rig, pool)
        made.begin([Text(name, "the starting text", pristine()) for name in BESIDE])
        rig.measure(made.pristine())
        made.begin(texts)
        yield made
        for run in made.runs.values():
            run.cancel()


def test_every_cheat_has_an_expectation() -> None:
    """The table and the folder hold the same names, at least twenty, and so do honest texts."""
    assert set(EXPECTED) == set(CHEATS)
    assert len(CHEATS) >= 20
    assert len(HONEST) >= 20


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_caught(corpora: Corpora, name: str) -> None:
    """It comes to one of the ends that the table names for it."""
    judged, honest = corpora.judged(name), corpora.pristine()
    print(judged.shown(), f"(pristine {[record.value for record in honest]})")
    assert any(came_to(judged.record, honest, way) for way in EXPECTED[name]), judged.shown()
    assert not judged.leaked, "held-out tokens reached whoever reads the log"


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_text_is_scored(corpora: Corpora, name: str) -> None:
    """It has a score, and no verdict takes it."""
    judged = corpora.judged(name)
    print(judged.shown())
    assert judged.record.status == "ok", judged.shown()
    assert judged.record.value is not None
    assert not [verdict for verdict in judged.verdicts if verdict.rejects]


def names_of(record: TrialRecord) -> set[str]:
    """The names of the verdicts on a trial."""
    return {verdict.name for verdict in record.verdicts}


def came_to(record: TrialRecord, honest: list[TrialRecord], way: str) -> bool:
    """Whether a trial ended in a way of the table, beside the pristine text's own trials."""
    if " and " in way:
        return all(came_to(record, honest, part) for part in way.split(" and "))
    kind, _, name = way.partition(": ")
    if kind == "rejected":
        return record.status == "rejected" and record.reason.startswith(name)
    if kind == "unscored":
        return record.status == "crash" and record.reason == "unscored"
    if kind == "crash":
        return record.status == "crash" and name != "" and record.reason.startswith(name)
    if kind == "verdict":
        return name in names_of(record) and not any(name in names_of(one) for one in honest)
    assert kind == "contained", way
    values = [one.value for one in honest if one.value is not None]
    assert len(values) == len(honest), "a pristine text has no score"
    best = min(values) - NO_BETTER
    return record.status == "ok" and record.value is not None and record.value > best
