"""A key goes through whole runs and failures, and is then looked for in every byte that is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from runner import options, results
from runner.engine.client import Engine
from runner.options import REHEARSAL_KEY, RunOptions
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec
from runner.wire.messages import Stop
from tests.docker.canary import Sweep, forms, new_canary, watched
from tests.docker.commands import a_seed, commands, events, rehearsed, trials, wait_for
from tests.docker.gateway_rig import (
    BASE_IMAGE,
    GATEWAY_IMAGE,
    KEY,
    REHEARSAL_IMAGE,
    Program,
    Rig,
)

from .container_log import container_log
from .gateway_client import Client

ASKED = RunOptions(seed=1, trial_seconds=1.0, rehearsal=True, record=True, verify="none")
CRASH = """
import os, resource, sys
sys.path.insert(0, "/opt/bakeoff")
import pid1
key = sys.stdin.readline().strip()
pid1.close_to_others()
child = os.fork()
if child == 0:
    os.chdir("/tmp")
    os.abort()
_, status = os.waitpid(child, 0)
print("signal", os.WTERMSIG(status), "core", os.WCOREDUMP(status), os.listdir("/tmp"), flush=True)
"""


@pytest.fixture
def canary() -> str:
    return new_canary()


@pytest.fixture
def sweep(engine: Engine, canary: str) -> Iterator[Sweep]:
    made = Sweep(engine, canary, REHEARSAL_KEY, KEY)
    yield made
    made.close()


def kept_secret(spec: RunSpec, canary: str) -> RunSpec:
    """The spec under a name of its own, with the canary as its key."""
    run_id = f"test-{spec.contestant}-s{a_seed()}"
    return spec.model_copy(update={"run_id": run_id, "api_key": SecretStr(canary)})


def see_through(engine: Engine, spec: RunSpec, runs: Path, sweep: Sweep) -> None:
    try:
        with watched(sweep, spec.run_id):
            lifecycle.start(spec, engine, runs, lambda *_: None)
    finally:
        remove_run(engine, spec.run_id)


def assert_clean(sweep: Sweep, least: dict[str, int]) -> None:
    """Nothing was found, and so many bytes of each place were searched."""
    assert sweep.found == []
    thin = {place: sweep.searched[place] for place in least if sweep.searched[place] < least[place]}
    assert not thin, f"too little was searched: {thin} of {dict(sweep.searched)}"


EVERYWHERE = {
    "docker inspect": 10_000, "docker logs": 500, "processes, cmdline": 1000,
    "processes, environ": 1000, "runs": 50_000, "runs, names": 100, "runs, unpacked": 2_000,
    "volumes, /state": 2000, "results": 1000,
}  # fmt: skip


def test_an_agents_run_leaves_the_key_nowhere(
    engine: Engine, tmp_path: Path, sweep: Sweep, canary: str
) -> None:
    """RECORD=1; while it runs and when it is over: files, logs, containers, volumes, processes."""
    spec = kept_secret(options.agent_run("gpt", ASKED, Budget(trials=2), {}), canary)
    see_through(engine, spec, tmp_path / "runs", sweep)
    results.write_results([tmp_path / "runs" / spec.run_id], tmp_path / "results")
    sweep.files("runs", tmp_path / "runs")
    sweep.files("results", tmp_path / "results")
    assert_clean(sweep, EVERYWHERE | {"volumes, /workspace": 20_000, "volumes, /home/agent": 1000})


def test_an_optimisers_run_leaves_the_key_nowhere(
    engine: Engine, tmp_path: Path, sweep: Sweep, canary: str
) -> None:
    """A baseline that asks a model, with answers that are hard to use."""
    asked = replace(ASKED, model="gpt-5.4")
    spec = kept_secret(options.baseline_run("llm-knobs", asked, Budget(trials=2), {}), canary)
    see_through(engine, spec, tmp_path / "runs", sweep)
    results.write_results([tmp_path / "runs" / spec.run_id], tmp_path / "results")
    sweep.files("runs", tmp_path / "runs")
    sweep.files("results", tmp_path / "results")
    assert_clean(sweep, EVERYWHERE)


def test_a_killed_runner_leaves_the_key_nowhere(
    engine: Engine, tmp_path: Path, sweep: Sweep
) -> None:
    """Kill -9 in the middle, a look at all that is left, and the resumed run to its end."""
    with commands(engine, tmp_path) as bakeoff:
        seed = a_seed()
        run_id = f"gpt-s{seed}"
        run_dir = bakeoff.run_dir(run_id)
        process = bakeoff.start(*rehearsed("gpt", seed, "--trials", "2", "--record"))
        with watched(sweep, run_id):
            wait_for(lambda: events(run_dir, "trial.started"), "trial 1", process,
                     tmp_path / "command-0.log")  # fmt: skip
            process.kill()
            process.wait(30)
        sweep.containers(run_id)
        with watched(sweep, run_id):
            done = bakeoff("resume", run_id)
        assert done.returncode == 0, done.stderr[-2000:]
        assert len(trials(run_dir)) == 2
        sweep.look("commands", "resume", (done.stdout + done.stderr).encode())
    sweep.files("runs", tmp_path)
    least = {name: least for name, least in EVERYWHERE.items() if name != "results"}
    assert_clean(sweep, least | {"volumes, /workspace": 20_000})


def posted(standin: Program) -> int:
    """How many requests the stand-in of a provider has told of."""
    return sum("POST" in line for line in standin.text)


def test_a_provider_that_repeats_the_key_tells_it_to_nobody(engine: Engine, sweep: Sweep) -> None:
    """In bodies and headers of errors of every kind; the client, log and records lack it."""
    rig = Rig(engine)
    try:
        standin = rig.standin()
        gateway = rig.gateway()
        gateway.begin(rig.config("anthropic", record=True))
        client = Client(rig)
        for number, status in enumerate((400, 401, 403, 404, 500)):
            client.ask(id=str(number), faults=[{"status": status, "echo": True}])
            sweep.containers(rig.run_id)
        standin.until(lambda: posted(standin) >= 6)
        assert posted(standin) == 6  # once again after 500
        gateway.say(Stop("the run is over", 5))
        gateway.end()
        sweep.containers(rig.run_id)
        said = json.dumps([vars(message) for message in gateway.messages])
        sweep.look("messages", "gateway", said.encode())
        sweep.look("answers", "client", "\n".join(client.said).encode())
    finally:
        rig.close()
    assert "refused: " in "\n".join(client.said), "the provider's words did not arrive"
    assert_clean(
        sweep,
        {"docker inspect": 5000, "docker logs": 500, "volumes, /state": 2000, "messages": 500,
         "answers": 500},
    )  # fmt: skip


def test_a_gateway_that_crashes_leaves_no_core(engine: Engine, sweep: Sweep) -> None:
    """A process of its image with a key in memory is aborted: the kernel writes no core."""
    rig = Rig(engine)
    try:
        python = ["/opt/venv/bin/python", "-u", "-c", CRASH]
        program = rig.program("crash", GATEWAY_IMAGE, (), entrypoint=python)
        program.up()
        program.send(KEY.encode() + b"\n")
        program.line("signal 6 core False []")
        gateway = rig.gateway()
        gateway.begin(rig.config("anthropic"))
        sweep.containers(rig.run_id)
        sweep.processes()
    finally:
        rig.close()
    assert_clean(sweep, {"docker inspect": 5000, "processes, environ": 1000})


def test_no_layer_of_an_image_holds_the_key(sweep: Sweep) -> None:
    """Of the images that are given one, every byte of every layer, and their history."""
    sweep.images(BASE_IMAGE, GATEWAY_IMAGE, REHEARSAL_IMAGE)
    assert_clean(
        sweep,
        {"images, layers": 100 << 20, "images, history": 2000, "images, inspect": 2000},
    )


@pytest.mark.parametrize("form", forms("x"))
def test_the_search_finds_each_form(engine: Engine, tmp_path: Path, canary: str, form: str) -> None:
    """The control: a form of the key in a file, across the edge of two pieces too, is found."""
    needle = forms(canary)[form]
    sweep = Sweep(engine, canary)
    (tmp_path / "log").write_bytes(b"before " + needle + b" after")
    sweep.files("runs", tmp_path)
    sweep.stream("volumes", "x", [b"a" * 9 + needle[:7], needle[7:] + b"b" * 9])
    sweep.close()
    assert [each.split(":")[0] for each in sweep.found] == ["runs", "volumes"]
    assert all(form in each for each in sweep.found)


def test_the_search_finds_a_key_in_a_container(engine: Engine, run_id: str, canary: str) -> None:
    """The control: in a description, a log, a volume, arguments and an environment it is found."""
    sweep, rig = Sweep(engine, canary), Rig(engine)
    try:
        mounts = (rig.mount("gateway", "/run/gateway"),)
        printing = f"KEY={canary} exec sh -c 'echo {canary}; sleep 60; :'"
        tell = f"echo {canary} > /run/gateway/x; {printing}"
        leaky = rig.program("leaky", GATEWAY_IMAGE, mounts, entrypoint=["sh", "-c", tell])
        leaky.up()
        container_log(engine, leaky.container, canary)
        sweep.containers(rig.run_id)
        sweep.processes()
    finally:
        sweep.close()
        rig.close()
    places = {each.split(":")[0] for each in sweep.found}
    assert places >= {
        "docker inspect", "docker logs", "volumes, /run/gateway", "processes, cmdline",
        "processes, environ",
    }  # fmt: skip
