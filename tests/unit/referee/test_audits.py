"""Verdicts from what the judge measured."""

from __future__ import annotations

from typing import Any

from runner.records.schema import TrialRecord
from runner.referee.audits import audit_verdicts

PASSED = {"passed": True, "rows": 8, "largest_change_nats": 0.001}
FAILED = {"passed": False, "rows": 64, "advantage_nats": 0.13, "z": 21.0, "referenced": True}


def record(status: str, audit: dict[str, Any], reason: str = "") -> TrialRecord:
    """A trial of that end."""
    fields: dict[str, Any] = {"trial": 1, "source": "agent", "request": "r", "status": status}
    return TrialRecord(audit=audit, reason=reason, **fields)


def test_an_honest_trial_has_no_verdict() -> None:
    """Audits that passed, and entries that are no audits, say nothing."""
    audit = {"look-ahead": PASSED, "model handed out": {"sha256": "0" * 64}, "odd": 3}
    assert audit_verdicts(record("ok", audit)) == []


def test_a_failed_audit_rejects_with_its_numbers() -> None:
    """The verdict has the audit's name and its finite numbers, and is a probe's."""
    [verdict] = audit_verdicts(record("rejected", {"look-ahead": PASSED, "hidden rows": FAILED}))
    assert (verdict.name, verdict.by, verdict.rejects) == ("hidden rows", "probe", True)
    assert verdict.numbers == {"rows": 64, "advantage_nats": 0.13, "z": 21.0}


def test_another_fault_is_a_verdict_too() -> None:
    """Logits that are not finite end before any audit."""
    [verdict] = audit_verdicts(record("rejected", {}, "not finite"))
    assert (verdict.name, verdict.rejects) == ("not finite", True)


def test_numbers_that_are_none_are_left_out() -> None:
    """An infinite z, a word or a null cannot get into the record."""
    odd = {"passed": False, "z": float("inf"), "why": "word", "rows": None, "more": {"a": 1}}
    [verdict] = audit_verdicts(record("rejected", {"hidden rows": odd}))
    assert verdict.numbers == {}


def test_answers_that_change_by_themselves_are_said() -> None:
    """The same batch got other answers: that is flagged, takes no score, and rounding is not it."""
    [verdict] = audit_verdicts(record("ok", {"look-ahead": {**PASSED, "noise_nats": 0.85}}))
    assert (verdict.name, verdict.by, verdict.rejects) == ("unsteady answers", "probe", False)
    assert verdict.numbers == {"noise_nats": 0.85}
    for noise in (0.01, None, "much", float("nan")):
        assert audit_verdicts(record("ok", {"look-ahead": {**PASSED, "noise_nats": noise}})) == []
