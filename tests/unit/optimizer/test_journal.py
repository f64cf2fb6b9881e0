"""Repairing a journal: whatever damaged it, it is cut after its last whole change."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.optimizer.journal import CREATE_TRIAL, SET_TRIAL_PARAM, mend, whole_bytes

KNOBS = 3
CREATE_STUDY, SET_STATE, SET_ATTRIBUTE = 0, 6, 8


def line(code: int, **fields: object) -> bytes:
    return json.dumps({"op_code": code, "worker_id": "w", **fields}).encode() + b"\n"


def ask(trial: int) -> list[bytes]:
    """An ask as Optuna writes it: the trial, its sampler's state, and a line for each knob."""
    values = [line(SET_TRIAL_PARAM, trial_id=trial, value=knob) for knob in range(KNOBS)]
    return [line(CREATE_TRIAL, study_id=0), line(SET_STATE, trial_id=trial), *values]


def tell(trial: int) -> list[bytes]:
    return [line(SET_ATTRIBUTE, trial_id=trial), line(SET_STATE, trial_id=trial, state=1)]


CHANGES = [[line(CREATE_STUDY)], *(change for t in range(4) for change in (ask(t), tell(t)))]
WHOLE = b"".join(piece for change in CHANGES for piece in change)
# Where it may be cut: after an ask, and after each line outside of one.
ENDS = {
    len(b"".join(piece for change in CHANGES[:n] for piece in change) + b"".join(CHANGES[n][:m]))
    for n in range(len(CHANGES))
    for m in ([0] if len(CHANGES[n]) > 2 else range(len(CHANGES[n]) + 1))
} | {len(WHOLE)}


def mended(content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.log"
        journal.write_bytes(content)
        mend(journal, KNOBS)
        return journal.read_bytes()


def test_a_whole_journal_stays_as_it_is() -> None:
    """Nothing is cut off without need, and a missing journal is not created."""
    assert mended(WHOLE) == WHOLE
    with tempfile.TemporaryDirectory() as folder:
        mend(Path(folder) / "journal.log", KNOBS)
        assert not list(Path(folder).iterdir())


@given(
    st.integers(min_value=0, max_value=len(WHOLE)),
    st.integers(min_value=0, max_value=400),
    st.booleans(),
)
def test_a_damaged_journal_ends_with_its_last_whole_change(
    at: int, nuls: int, continues: bool
) -> None:
    """Cut, filled with NULs, or with a hole: nothing that follows the damage stays."""
    end = WHOLE[at + nuls :] if continues and nuls else b""
    assert mended(WHOLE[:at] + bytes(nuls) + end) == WHOLE[: max(e for e in ENDS if e <= at)]


@pytest.mark.parametrize(
    "damage", [b"no JSON\n", b"7\n", b"[]\n", b"{}\n", b'{"op_code": "4"}\n', b"\n"]
)
def test_a_line_that_is_no_operation_ends_it(damage: bytes, tmp_path: Path) -> None:
    """A line that Optuna never writes counts as damage, even if it is JSON."""
    journal = tmp_path / "journal.log"
    journal.write_bytes(WHOLE + damage + WHOLE)
    assert whole_bytes(journal, KNOBS) == len(WHOLE)
