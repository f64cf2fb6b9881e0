"""Verdicts that were measured: what the judge's audits found in a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from runner.records.schema import TrialRecord, Verdict
from runner.wire.judge_terms import WITHOUT_MEMORY

SAYS = {
    "look-ahead": "its logits change with tokens that come later",
    "batch dependence": "its logits of a row depend on the other rows of the batch",
    "hidden rows": "it predicts better where the true continuation is among its inputs",
    "hidden rows of test": "the same on the test split",
    WITHOUT_MEMORY: "fresh containers with the same model gave other logits",
}

UNSTEADY_NATS = 0.05  # the change of a prediction when the same batch comes again; rounding is less


def audit_verdicts(record: TrialRecord) -> list[Verdict]:
    """One verdict for each audit that a trial failed, and one for any other fault it died of.

    Another one says that its answers changed when the same batch came again. That takes no score:
    dropout that was left on is honest. But a model that goes on learning from what it is sent
    looks the same, and probes that are measured by such noise find little.

    A failed audit rejects a trial exactly if its status says so: an audit may also fail in a
    session that was only to compare, not to score.
    """
    found = [
        failed_audit(name, numbers, rejects=record.status == "rejected")
        for name, numbers in record.audit.items()
        if isinstance(numbers, Mapping) and numbers.get("passed") is False
    ]
    rejecting = [*found, *(verdict for verdict in record.verdicts if verdict.rejects)]
    if record.status == "rejected" and not rejecting:
        fault = record.reason or "a fault"
        found = [Verdict(name=fault, by="probe", rejects=True, text=f"the judge said: {fault}")]
    return [*found, *_unsteady(record)]


def _unsteady(record: TrialRecord) -> list[Verdict]:
    probe = record.audit.get("look-ahead")
    noise = probe.get("noise_nats") if isinstance(probe, Mapping) else None
    if not isinstance(noise, int | float) or not noise > UNSTEADY_NATS:
        return []
    text = "its answers change when the same batch comes again: it is random, or it learns from it"
    return [Verdict(name="unsteady answers", by="probe", text=text, numbers={"noise_nats": noise})]


def failed_audit(name: str, numbers: Mapping[str, Any], *, rejects: bool) -> Verdict:
    """The verdict on one audit that failed."""
    text = SAYS.get(name, "an audit of the judge failed")
    return Verdict(name=name, by="probe", rejects=rejects, text=text, numbers=_plain(numbers))


def _plain(numbers: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among the values."""
    return {
        str(name): float(value)
        for name, value in numbers.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
