"""What a run's records say of the runtime that made its containers."""

from __future__ import annotations

from typing import Any

import pytest

from runner.records.runtime import RUNTIME, RuntimeRecord, label_of

GVISOR = RuntimeRecord(name="runsc", options=("--platform=ptrace",), is_native=False)
UNBOUNDED = GVISOR.model_copy(update={"bounds_hold": False})


@pytest.mark.parametrize(
    ("runtime", "label", "key"),
    [
        (RuntimeRecord(name="runc"), "", ""),
        (RuntimeRecord(name="crun", options=("--debug",)), "", ""),
        (GVISOR, "under runsc", "runsc --platform=ptrace"),
        (UNBOUNDED, "under runsc, without bounds on memory and processors",
         "runsc --platform=ptrace"),
    ],
)  # fmt: skip
def test_only_what_is_unlike_others_is_labelled(
    runtime: RuntimeRecord, label: str, key: str
) -> None:
    """Runs on the machine's own kernel compare with each other, whatever made their containers."""
    assert (runtime.label, runtime.key) == (label, key)


def test_a_record_comes_back_from_the_versions_of_a_spec() -> None:
    """It is what was written."""
    kept = {RUNTIME: UNBOUNDED.model_dump(mode="json")}
    assert RuntimeRecord.of_run(kept) == UNBOUNDED
    assert label_of(kept) == UNBOUNDED.label


@pytest.mark.parametrize(
    "versions", [None, {}, [], "text", {RUNTIME: None}, {RUNTIME: 3}, {RUNTIME: {"name": []}}]
)
def test_a_run_that_tells_nothing_has_no_label(versions: Any) -> None:
    """Neither a run of an earlier version nor garbage is an error."""
    assert RuntimeRecord.of_run(versions) is None
    assert label_of(versions) == ""
