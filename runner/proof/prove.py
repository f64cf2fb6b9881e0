"""Runs the probes in containers that are configured as those of a run are.

Invariant: each probe that belongs into a container has exactly one finding. A container that could
not be asked, or that ended early, leaves `unproven` findings and no gap.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.proof import answers, around, keeping, outside
from runner.proof.answers import Answers
from runner.proof.container import SUFFIX, Prepared, Running, opened, prepared
from runner.proof.program import expected, packed_modules, parameters, with_program
from runner.records.containment import Containment, Finding, Part
from runner.records.schema import now

QUICK_SECONDS, SLOW_SECONDS = 60.0, 600.0  # the container is ended then
BOMB_MEMORY_BYTES = 1 << 30  # a bomb need not fill the machine to show that a bound holds
FULL_WEIGHT = 1024  # on a machine that does other work a bomb would last for minutes


@dataclass(frozen=True)
class _Proved:
    """What one container came to."""

    answers: Answers
    slow: tuple[Finding, ...] = ()

    def with_bombs(self, findings: Iterable[Finding]) -> _Proved:
        return replace(self, slow=(*self.slow, *findings))


@dataclass(frozen=True)
class _Surroundings:
    """What all containers of a proof have around them."""

    engine: Engine
    part: Part
    targets: list[tuple[str, int]]
    volumes: frozenset[str]
    gateways: frozenset[str]  # the runs whose gateway listens
    removals: list[Callable[[], None]] = field(default_factory=list)  # at the proof's end


def prove(engine: Engine, boxes: Mapping[str, ContainerSpec], part: Part) -> Containment:
    """Try every probe in a container of each role; see `proving`."""
    with proving(engine, boxes, part) as found:
        return found


@contextlib.contextmanager
def proving(
    engine: Engine, boxes: Mapping[str, ContainerSpec], part: Part
) -> Iterator[Containment]:
    """Try every probe in a container of each role, all roles at once.

    The context is entered as soon as all findings are there. What was made for the proof is removed
    at its end, at the latest.

    Each container is the one that is given, but for its name, its program, and its writable
    volumes: those are made for the proof and removed after it. The findings of slow probes are kept
    for later runs, but for those that proved nothing; with `quick`, those that are kept are told.

    Args:
        engine: where they run.
        boxes: role → a container of the run, exactly as it will be opened.
        part: `quick`: what takes no second, for the start of a run; `all`: bombs and slow probes
            too.

    Raises:
        EngineError: the engine refused.
        SandboxError: a container asks for what its role may not have, or the program of probes
            cannot be read.
        HostError: what is to be kept cannot be written.
    """
    with ThreadPoolExecutor(2 * len(boxes) + 3, thread_name_prefix="proof") as pool:
        info = pool.submit(engine.info)
        images = {role: pool.submit(engine.image_digest, box.image) for role, box in boxes.items()}
        for box in list(boxes.values())[:1]:  # others like it find the list made
            pool.submit(expected, parameters(box, "quick"))
        surroundings = _surroundings(engine, part, pool)
        with _removed_at_the_end(surroundings, pool):
            running = {
                role: pool.submit(_proved, surroundings, role, box) for role, box in boxes.items()
            }
            try:
                bombs = _all_bombs(surroundings, boxes) if part == "all" else {}
            finally:
                wait(running.values())
            proved = {
                role: one.result().with_bombs(bombs.get(role, ())) for role, one in running.items()
            }
            digests = {role: one.result() for role, one in images.items()}
            about = info.result()
            said = next((one.answers for one in proved.values() if one.answers.kernel), Answers(()))
            name = f"{about.id} {about.version}".strip()
            machine = keeping.Machine(name, said.kernel, said.boot, about.kind)
            yield _containment(boxes, proved, digests, machine, part)


@contextlib.contextmanager
def _removed_at_the_end(around_it: _Surroundings, pool: ThreadPoolExecutor) -> Iterator[None]:
    """Remove, at once, what containers left to be removed later.

    Raises:
        EngineError: something could not be removed, and nothing else had gone wrong.
    """
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        removals = [pool.submit(remove) for remove in around_it.removals]
        wait(removals)
        if error is None:
            for removal in removals:
                removal.result()


def _surroundings(engine: Engine, part: Part, pool: ThreadPoolExecutor) -> _Surroundings:
    targets = pool.submit(around.targets, engine)
    volumes = pool.submit(engine.volumes)
    gateways: set[str] = set()
    if part == "all":
        gateways = {
            one.run_id
            for one in engine.containers()
            if one.role == "gateway" and one.status == "running"
        }
    names = frozenset(volume.name for volume in volumes.result())
    return _Surroundings(engine, part, targets.result(), names, frozenset(gateways))


def _proved(around_it: _Surroundings, role: str, given: ContainerSpec) -> _Proved:
    """The probes of one container, without its bombs."""
    gateway = given.run_id in around_it.gateways
    gateway &= any(mount.target == "/run/gateway" for mount in given.mounts)
    quick = parameters(given, "quick", around_it.targets)
    if around_it.part == "quick":
        return _Proved(_tried(around_it, role, given, quick, QUICK_SECONDS))
    told = parameters(given, "all", around_it.targets, gateway=gateway)
    box = prepared(given, around_it.volumes)
    folder = next((mount.target for mount in box.spec.mounts if not mount.read_only), "")
    leaving = {"leave": folder} if folder else {}
    with opened(around_it.engine, _with(box, {**told, **leaving})) as running:
        found = _answers(role, told, running, SLOW_SECONDS)
        running.ended()
        seen = outside.findings(role, around_it.engine, running.container, folder)
        left = list(seen) if folder else []
    quick_names = set(expected(quick))
    slow = [one for one in found.findings if (one.attack, one.probe) not in quick_names]
    fast = [one for one in found.findings if (one.attack, one.probe) in quick_names]
    return _Proved(replace(found, findings=tuple(fast)), (*slow, *left))


def _tried(
    around_it: _Surroundings, role: str, given: ContainerSpec, told: dict[str, object],
    timeout_seconds: float,
) -> Answers:  # fmt: skip
    """What a container answers, which is left running until the end of the proof."""
    box = _with(prepared(given, around_it.volumes), told)
    made = contextlib.ExitStack()
    running = made.enter_context(opened(around_it.engine, box))
    around_it.removals.append(made.close)
    return _answers(role, told, running, timeout_seconds)


def _all_bombs(
    around_it: _Surroundings, boxes: Mapping[str, ContainerSpec]
) -> dict[str, list[Finding]]:
    """The bombs, one container at a time: together they would fill the machine.

    What differs in its image and its volumes alone has the same bounds, and is tried once: so the
    CLIs of agents share their findings.
    """
    tried: dict[str, list[Finding]] = {}
    found: dict[str, list[Finding]] = {}
    for role, box in boxes.items():
        bounds = keeping.configuration(replace(box, mounts=()))
        if bounds not in tried:
            tried[bounds] = _bombs(around_it, role, box)
        found[role] = [one.model_copy(update={"role": role}) for one in tried[bounds]]
    return found


def _bombs(around_it: _Surroundings, role: str, given: ContainerSpec) -> list[Finding]:
    """Those run in a container of their own, whose log is looked at as well."""
    bounded = replace(
        given,
        memory_bytes=min(given.memory_bytes, BOMB_MEMORY_BYTES),
        cpu_weight=FULL_WEIGHT,
    )
    told = parameters(bounded, "bombs")
    box = prepared(bounded, around_it.volumes, f"{SUFFIX}-bombs")
    printing = {**told, "log_megabytes": outside.LOG_MEGABYTES}
    with opened(around_it.engine, _with(box, printing)) as running:
        found = _answers(role, told, running, SLOW_SECONDS)
        running.channel.close()  # what it prints from now on goes to the log alone
        running.ended(SLOW_SECONDS)
        log = outside.log_finding(role, around_it.engine, running.container)
    return [*found.findings, log]


def _with(box: Prepared, told: dict[str, object]) -> Prepared:
    return replace(box, spec=with_program(box.spec, told))


def _answers(
    role: str, told: dict[str, object], running: Running, timeout_seconds: float
) -> Answers:
    """What the program of a container said; one line is about its machine."""
    names = expected(told)
    return answers.read(role, names, running.lines(len(names) + 1, timeout_seconds))


def _containment(
    boxes: Mapping[str, ContainerSpec],
    proved: Mapping[str, _Proved],
    digests: Mapping[str, str],
    machine: keeping.Machine,
    part: Part,
) -> Containment:
    configurations = {role: keeping.configuration(box, machine.kind) for role, box in boxes.items()}
    slow: list[Finding] = []
    for role, box in boxes.items():
        key = keeping.box_key(digests[role], box, machine, packed_modules())
        if part == "all":
            keeping.keep(key, tuple(one for one in proved[role].slow if one.outcome != "unproven"))
            slow += proved[role].slow
        else:
            slow += keeping.kept(key, role)
    return Containment(
        proved_at=now(),
        part=part,
        key=keeping.proof_key(
            [(role, digests[role], configurations[role]) for role in boxes], machine
        ),
        images=dict(digests),
        configurations=configurations,
        engine=machine.engine,
        kernel=machine.kernel,
        boot=machine.boot,
        findings=tuple(one for role in boxes for one in proved[role].answers.findings),
        slow=tuple(slow),
    )
