"""From a request to an order: knobs become a train.py, and what cannot be run is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.engine.client import Engine
from runner.errors import EngineError
from runner.metrics import VAL_BPB
from runner.records.files import append_line, read_lines
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.submission import Refusal, SubmissionReader
from runner.wire.messages import MAX_TRAIN_PY_BYTES, TrialRequested
from trainer import constants

PRISTINE = "DEPTH = 4\nMATRIX_LR = 0.04  # a rate\nWINDOW_PATTERN = 'SSSL'\nprint(DEPTH)\n"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture
def reader(engine: Engine, run_dir: RunDir) -> SubmissionReader:
    return SubmissionReader(engine, run_dir, Ledger(run_dir, VAL_BPB), PRISTINE, "sampler")


def asked(**knobs: Any) -> TrialRequested:
    return TrialRequested("r-1", knobs=knobs)


def test_knobs_become_a_train_py(reader: SubmissionReader) -> None:
    """The order holds the task's own text with these values, and says what changed."""
    order = reader.order("", asked(DEPTH=6, MATRIX_LR=0.04), 1)
    assert isinstance(order, TrialOrder)
    assert order.train_py == PRISTINE.replace("DEPTH = 4", "DEPTH = 6")
    assert order.knobs_changed == {"DEPTH": (4, 6)}
    assert not order.other_changes
    assert (order.trial, order.parent, order.source) == (1, None, "sampler")
    assert order.parent_train_py == PRISTINE


def test_an_unknown_knob_is_refused(reader: SubmissionReader) -> None:
    """A knob that train.py does not have names itself in the refusal."""
    refusal = reader.order("", asked(DEEPNESS=6), 1)
    assert isinstance(refusal, Refusal)
    assert "DEEPNESS" in refusal.reason


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(knobs=st.dictionaries(st.sampled_from(["DEPTH", "MATRIX_LR", "X"]), VALUES, min_size=1))
def test_any_knobs_are_taken_or_refused(
    reader: SubmissionReader, run_dir: RunDir, knobs: dict[str, Any]
) -> None:
    """Whatever values come, there is an order that can be recorded, or a refusal."""
    order = reader.order("", TrialRequested("r", knobs=knobs, hypothesis="\ud800"), 1)
    if isinstance(order, Refusal):
        assert order.reason
        return
    constants.read(order.train_py)
    order.train_py.encode("utf-8")
    record = TrialRecord(
        trial=1, source=order.source, request=order.request, status="ok", knobs=order.knobs,
        knobs_changed=order.knobs_changed, hypothesis=order.hypothesis,
    )  # fmt: skip
    run_dir.trials.unlink(missing_ok=True)
    append_line(run_dir.trials, record)
    assert [r.trial for r in read_lines(run_dir.trials, TrialRecord)] == [1]


def test_a_text_that_does_not_fit_a_line_is_refused(engine: Engine, run_dir: RunDir) -> None:
    """A train.py stays a message: what does not compress into one line is no trial."""
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(MAX_TRAIN_PY_BYTES // 4))
    reader = SubmissionReader(
        engine, run_dir, Ledger(run_dir, VAL_BPB), f"DEPTH = 4\n# {noise}\n", "sampler"
    )
    refusal = reader.order("", asked(DEPTH=5), 1)
    assert isinstance(refusal, Refusal)
    assert "too big" in refusal.reason


def test_the_parent_is_the_best_trial_so_far(engine: Engine, run_dir: RunDir) -> None:
    """Changes are told against the best text that was measured, not against the last one."""
    ledger = Ledger(run_dir, VAL_BPB)
    for trial, depth, value in ((1, 5, 2.0), (2, 7, 3.0)):
        run_dir.trial(trial).mkdir(parents=True)
        text = PRISTINE.replace("DEPTH = 4", f"DEPTH = {depth}")
        (run_dir.trial(trial) / "train.py").write_text(text)
        ledger.append(
            TrialRecord(trial=trial, source="sampler", request=f"r-{trial}", status="ok",
                        value=value)
        )  # fmt: skip
    reader = SubmissionReader(engine, run_dir, ledger, PRISTINE, "sampler")
    order = reader.order("", asked(DEPTH=6), 3)
    assert isinstance(order, TrialOrder)
    assert order.parent == 1
    assert order.knobs_changed == {"DEPTH": (5, 6)}


def test_words_about_a_trial_are_bounded(reader: SubmissionReader) -> None:
    """A hypothesis is cut, a foreign category becomes 'other'."""
    request = TrialRequested(
        "r", knobs={"DEPTH": 5}, hypothesis="h" * 10_000, category="magic", commit="c" * 1000
    )
    order = reader.order("", request, 1)
    assert isinstance(order, TrialOrder)
    assert len(order.hypothesis) == 2000
    assert len(order.commit) == 64
    assert order.category == "other"


def test_an_engine_that_does_not_answer_is_an_error_and_no_refusal(
    reader: SubmissionReader,
) -> None:
    """The contestant is not to blame when its text cannot be fetched."""
    with pytest.raises(EngineError, match="did not answer"):
        reader.order("c0ffee", TrialRequested("r", sha256="0" * 64, path="/x/train.py"), 1)
