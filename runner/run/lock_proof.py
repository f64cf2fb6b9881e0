"""Proves a run's lock while its sandbox opens, and refuses a run whose lock is not shown to hold.

Invariant: nothing that a contestant made runs in a life before every probe has been tried in
containers like those that run a contestant's code or hold its score, and has failed where it must.
The first turn of a new run may begin before that: its model answers nothing yet, because the
gateway has neither been started nor got a key. The attack that this stops: an agent in a sandbox
whose walls an engine, a kernel or a user's own configuration has opened since they were last looked
at.

Source: docs/threat-model.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from runner.engine.containers import ContainerSpec
from runner.errors import LockError
from runner.proof.prove import proving
from runner.records.containment import Containment, Finding, read_containment
from runner.records.files import to_json, write_whole
from runner.records.visible import visible
from runner.run.context import RunContext
from runner.run.wiring import lease_of, trainer_of

# The long-lived containers that run a contestant's code, or hold what its score is made of.
PROVED_ROLES = ("agent", "optimizer", "judge")
TRIAL = "trial"
Prove = Callable[[RunContext, Mapping[str, ContainerSpec]], AbstractContextManager[None]]
NAMED = 3  # failed probes that an error names
MAX_DETAIL_CHARS = 120
HINT = (
    "`make prove` (with the RUNTIME of the run) tries everything and shows what came of it; "
    "docs/engines.md says what Podman and gVisor need; UNSAFE=1 runs it all the same, and the run "
    "is called unsafe in every comparison"
)


@contextlib.contextmanager
def prove_lock(context: RunContext, opening: Mapping[str, ContainerSpec]) -> Iterator[None]:
    """Try the quick probes in containers like this run's, and keep what came of them.

    The context is entered when the lock is proved, and removes at its end what the proof made.
    Where nothing got through but a probe proved nothing, all are tried once more: a busy machine
    can keep an allowed twin from working in time.

    Args:
        context: the run.
        opening: role → a container of the run.

    Raises:
        LockError: something is not shown to hold, and the run was not asked to go on without that.
        EngineError: the engine refused.
        HostError: the run's directory cannot be written.
    """
    proved = boxes(context, opening)
    with contextlib.ExitStack() as made:
        found = made.enter_context(proving(context.engine, proved, "quick"))
        if {one.outcome for one in found.findings} == {"held", "unproven"}:
            made.close()
            found = made.enter_context(proving(context.engine, proved, "quick"))
        judge(context, found)
        yield


def boxes(context: RunContext, opening: Mapping[str, ContainerSpec]) -> dict[str, ContainerSpec]:
    """What is proved of a run: role → the container, exactly as it is opened.

    Args:
        context: the run.
        opening: role → one of its long-lived containers.
    """
    proved = {role: opening[role] for role in PROVED_ROLES if role in opening}
    device = lease_of(context).devices[0]
    trial = trainer_of(context).container(context.spec.run_id, 0, device)
    return {**proved, TRIAL: trial}


def judge(context: RunContext, found: Containment) -> None:
    """Keep a proof in the run's directory and in its journal, and refuse the run if it failed.

    A run that once went on without a whole proof is called unsafe to its end: its earlier trials
    are the same as before, whatever a later proof finds. And a proof that held stays where a later
    life of its run is refused.

    Raises:
        LockError: it failed, and the run was not asked to go on without it.
        HostError: the run's directory cannot be written.
    """
    failed, spec, run_dir = found.failed, context.spec, context.run_dir
    before = read_containment(run_dir)
    was_unsafe = before is not None and before.unsafe
    unsafe = was_unsafe or (bool(failed) and spec.unsafe)
    earlier = (*before.earlier, *before.failed) if before is not None and was_unsafe else ()
    kept = found.model_copy(update={"unsafe": unsafe, "earlier": tuple(dict.fromkeys(earlier))})
    refused = bool(failed) and not spec.unsafe
    if not (refused and before is not None and not before.failed):  # the run was made under that
        write_whole(run_dir.containment, to_json(kept))
    if not failed:
        context.journal.write(
            "containment.proved", probes=len(found.findings), slow_probes=len(found.slow)
        )
        return
    context.journal.write(
        "containment.failed", probes=[_name(one) for one in failed], unsafe=unsafe
    )
    for one in failed:
        context.show("proof", _in_words(one))
    if refused:
        raise LockError(refusal(spec.run_id, found), hint=HINT)


def refusal(run_id: str, found: Containment) -> str:
    """Why a run is refused, with the first of the probes that failed."""
    failed, tried = found.failed, len(found.findings) + len(found.slow)
    named = "; ".join(_in_words(one) for one in failed[:NAMED])
    more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return (
        f"starting {run_id}: {len(failed)} of {tried} probes do not show that its containers hold: "
        f"{named}{more}"
    )


def _name(one: Finding) -> str:
    return f"{one.role}: {one.probe}"


def _in_words(one: Finding) -> str:
    """A failed probe; what a container said of it is cut to a length that can be read."""
    what = "succeeded" if one.outcome == "broken" else "proves nothing"
    detail = visible(one.detail)
    said = f" ({detail[:MAX_DETAIL_CHARS]})" if detail else ""
    return f"{one.probe} in the {one.role}'s container {what}{said}"
