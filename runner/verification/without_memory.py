"""A trained model without its memory: fresh containers that answer one batch each and end.

A model that remembers what it was shown can look ahead and still repeat its first answers. A fresh
container has the text and the model, as it was before any scored row came. It has no data, nothing
that it can write for another to read, and one socket. The judge sends the scored rows to one, and
to others the same rows with other text after some place, and compares the logits up to there. It
answers one call for each container, and the next one only when the runner has started the next.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from runner.devices.names import cpuset_of, gpu_of
from runner.engine import one_off
from runner.engine.containers import ContainerSpec, Mount
from runner.records.layout import volume_name
from runner.records.verification import Memory
from runner.referee.audits import failed_audit
from runner.trials.judging import Session
from runner.trials.lease import LOST, Held, Holder, LeaseLostError, still_trains
from runner.trials.terms import HAND_OUT_FOLDER
from runner.verification import copying
from runner.verification.bench import Bench
from runner.wire.judge_terms import JUDGE_FOLDER, WITHOUT_MEMORY

CONTAINERS = 4  # that serve one batch each: the scored rows, twice with other tails, and once more
FRESH_FOLDER = "/fresh"
SERVE = ["python", "-u", "/opt/bakeoff/serve.py"]
COPY_SECONDS = 120.0
SERVE_SECONDS = 300.0  # to load the text and the model, and to answer one batch
STOP_SECONDS = 30.0  # beyond the time that PID 1 of a fresh container keeps itself
MAX_SAID_CHARS = 200


def compare(
    bench: Bench, train_py: str, digest: str, hand_out: str, abandon: threading.Event
) -> Memory:
    """Serve batches from fresh containers and let the judge compare the logits.

    Args:
        bench: the referee's judge.
        train_py: the text whose classes the model is of.
        digest: the SHA-256 of the model's file, as the trial told the judge before it was scored.
        hand_out: the volume that the trial saved the model to.
        abandon: is set when somebody asks to stop.

    Raises:
        EngineError: the engine failed.
        SandboxError: the judge cannot be started.
    """
    try:
        return _compared(bench, train_py, digest, hand_out, abandon)
    except LeaseLostError:
        return Memory(state="not done", why=LOST)


def _compared(
    bench: Bench, train_py: str, digest: str, hand_out: str, abandon: threading.Event
) -> Memory:
    """What the comparison finds, while the device is held.

    Raises:
        LeaseLostError: another has the device by now.
    """
    judging = bench.context.judging
    with contextlib.ExitStack() as stack:
        holder = Holder(bench.context.spec.run_id, 0, still_trains(bench.context.engine))
        held = stack.enter_context(bench.lease.held(abandon, holder))
        volume = stack.enter_context(_fresh_volume(bench))
        session = stack.enter_context(judging.session(mode="fresh", hidden=CONTAINERS))
        refused = _filled(bench, volume, hand_out, digest, train_py, session)
        for number in range(CONTAINERS):
            if number:  # the first call begins as every trial's does
                judging.begin_again(session)
            refused = refused or _served(bench, volume, number, held, abandon)
        if refused:
            return Memory(state="not handed out", why=refused)
        judging.finish(session)
        return _concluded(session)


def _concluded(session: Session) -> Memory:
    finished = session.finished
    numbers = (finished.audit if finished else {}).get(WITHOUT_MEMORY)
    if finished is None or not isinstance(numbers, dict) or "passed" not in numbers:
        reason = finished.reason if finished else "the judge ended"
        return Memory(state="not done", why=f"the fresh containers could not be compared: {reason}")
    if numbers["passed"]:
        return Memory(state="equal")
    return Memory(state="differs", verdict=failed_audit(WITHOUT_MEMORY, numbers, rejects=True))


@contextlib.contextmanager
def _fresh_volume(bench: Bench) -> Iterator[str]:
    """A volume for the text and the model; the containers that need it are gone at the end."""
    engine, run_id = bench.context.engine, bench.context.spec.run_id
    name = volume_name(run_id, "fresh")
    engine.remove_volume(name)  # left by a runner that was killed
    engine.create_volume(name, run_id=run_id)
    try:
        yield name
    finally:
        engine.remove_volume(name)


def _filled(
    bench: Bench, volume: str, hand_out: str, digest: str, train_py: str, session: Session
) -> str:
    """Put everything into the fresh volume; says why the model could not be, or nothing."""
    mounts = (Mount(hand_out, HAND_OUT_FOLDER, read_only=True), Mount(volume, FRESH_FOLDER))
    arguments = [f"{HAND_OUT_FOLDER}/model.pt", f"{FRESH_FOLDER}/model.pt", digest]
    told = {
        "task": bench.context.task.name,
        "token": session.token,
        "threads": bench.trainer.threads,
        "seconds": SERVE_SECONDS,
    }
    text = train_py.encode("utf-8", "surrogatepass")
    files = {"train.py": text, "serve.json": json.dumps(told).encode()}
    copied = one_off.run_module(
        bench.context.engine, _spec(bench, "copy", mounts, None), copying, *arguments,
        timeout_seconds=COPY_SECONDS, files={FRESH_FOLDER: files},
    )  # fmt: skip
    if copied.exit_code == 0:
        return ""
    return _last_line(copied.output) or "the model could not be copied"


def _served(bench: Bench, volume: str, number: int, held: Held, abandon: threading.Event) -> str:
    """Serve one batch from one container; says why it could not, or nothing."""
    mounts = (
        Mount(volume, FRESH_FOLDER, read_only=True),
        Mount(bench.trainer.judge_volume, JUDGE_FOLDER, read_only=True),
    )
    spec = replace(_spec(bench, f"fresh-{number}", mounts, held), entrypoint=SERVE)
    bounds = one_off.Bounds(SERVE_SECONDS + STOP_SECONDS, abandon)
    engine = bench.context.engine
    served = one_off.run(engine, spec, bounds, start=partial(held.start, engine))
    if served.exit_code == 0:
        return ""
    late = served.exit_code is None
    why = "it did not answer in time" if late else f"exit code {served.exit_code}"
    return _last_line(served.output) or why


def _spec(bench: Bench, name: str, mounts: tuple[Mount, ...], held: Held | None) -> ContainerSpec:
    trainer, run_id = bench.trainer, bench.context.spec.run_id
    sizes = trainer.sizes
    return ContainerSpec(
        name=f"bakeoff-{run_id}-{name}",
        image=trainer.image,
        run_id=run_id,
        role="fresh",
        mounts=mounts,
        gpu=None if held is None else gpu_of(held.device),
        cpuset=None if held is None else cpuset_of(held.device),
        memory_bytes=sizes["memory_bytes"],
        cpus=sizes["cpus"],
        pids=sizes["pids"],
        shm_bytes=sizes["shm_bytes"],
        runtime=bench.context.spec.runtime,
    )


def _last_line(output: str) -> str:
    """The end of what a container printed, short and harmless: a contestant may have written it."""
    lines = output.splitlines()
    said = lines[-1] if lines else ""
    return "".join(char if char.isprintable() else "?" for char in said)[:MAX_SAID_CHARS]
