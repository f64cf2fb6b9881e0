"""What an optimiser says of where a trial comes from is bounded, and only known words are kept."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import samplers
from runner.engine.client import Engine
from runner.metrics import VAL_BPB
from runner.records import proposal
from runner.records.files import append_line, read_lines
from runner.records.journal import Journal
from runner.records.layout import ROOT, RunDir
from runner.records.proposal import Proposal, counts, in_words
from runner.records.schema import TrialRecord
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.pending import keep_order, pending_orders
from runner.trials.orders.provenance import (
    MAX_CHANGED,
    MAX_REQUESTS,
    MAX_WHY_CHARS,
    read_proposal,
)
from runner.trials.orders.submission import SubmissionReader
from runner.wire.messages import TrialRequested
from runner.wire.model_config import MAX_CHANGE_CHARS, MAX_NAME_CHARS, MAX_REPAIRS

PRISTINE = "DEPTH = 4\nprint(DEPTH)\n"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["by", "requests", "changed", "repairs", "duplicate", "why", "usd", "x"])
SAID: dict[str, Any] = {
    "by": "cmaes", "requests": ["q-1", "q-2"], "changed": {"DEPTH": "clamped"},
    "repairs": ["fence"], "duplicate": True, "why": "",
}  # fmt: skip


@given(st.dictionaries(FIELDS, VALUES))
def test_whatever_is_said_can_be_read(said: dict[str, Any]) -> None:
    """Any JSON makes a proposal whose source is known and that has cost nothing yet."""
    read = read_proposal(said, samplers.load())
    words = {"default", "model", "warm", "fallback", "unknown"}
    assert read.by in words | samplers.load().keys()
    assert (read.usd, read.tokens) == (0, 0)
    assert Proposal.model_validate(read.model_dump()) == read


def test_a_good_word_is_kept_whole() -> None:
    """Every field but the costs, which are not the optimiser's to say."""
    read = read_proposal({**SAID, "usd": 9.0, "tokens": 9}, samplers.load())
    assert read == Proposal(
        by="cmaes", requests=("q-1", "q-2"), changed={"DEPTH": "clamped"}, repairs=("fence",),
        duplicate=True,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["", "CMAES", "centaur", "me", None, 3, ["model"]])
def test_a_source_that_is_none_is_unknown(by: object) -> None:
    """So no table has words that a container chose."""
    assert read_proposal({"by": by}, samplers.load()).by == "unknown"


def test_every_size_is_bounded() -> None:
    """A hostile container fills neither the ledger nor a table."""
    read = read_proposal(
        {
            "by": "x" * 9000,
            "requests": [*(f"q-{n}" for n in range(9000)), "y" * 9000],
            "changed": {f"{n}{'k' * 9000}": "z" * 9000 for n in range(9000)},
            "repairs": [f"{n}{'r' * 9000}" for n in range(9000)],
            "why": "w" * 9000,
        },
        samplers.load(),
    )
    assert len(read.requests) == MAX_REQUESTS
    assert len(read.changed) <= MAX_CHANGED
    assert len(read.repairs) == MAX_REPAIRS
    assert len(read.why) == MAX_WHY_CHARS
    assert max(map(len, (*read.requests, *read.changed))) == MAX_NAME_CHARS
    assert {len(text) for text in (*read.changed.values(), *read.repairs)} == {MAX_CHANGE_CHARS}


def test_a_reason_has_room_and_shows_where_it_was_cut() -> None:
    """A sentence of what was changed or mended is whole; a longer one ends in an ellipsis."""
    whole = "left out, because train.py assigns it twice, in lines 12 and 340, and never reads it"
    long = "x" * (MAX_CHANGE_CHARS + 1)
    cut = "x" * (MAX_CHANGE_CHARS - 1) + "…"
    said = {"changed": {"DEPTH": whole, "WIDTH": long}, "repairs": [whole, long]}
    read = read_proposal(said, ())
    assert read.changed == {"DEPTH": whole, "WIDTH": cut}
    assert read.repairs == (whole, cut)


def test_a_request_is_named_once() -> None:
    """It is paid once, too."""
    assert read_proposal({"requests": ["q", "q", 1, "p"]}, ()).requests == ("q", "p")


def test_the_optimizer_has_the_same_words() -> None:
    """Its table of sources is that of the ledger."""
    tree = ast.parse((ROOT / "images/optimizer/methods/terms.py").read_text())
    values = {
        name.id: value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
        if isinstance(target, ast.Tuple)
        for name, value in zip(target.elts, node.value.elts, strict=True)
        if isinstance(name, ast.Name) and isinstance(value, ast.Constant)
    }
    assert values == {
        name: getattr(proposal, name) for name in ("DEFAULT", "MODEL", "WARM", "FALLBACK")
    }


# --- from the request to the ledger ---------------------------------------------------------------


def order_of(engine: Engine, run_dir: RunDir, *, with_model: bool, said: Any) -> TrialOrder:
    reader = SubmissionReader(
        engine, run_dir, Ledger(run_dir, VAL_BPB), PRISTINE, "sampler",
        samplers.load() if with_model else None,
    )  # fmt: skip
    order = reader.order("", TrialRequested("r-1", knobs={"DEPTH": 5}, proposal=said), 1)
    assert isinstance(order, TrialOrder)
    return order


def test_only_a_baseline_with_a_model_has_proposals(engine: Engine, run_dir: RunDir) -> None:
    """Another contestant may say what it likes."""
    assert order_of(engine, run_dir, with_model=False, said=SAID).proposal is None
    order = order_of(engine, run_dir, with_model=True, said=SAID)
    assert order.proposal == read_proposal(SAID, samplers.load())
    assert order.record(status="ok").proposal == order.proposal
    assert order_of(engine, run_dir, with_model=True, said={}).proposal == Proposal(by="unknown")


def test_a_trial_that_is_run_again_has_its_proposal(engine: Engine, run_dir: RunDir) -> None:
    """It lies beside the text, so a resumed run loses nothing of it."""
    run_dir.pristine.write_text(PRISTINE)
    order = order_of(engine, run_dir, with_model=True, said=SAID)
    journal = Journal(run_dir)
    keep_order(run_dir, journal, order)
    (again,) = pending_orders(run_dir, Ledger(run_dir, VAL_BPB), journal)
    assert again == order


@given(said=st.dictionaries(FIELDS, VALUES))
def test_what_was_read_is_a_line_of_the_ledger(
    said: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever was said, it is read again as it was written."""
    path = tmp_path_factory.mktemp("ledger") / "trials.jsonl"
    record = TrialRecord(
        trial=1, source="sampler", request="r", status="ok", proposal=read_proposal(said, ()),
    )  # fmt: skip
    append_line(path, record)
    assert list(read_lines(path, TrialRecord)) == [record]


def test_sources_are_counted_in_the_order_of_a_search() -> None:
    """The default first, samplers before the model, and last what went wrong."""
    said = ["model", "fallback", "cmaes", "default", "model", "unknown", "warm"]
    found = counts([None, *(Proposal(by=by) for by in said)])
    assert in_words(found) == ("default 1, warm 1, cmaes 1, model 2, fallback 1, unknown 1")
    assert in_words(counts([None])) == ""
