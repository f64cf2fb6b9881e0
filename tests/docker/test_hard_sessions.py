"""Hard sessions, as real ones are: media, failing streams and counts, compaction, sub-agents.

The CLIs, the gateway, the sandbox and the trials are real; only the model is scripted. It keeps an
account of its own of what it charged, and the run's dollars have to agree with it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from runner import options
from runner.agents import load_agent
from runner.engine.client import Engine
from runner.options import RunOptions
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.schema import Event, RunResult, UsageRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget
from runner.wire.protocol import MARK
from tests.docker.commands import a_seed

USD = 5.0
MOST_LEFT_USD = 1.0  # what no request fits into any more, its output being a thousand tokens
CENT = 0.01
TRIAL_SECONDS = 1.0
SEEN_SECONDS = 60.0
FIVE_PICTURES = 5
FAILED_STREAMS = 3
# A broken stream whose prompt nobody counted is charged by a bound: at most a token a byte, which
# is four times what the scripted model counts, and what a picture may be at most.
TOKENS_AT_MOST, PICTURE_TOKENS, EXTRA_TOKENS = 4, 16_384, 4096
PLAN = (
    "uncounted", "pdf", "notebook", "delegate", "delegate-down", "baseline", "narrow",
    "pictures", "cut", *["fill"] * 4, "improve", "think",
)  # fmt: skip
CASES = (
    ("opus", None), ("opus", "claude-sonnet-5-5"),
    ("gpt", None), ("gpt", "gpt-5.6-sol"),
    ("gemini", None), ("gemini", "gemini-3.1-pro-preview"),
)  # fmt: skip
# What the CLIs send of what they read: Codex has no tool for a PDF, and Gemini CLI drops all media
# for models whose names begin with gemini-3-.
SENT_PDF = {"opus", "gemini"}
SENDS_NOTHING = {("gemini", None)}
# Codex asks for a smaller model by its own name, which is not this run's and may be refused.
NAMES_A_MODEL = {"gpt"}


@dataclass
class Account:
    """What the scripted model says of itself on its standard error."""

    charges: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take a line of the container: a message, or a note for people with the time before it."""
        note = line.partition(" ")[2]
        if note.startswith("account: "):
            self.charges.append(json.loads(note.removeprefix("account: ")))
        elif not line.startswith(MARK):
            self.notes.append(note)

    def said(self, *words: str) -> list[str]:
        return [note for note in self.notes if all(word in note for word in words)]


@dataclass(frozen=True)
class Session:
    """A hard session that has ended."""

    agent: str
    model: str | None
    result: RunResult
    usage: list[UsageRecord]
    events: list[Event]
    account: Account

    def said(self, event: str) -> list[dict[str, Any]]:
        return [one.fields for one in self.events if one.event == event]


@pytest.mark.parametrize(("agent", "model"), CASES)
def test_a_hard_session_goes_on_to_its_budget(
    agent: str, model: str | None, engine: Engine, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Whatever it meets on the way, the run ends by its dollars, and they are right to the cent."""
    ended = session(agent, model, engine, tmp_path)
    for check in CHECKS:
        with subtests.test(check.__doc__):
            check(ended)


def session(agent: str, model: str | None, engine: Engine, runs: Path) -> Session:
    """A rehearsed run under USD=5 that meets everything in `PLAN`."""
    asked = RunOptions(seed=1, model=model, trial_seconds=TRIAL_SECONDS, rehearsal=True)
    spec = options.agent_run(agent, asked, Budget(usd=USD), {})
    run_id = f"test-hard-{agent}-s{a_seed()}"
    spec = spec.model_copy(update={"run_id": run_id, "rehearsal_plan": PLAN})
    run_dir = RunDir(runs / run_id)
    try:
        with account_of(f"bakeoff-{run_id}-rehearsal") as account:
            result = lifecycle.start(spec, engine, runs, lambda *_: None)
        return Session(
            agent, model, result,
            list(read_lines(run_dir.usage, UsageRecord)),
            list(read_lines(run_dir.events, Event)),
            account,
        )  # fmt: skip
    finally:
        remove_run(engine, run_id)


@contextmanager
def account_of(container: str) -> Iterator[Account]:
    """The account of a rehearsal that is about to start, read from its log as it is written."""
    account, over = Account(), threading.Event()
    reader = threading.Thread(target=_follow, args=(container, account, over), daemon=True)
    reader.start()
    try:
        yield account
    finally:
        over.set()
        reader.join(SEEN_SECONDS)


def _follow(container: str, account: Account, over: threading.Event) -> None:
    engine = Engine.connect()
    try:
        while (state := engine.inspect(container)) is None or state.status == "created":
            if over.wait(0.1):
                return
        rest = b""
        for chunk in engine.logs(container, follow=True):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                account.take(line.decode("utf-8", "replace"))
    finally:
        engine.close()


# --- what has to hold ----------------------------------------------------------------------------


def ended_by_its_dollars(ended: Session) -> None:
    """The dollars ended the run, hardly any were left, and none were spent beyond them."""
    assert (ended.result.ended_by, ended.result.cause) == ("usd", "budget"), ended.result
    assert USD - MOST_LEFT_USD <= ended.result.spent.usd <= USD + CENT
    assert ended.result.trials_by_status.get("ok", 0) >= 2


def media_reached_the_model(ended: Session) -> None:
    """Five pictures stood in one request, and the PDF in some, as far as the CLI sends them."""
    if (ended.agent, ended.model) in SENDS_NOTHING:
        return
    seen = [charge["media"] for charge in ended.account.charges]
    pictures = max(
        sum(count for kind, count in kinds.items() if kind.startswith("image/")) for kinds in seen
    )
    assert pictures >= FIVE_PICTURES
    assert any("application/pdf" in kinds for kinds in seen) == (ended.agent in SENT_PDF)


def counts_failed(ended: Session) -> None:
    """The provider was asked for a count, gave none, and nothing stood still because of it."""
    assert ended.account.said("no count")
    assert ended.result.spent.outage_seconds == 0


def streams_failed(ended: Session) -> None:
    """Three streams failed; each was charged its input, and none a whole reservation."""
    cut = [charge for charge in ended.account.charges if charge["cut"]]
    assert len(cut) == FAILED_STREAMS
    assert [record for record in ended.usage if record.charged_by == "reservation"] == []


def the_history_was_compacted(ended: Session) -> None:
    """The CLI asked for a summary of its history."""
    assert ended.account.said("a summary")


def sub_agents_worked(ended: Session) -> None:
    """A sub-agent on the run's model, and one on what the CLI calls a smaller one."""
    expected = 1 if ended.agent in NAMES_A_MODEL else 2
    assert len(ended.account.said("sub-agent", "step 2")) >= expected


def nothing_was_refused(ended: Session) -> None:
    """Only what cannot be had was refused, and the gateway had no trouble of its own."""
    cannot_be_had = {"cap", "uncounted"} | ({"model"} if ended.agent in NAMES_A_MODEL else set())
    denied = ended.said("gateway.request_denied")
    assert [one for one in denied if one["reason"] not in cannot_be_had] == []
    assert ended.said("container.problem") == []


def dollars_are_right(ended: Session) -> None:
    """What the run has spent is what the model charged, to the cent."""
    assert sum(record.cost_usd for record in ended.usage) == pytest.approx(ended.result.spent.usd)
    bounded = [record for record in ended.usage if record.charged_by == "input"]
    cut = [charge for charge in ended.account.charges if charge["cut"]]
    whole = [charge for charge in ended.account.charges if not charge["cut"]]
    if ended.agent == "gpt":  # its broken streams say nothing of their usage
        assert len(bounded) == len(cut)
        least, most = sum(map(price, cut)), sum(map(highest_price, cut))
        assert least <= sum(record.cost_usd for record in bounded) <= most
    else:
        bounded, whole = [], [*whole, *cut]
    exact = ended.result.spent.usd - sum(record.cost_usd for record in bounded)
    assert exact == pytest.approx(sum(map(price, whole)), abs=CENT / 2)


CHECKS = (
    ended_by_its_dollars, media_reached_the_model, counts_failed, streams_failed,
    the_history_was_compacted, sub_agents_worked, nothing_was_refused, dollars_are_right,
)  # fmt: skip


def price(charge: dict[str, Any]) -> float:
    """What a charge of the account costs, in US dollars."""
    writes = charge["cache_write_5m"] + charge["cache_write_1h"]
    prompt = charge["input"] + charge["cached_read"] + writes
    counts = {"input_tokens": prompt, "output_tokens": charge["output"]}
    rest = {
        "cache_read_tokens": charge["cached_read"],
        "cache_write_tokens": writes,
        "cache_write_1h_tokens": charge["cache_write_1h"],
    }
    counts |= {name: tokens for name, tokens in rest.items() if tokens}
    return float(
        calc_price(Usage(**counts), charge["model"], provider_id=provider(charge)).total_price
    )


def highest_price(charge: dict[str, Any]) -> float:
    """The most that the prompt of a charge can be bounded to cost, in US dollars."""
    prompt = charge["input"] + charge["cached_read"] + charge["cache_write_5m"]
    tokens = TOKENS_AT_MOST * prompt + sum(charge["media"].values()) * PICTURE_TOKENS + EXTRA_TOKENS
    none = {"cached_read": 0, "cache_write_5m": 0, "cache_write_1h": 0, "output": 0}
    dearest = none | {"model": charge["model"], "input": 0, "cache_write_5m": tokens}
    return max(price(dearest), price(dearest | {"cache_write_5m": 0, "input": tokens}))


def provider(charge: dict[str, Any]) -> str:
    return next(
        load_agent(name).spec.provider
        for name, stem in (("opus", "claude"), ("gpt", "gpt"), ("gemini", "gemini"))
        if str(charge["model"]).startswith(stem)
    )
