"""Studies in a database: who owns which trial, what is survived, and where the password is not."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from runner.build.images import ensure, image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.records.layout import RunDir, container_name
from runner.spec import read_spec
from runner.study.reading import study_of
from runner.wire.messages import (
    MESSAGES,
    Message,
    Problem,
    Started,
    Stopped,
    TrialFinished,
    TrialRequested,
)
from runner.wire.protocol import decode

from .commands import Commands, a_seed, commands, events, trials, wait_for
from .database_rig import DATABASE, USER, Database, database, shown
from .optimizer_rig import DEFAULTS, SPACE, loss
from .program_end import ProgramEnd

SOCKET_FOLDER = "/run/storage"


@pytest.fixture(scope="module")
def server(engine: Engine) -> Iterator[Database]:
    """One server for the tests of this module; each has a study of its own."""
    with database(engine) as made:
        yield made


class Sharing:
    """The containers of one test: a relay, and optimizers that share a study through it."""

    def __init__(self, engine: Engine, server: Database, stack: contextlib.ExitStack) -> None:
        ensure(engine, ["optimizer", "relay"])
        self.engine = engine
        self.server = server
        self.study = f"study-{uuid.uuid4().hex[:8]}"
        self._stack = stack
        self._run_id = f"test-{uuid.uuid4().hex[:8]}"
        self._storage = self._volume("storage")

    def relay(self, sslmode: str = "prefer", host: str | None = None) -> ProgramEnd:
        """A relay that has started."""
        mounts = (Mount(self._storage, SOCKET_FOLDER),)
        end = self._program("relay", mounts, lockdown.OWN_NETWORK)
        end.start(
            {"host": host or self.server.host, "port": self.server.port, "sslmode": sslmode,
             "deadline_seconds": 300}
        )  # fmt: skip
        end.next(Started)
        return end

    def optimizer(self, name: str, sampler: str = "random", **shared: Any) -> ProgramEnd:
        """An optimizer that has its config and whose first word is not yet read."""
        state = self._volume(f"{name}-state")
        mounts = (Mount(state, "/state"), Mount(self._storage, SOCKET_FOLDER, read_only=True))
        end = self._program("optimizer", mounts, lockdown.NO_NETWORK)
        whole = {
            "study": self.study, "run_id": name, "compared": "val_bpb", "user": USER,
            "password": self.server.password, "database": DATABASE,
        }  # fmt: skip
        self.config = {
            "sampler": sampler, "seed": 1, "space": SPACE, "direction": "minimize",
            "deadline_seconds": 300, "shared": whole | shared,
        }  # fmt: skip
        end.start(self.config)
        return end

    def _volume(self, purpose: str) -> str:
        name = f"bakeoff-{self._run_id}-{purpose}"
        self.engine.create_volume(name, run_id=self._run_id)
        self._stack.callback(self.engine.remove_volume, name)
        return name

    def _program(self, role: str, mounts: tuple[Mount, ...], network: str) -> ProgramEnd:
        name = f"bakeoff-{self._run_id}-{role}-{uuid.uuid4().hex[:4]}"
        spec = ContainerSpec(
            name, image_tag(role), self._run_id, role,
            mounts=mounts, network=network, tmpfs={"/tmp": 64 << 20},
        )  # fmt: skip
        end = ProgramEnd(self.engine, self.engine.create(spec))
        self._stack.callback(self.engine.remove, end.container)
        self._stack.callback(end.hang_up)
        return end


@pytest.fixture
def sharing(engine: Engine, server: Database) -> Iterator[Sharing]:
    with contextlib.ExitStack() as stack:
        yield Sharing(engine, server, stack)


def answered(end: ProgramEnd, request: TrialRequested) -> TrialRequested:
    """Tell the result of a request; the next request."""
    finished = TrialFinished(request.request, 1, "ok", loss(request.knobs), 1.0)
    end.say(finished)
    return end.next(TrialRequested)


def until(end: ProgramEnd, kind: type[Message]) -> tuple[list[Message], Message]:
    """All messages before the first of a kind, and that one."""
    before: list[Message] = []
    for is_stdout, line in end.lines:
        message = decode(line, MESSAGES) if is_stdout else None
        if isinstance(message, kind):
            return before, message
        before += [message] if message is not None else []
    raise AssertionError(f"the container ended before it said {kind.event}: {before}")


def test_each_run_has_its_own_trials_of_one_study(sharing: Sharing) -> None:
    """No number twice, the default once; one that was killed repeats its own request alone."""
    sharing.relay("require")
    ends = [sharing.optimizer("one"), sharing.optimizer("two", "tpe")]
    asked = [end.next(TrialRequested) for end in ends if end.next(Started)]
    seen = {request.request: request.knobs for request in asked}
    for _ in range(3):
        asked = [answered(end, request) for end, request in zip(ends, asked, strict=True)]
        seen |= {request.request: request.knobs for request in asked}
    assert sorted(seen) == sorted(f"ask-{number}" for number in range(8))
    assert seen["ask-0"] == DEFAULTS
    assert [knobs for knobs in seen.values() if knobs == DEFAULTS] == [DEFAULTS]
    sharing.engine.kill(ends[1].container)
    ends[1].end()
    ends[1].start(sharing.config)
    ends[1].next(Started)
    assert ends[1].next(TrialRequested) == asked[1]


def test_a_database_that_goes_away_is_waited_for(sharing: Sharing) -> None:
    """The optimizer says so, lives on, and tells what it had to; so after the relay's death."""
    relay = sharing.relay()
    end = sharing.optimizer("one")
    end.next(Started)
    request = end.next(TrialRequested)
    sharing.server.fail_for_a_while()
    sharing.server.log("received immediate shutdown request")
    end.say(TrialFinished(request.request, 1, "ok", loss(request.knobs), 1.0))
    before, following = until(end, TrialRequested)
    assert isinstance(following, TrialRequested)
    assert any(isinstance(m, Problem) and "it is waited for" in m.message for m in before), before
    sharing.engine.kill(relay.container)
    relay.end()
    end.say(TrialFinished(following.request, 2, "ok", loss(following.knobs), 1.0))
    waits = end.next(Started)
    assert waits.details == {"waits for": "the database"}
    sharing.relay("disable")
    _, last = until(end, TrialRequested)
    assert isinstance(last, TrialRequested)
    assert last.request == "ask-2"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"password": "a wrong one"}, "password authentication failed"),
    ({"password": ""}, "no password supplied"),
    ({"database": "another"}, 'database "another" does not exist'),
    ({"compared": "accuracy"}, "has other values than this run's"),
]


def test_what_cannot_be_shared_is_named(sharing: Sharing) -> None:
    """A login that is refused, and a study of other values, end the optimizer with the reason."""
    sharing.relay()
    sharing.optimizer("first").next(Started)
    for number, (wrong, reason) in enumerate(REFUSED):
        end = sharing.optimizer(f"refused-{number}", **wrong)
        _, problem = until(end, Problem)
        assert isinstance(problem, Problem)
        assert reason in problem.message
        end.next(Stopped)
        assert end.end().exit_code == 1
        assert sharing.server.password not in end.log()


def test_the_relay_says_why_there_is_no_connection(sharing: Sharing) -> None:
    """A certificate that nobody vouches for, and a port at which nobody listens."""
    for sslmode, host, reason in (
        ("verify-full", None, "certificate verify failed"),
        ("prefer", "127.0.0.1", "Connect"),
    ):
        relay = sharing.relay(sslmode, host)
        end = sharing.optimizer(f"waiting-{sslmode}")
        said = relay.next(Problem)
        assert reason.lower().replace("_", " ") in said.message.lower().replace("_", " ")
        assert end.next(Started).details == {"waits for": "the database"}
        for one in (end, relay):
            sharing.engine.remove(one.container)


@pytest.fixture
def bakeoff(engine: Engine, server: Database, tmp_path: Path) -> Iterator[Commands]:
    """The `bakeoff` command in a folder of its own, with the password in the file .env."""
    (tmp_path / ".env").write_text(f"STORAGE_PASSWORD={server.password}\n")
    with commands(engine, tmp_path) as made:
        yield made


def test_runs_share_a_study_and_survive_its_absence(
    engine: Engine, server: Database, bakeoff: Commands, tmp_path: Path
) -> None:
    """The second sees the trials of the first; relay and database die once; nothing leaks."""
    study, seed = f"study-{uuid.uuid4().hex[:8]}", a_seed()
    common = ("--trial-seconds", "1", "--verify", "none", "--storage", server.url, "--study", study)
    first = bakeoff.run_dir(f"random-s{seed}")
    command = ("baseline", "random", "--seed", str(seed), "--trials", "3", *common)
    process = bakeoff.start(*command)
    log = tmp_path / "command-0.log"
    wait_for(lambda: events(first, "trial.queued"), "the first trial", process, log)
    containers = {role: container_name(f"random-s{seed}", role) for role in ("relay", "optimizer")}
    for name in containers.values():
        assert server.password not in shown(name)
    engine.kill(containers["relay"])
    server.fail_for_a_while()
    wait_for(lambda: first.result.exists(), "the end of the first run", process, log)
    assert process.wait(60) == 0, log.read_text()
    assert [event.fields["role"] for event in events(first, "part.died")].count("relay") == 1
    assert bakeoff.result(f"random-s{seed}").ended_by == "trials"

    second = bakeoff.run_dir(f"tpe-s{seed}")
    done = bakeoff("baseline", "tpe", "--seed", str(seed), "--trials", "2", *common)
    assert done.returncode == 0, done.stderr
    spec = read_spec(bakeoff.runs, f"tpe-s{seed}")
    shared = study_of(
        second, spec.model_copy(update={"storage_password": SecretStr(server.password)})
    )
    complete = [trial for trial in shared.trials if trial.state.name == "COMPLETE"]
    assert [trial.params for trial in complete] == [
        trial.knobs for run in (first, second) for trial in trials(run) if trial.status == "ok"
    ]
    assert [trial.user_attrs["bakeoff.run"].split()[0] for trial in complete] == [
        run.path.name for run in (first, second) for trial in trials(run) if trial.status == "ok"
    ]
    assert (len(trials(first)), len(trials(second))) == (3, 2)
    assert trials(first)[0].knobs_changed == {}
    assert trials(second)[0].knobs_changed != {}

    exported = bakeoff("export", f"tpe-s{seed}")
    assert exported.returncode == 0, exported.stderr
    assert "user_attrs_bakeoff.run" in second.study_table.read_text().partition("\n")[0]
    for run in (first, second):
        assert holding(run, server.password) == []
        assert bakeoff.left(run.path.name) == []


def holding(run_dir: RunDir, secret: str) -> list[str]:
    """The files of a run that hold a secret."""
    files = [path for path in run_dir.path.rglob("*") if path.is_file()]
    return [str(path) for path in files if secret.encode() in path.read_bytes()]
