"""Rows of a log held against the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.claims.assignment import Assignment
from runner.claims.claim import Claim
from runner.claims.fidelity import MAX_ROWS, Finding, reconcile
from runner.claims.reader import parse
from runner.claims.words import columns
from runner.metrics import VAL_BPB, Metric
from runner.records.schema import TrialRecord

HEADER = ",".join(columns("val_bpb"))
VALUES = (2.511111, 2.422222, None, 2.333333, 2.344444)


def trial(number: int, value: float | None, **fields: Any) -> TrialRecord:
    """A trial, asked for ten minutes after the one before; without a value, a crash."""
    base: dict[str, Any] = {
        "source": "agent",
        "status": "crash" if value is None else "ok",
        "commit": f"{number:07x}" + "c" * 33,
        "queued_at": f"2026-01-01T00:{10 * number:02d}:00Z",
    }
    return TrialRecord(trial=number, request=f"r{number}", value=value, **(base | fields))


LEDGER = [trial(number, value) for number, value in enumerate(VALUES, 1)]


def row(
    experiment: int | str = "", value: str = "", *, of: int | None = None, at: str = "",
    status: str = "",
) -> str:  # fmt: skip
    """A line of the log; `of` is the trial whose commit it names."""
    commit = "" if of is None else LEDGER[of - 1].commit[:7]
    status = status or ("keep" if value else "crash")
    return f"{experiment},{at},{commit},h,other,c,{value},,{status}"


def findings(
    *rows: str, ledger: list[TrialRecord] = LEDGER, metric: Metric = VAL_BPB
) -> list[Finding]:
    header = HEADER.replace("val_bpb", metric.name)
    claims = parse("\n".join([header, *rows]).encode(), metric.name)
    assert len(claims.rows) == len(rows)
    return list(reconcile(claims.rows, ledger, metric).findings)


def short(found: list[Finding]) -> list[tuple[str, int | None, int | None]]:
    return [(each.verdict, each.row, each.trial) for each in found]


TRUE = [
    row(1, "2.511111", of=1), row(2, "2.422222", of=2), row(3, of=3),
    row(4, "2.333333", of=4), row(5, "2.344444", of=5),
]  # fmt: skip
CONFIRMED = [("confirmed", number, number) for number in range(1, 6)]


def test_an_honest_log_is_confirmed_row_by_row() -> None:
    """Each row has its trial, found by its commit, its value and its number; so has the crash."""
    found = findings(*TRUE)
    assert short(found) == CONFIRMED
    assert found[0].by == "commit, value, number"
    assert found[2].by == "commit, number, crash"
    assert [each.difference for each in found] == [0.0, 0.0, None, 0.0, 0.0]


def test_one_lie_and_one_hidden_trial_are_exactly_that() -> None:
    """The other rows are confirmed, though their numbers have shifted."""
    told = [row(1, "2.511111", of=1), row(2, of=3), row(3, "2.1", of=4), row(4, "2.344444", of=5)]
    found = findings(*told)
    assert short(found) == [
        ("confirmed", 1, 1), ("confirmed", 2, 3), ("differs", 3, 4), ("confirmed", 4, 5),
        ("unreported", None, 2),
    ]  # fmt: skip
    lie, hidden = found[2], found[4]
    assert (lie.claimed, lie.measured, lie.by) == (2.1, 2.333333, "commit")
    assert lie.difference == pytest.approx(-0.233333)
    assert (hidden.measured, hidden.status) == (2.422222, "ok")


@pytest.mark.parametrize("kept", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1), (2, 1, 5, 4, 3), (4, 2)])
def test_values_alone_are_enough_in_any_order(kept: tuple[int, ...]) -> None:
    """A log without commits, times and numbers; rows may be sorted, and some may be missing."""
    values = [VALUES[number - 1] for number in kept]
    found = findings(*[row(value="" if value is None else f"{value:.6f}") for value in values])
    assert short(found)[: len(kept)] == [("confirmed", at, each) for at, each in enumerate(kept, 1)]
    missing = [each.trial for each in found if each.verdict == "unreported"]
    assert missing == sorted({1, 2, 3, 4, 5} - set(kept))


def test_a_time_is_enough_for_a_false_value() -> None:
    """A row that was written after a trial and before the next one speaks of it."""
    found = findings(row(value="1.9", at="2026-01-01T00:45:00Z"))
    assert short(found)[0] == ("differs", 1, 4)
    assert found[0].by == "time"


def test_a_place_is_enough_for_a_false_value() -> None:
    """Between two rows with trials, as many rows as trials are left: they belong together."""
    found = findings(row(value="2.511111"), row(value="2.0"), row(), row(value="2.333333"))
    assert short(found)[:4] == [
        ("confirmed", 1, 1), ("differs", 2, 2), ("confirmed", 3, 3), ("confirmed", 4, 4),
    ]  # fmt: skip
    assert found[1].by == "order"


def test_a_row_of_no_trial_is_invented() -> None:
    """It has a value that nothing measured, and a commit that nothing ran."""
    extra = "6,,abcdef0,h,other,c,2.2,,keep"
    found = findings(*TRUE, extra)
    assert short(found) == [*CONFIRMED, ("invented", 6, None)]
    assert (found[-1].claimed, found[-1].measured) == (2.2, None)


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        ("2.333333", "confirmed"),
        ("2.3333330", "confirmed"),
        ("2.3333", "rounded"),
        ("2.333", "rounded"),
        ("2.33", "rounded"),
        ("2.3", "differs"),
        ("2", "differs"),
        ("2.3334", "differs"),
        ("2.333334", "differs"),
        ("2.332", "differs"),
    ],
)
def test_rounding_is_no_lie_unless_it_misleads(written: str, verdict: str) -> None:
    """Fewer digits of the same value are rounded; cut digits, or a step of 1 %, are different."""
    (finding,) = findings(row(1, written, of=4), ledger=[LEDGER[3]])
    assert finding.verdict == verdict


@pytest.mark.parametrize(
    ("told", "number", "verdict"),
    [
        (row(1, of=4), 4, "differs"),
        (row(1, "2.5", of=3), 3, "differs"),
        (row(1, of=3), 3, "confirmed"),
        (row(1, "2.5", of=3, status="crash"), 3, "confirmed"),
    ],
)
def test_a_failure_is_claimed_and_measured_too(told: str, number: int, verdict: str) -> None:
    """A crash that was none, a value of a trial that failed, and a crash that was one."""
    (finding,) = findings(told, ledger=[LEDGER[number - 1]])
    assert (finding.verdict, finding.trial) == (verdict, number)


def test_a_rejected_trial_has_no_value_to_claim() -> None:
    """What the trial printed does not count: its audit failed."""
    (finding,) = findings(
        row(1, "0.014000", of=1), ledger=[trial(1, None, status="rejected", judged=True)]
    )
    assert (finding.verdict, finding.status) == ("differs", "rejected")


def test_trials_that_share_a_commit_are_told_apart() -> None:
    """An agent that never commits: values, times and order decide together."""
    ledger = [trial(each.trial, each.value, commit="c" * 40) for each in LEDGER]
    told = [line.replace(LEDGER[at].commit[:7], "c" * 7) for at, line in enumerate(TRUE)]
    assert short(findings(*told, ledger=ledger)) == CONFIRMED
    told = told[:1] + told[2:]
    assert short(findings(*told, ledger=ledger))[-1] == ("unreported", None, 2)


def test_two_rows_that_want_one_trial_are_judged_together() -> None:
    """The first fits two trials, the second one of them only: both get theirs."""
    ledger = [trial(1, 2.5001), trial(2, 2.5002)]
    found = findings(row(value="2.500"), row(value="2.5001"), ledger=ledger)
    assert short(found) == [("rounded", 1, 2), ("rounded", 2, 1)] or short(found) == [
        ("rounded", 1, 2), ("confirmed", 2, 1),
    ]  # fmt: skip


def test_a_second_row_of_a_trial_is_not_invented() -> None:
    """It is confirmed again, and says so."""
    found = findings(*TRUE, row(6, "2.333333", of=4))
    assert short(found) == [*CONFIRMED, ("confirmed", 6, 4)]
    assert found[-1].by.endswith("again")


def test_a_note_claims_nothing() -> None:
    """A row without a value, a failure or a trial is left out."""
    assert short(findings(*TRUE, row(6, status="skip"))) == CONFIRMED


def test_the_referees_trials_are_not_the_agents_to_report() -> None:
    """They are no trial of the log, reported or not."""
    ledger = [*LEDGER, trial(6, 2.2, source="referee")]
    assert short(findings(*TRUE, ledger=ledger)) == CONFIRMED


def test_a_share_may_be_written_in_percent() -> None:
    """68.6% is 0.686, rounded."""
    metric = Metric(name="accuracy", direction="maximize")
    ledger = [trial(1, 0.68612), trial(2, 0.7)]
    found = findings(row(1, "68.6%"), row(2, "70.0%"), ledger=ledger, metric=metric)
    assert [each.verdict for each in found] == ["rounded", "confirmed"]
    assert found[0].difference == pytest.approx(-0.00012)


def test_a_log_is_looked_at_up_to_a_bound() -> None:
    """The rows beyond it are counted."""
    claims = [Claim(at, {"val_bpb": "2.5", "status": "keep"}) for at in range(MAX_ROWS + 7)]
    found = reconcile(claims, LEDGER, VAL_BPB)
    assert (found.rows, found.left_out) == (MAX_ROWS, 7)


WEIGHTS = st.lists(
    st.dictionaries(st.integers(0, 4), st.sampled_from([1.0, 2.0, 2.05, 3.0, 4.1])), max_size=5
)


def weight(pairs: Mapping[int, int], weights: list[dict[int, float]]) -> float:
    return sum(weights[row][trial] for row, trial in pairs.items())


@given(WEIGHTS)
def test_the_pairs_are_the_best_that_there_are(weights: list[dict[int, float]]) -> None:
    """No other way to pair a few rows with a few trials has a larger sum."""
    pairs = Assignment(weights).solve()
    assert len(set(pairs.values())) == len(pairs)
    ways = itertools.product(*[[None, *own] for own in weights])
    chosen = [{row: at for row, at in enumerate(way) if at is not None} for way in ways]
    single = [way for way in chosen if len(set(way.values())) == len(way)]
    assert weight(pairs, weights) == pytest.approx(max(weight(way, weights) for way in single))


NUMBERS = st.sampled_from(["", "2.5", "2.511111", "2.4", "1", "x", "-1", "nan"])
CELLS = st.sampled_from(["", "1", "2", "0000001", "2026-01-01T00:15:00Z", "keep", "crash", "\x00"])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, NUMBERS, CELLS), max_size=12))
def test_every_trial_and_every_claim_is_told_once(
    rows: list[tuple[str, str, str, str, str]],
) -> None:
    """Whatever a log holds, each trial is a row's or unreported, and no row has two findings."""
    names = ("experiment", "timestamp", "commit", "val_bpb", "status")
    claims = [Claim(at, dict(zip(names, cells, strict=True))) for at, cells in enumerate(rows, 1)]
    found = reconcile(claims, LEDGER, VAL_BPB).findings
    numbered = [each.row for each in found if each.row is not None]
    assert numbered == sorted(set(numbered))
    alone = {each.trial for each in found if each.verdict == "unreported"}
    told = {each.trial for each in found if each.row is not None} - {None}
    assert alone | told == {1, 2, 3, 4, 5}
    assert not alone & told
    once = [each.trial for each in found if each.trial is not None and "again" not in each.by]
    assert len(set(once)) == len(once)
