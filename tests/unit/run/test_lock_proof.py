"""What becomes of the proof of a run's lock: it is kept, it refuses the run, or it labels it."""

from __future__ import annotations

import pytest

from runner import options
from runner.errors import LockError
from runner.options import RunOptions
from runner.records.containment import (
    Containment,
    Finding,
    Outcome,
    is_unsafe,
    read_containment,
)
from runner.records.layout import RunDir
from runner.run.container_plan import container_plans
from runner.run.context import RunContext
from runner.run.lock_proof import boxes, judge, refusal
from runner.sandbox.sandbox import Sandbox
from runner.spec import Budget
from tests.unit.run.test_container_plan import context_of


def found(*outcomes: Outcome, slow: tuple[Outcome, ...] = ()) -> Containment:
    """A proof whose probes came to this."""

    def findings(named: str, of: tuple[Outcome, ...]) -> tuple[Finding, ...]:
        return tuple(
            Finding(role="agent", attack="a", probe=f"{named}-{n}", outcome=one, detail="x\x1by")
            for n, one in enumerate(of)
        )

    return Containment(
        proved_at="", part="quick", key="k", images={}, configurations={},
        findings=findings("quick", outcomes), slow=findings("slow", slow),
    )  # fmt: skip


def context(run_dir: RunDir, *, unsafe: bool = False) -> RunContext:
    asked = RunOptions(rehearsal=True, unsafe=unsafe)
    return context_of(options.agent_run("gpt", asked, Budget(trials=1), {}), run_dir)


def said(made: RunContext) -> list[str]:
    return [event.event for event in made.journal.events()]


def test_a_proof_that_holds_is_kept(run_dir: RunDir) -> None:
    """It lies in the run's directory, and the journal counts its probes."""
    made = context(run_dir, unsafe=True)
    judge(made, found("held", "held", slow=("held",)))
    (event,) = made.journal.events()
    assert (event.event, event.fields) == ("containment.proved", {"probes": 2, "slow_probes": 1})
    kept = read_containment(run_dir)
    assert kept is not None
    assert (kept.standing, kept.unsafe) == ("held", False), "to be asked for is no label"


@pytest.mark.parametrize(
    "proof", [found("held", "broken"), found("unproven"), found("held", slow=("broken",))]
)
def test_a_proof_that_fails_refuses_the_run(run_dir: RunDir, proof: Containment) -> None:
    """What proves nothing refuses it as well, and so does a slow proof of the same machine."""
    made = context(run_dir)
    with pytest.raises(LockError, match="in the agent's container") as caught:
        judge(made, proof)
    assert "UNSAFE=1" in caught.value.hint
    assert "make prove" in caught.value.hint
    assert said(made) == ["containment.failed"]
    kept = read_containment(run_dir)
    assert kept is not None
    assert (kept.standing, is_unsafe(run_dir)) == ("refused", False)


def test_a_proof_that_held_outlives_a_later_refusal(run_dir: RunDir) -> None:
    """The trials of a run were made under that; what was refused is in the journal."""
    judge(context(run_dir), found("held"))
    made = context(run_dir)
    with pytest.raises(LockError):
        judge(made, found("broken"))
    assert said(made) == ["containment.proved", "containment.failed"]
    kept = read_containment(run_dir)
    assert kept is not None
    assert (kept.standing, kept.failed) == ("held", ())


def test_a_run_that_was_unsafe_once_is_unsafe(run_dir: RunDir) -> None:
    """It goes on, and a later life whose lock holds takes nothing of that back."""
    judge(context(run_dir, unsafe=True), found("broken"))
    assert is_unsafe(run_dir)
    made = context(run_dir)
    judge(made, found("held"))
    assert said(made) == ["containment.failed", "containment.proved"]
    kept = read_containment(run_dir)
    assert kept is not None
    assert (kept.standing, kept.failed) == ("unsafe", ())
    assert [one.probe for one in kept.earlier] == ["quick-0"]


def test_a_refusal_names_the_first_failed_probes() -> None:
    """Three of them, how many more there are, and nothing that steers a terminal."""
    text = refusal("gpt-s1", found("held", "broken", "unproven", "broken", "broken"))
    assert text.startswith("starting gpt-s1: 4 of 5 probes")
    assert "quick-1 in the agent's container succeeded (x\ufffdy)" in text
    assert "quick-2 in the agent's container proves nothing" in text
    assert text.endswith("and 1 more")
    assert text.isprintable()


@pytest.mark.parametrize("text", [None, "", "{}", "\x00", "[" * 10_000])
def test_a_run_without_a_proof_claims_nothing(run_dir: RunDir, text: str | None) -> None:
    """One from before there were proofs, or whose file is garbage, is not called unsafe."""
    if text is not None:
        run_dir.containment.write_text(text)
    assert read_containment(run_dir) is None
    assert not is_unsafe(run_dir)


def test_the_boxes_are_those_of_the_run(run_dir: RunDir) -> None:
    """Agent and judge as they are opened, a trial as it will be, and no part without an agent."""
    made = context(run_dir)
    sandbox = Sandbox(made.engine, "x", container_plans(made), made.inbox, made.show)
    opening = {peer.spec.role: peer.spec for peer in sandbox.peers}
    proved = boxes(made, opening)
    assert sorted(proved) == ["agent", "judge", "trial"]
    assert proved["agent"] is opening["agent"]
    assert proved["judge"] is opening["judge"]
    trial = proved["trial"]
    assert (trial.role, trial.run_id, trial.image) == ("trial", made.spec.run_id, "sha256:trainer")
    assert {mount.target: mount.read_only for mount in trial.mounts} == {
        "/data": True, "/run/judge": True,
    }  # fmt: skip
