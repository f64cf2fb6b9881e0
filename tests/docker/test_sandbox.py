"""The lock as an agent finds it: what it can do, and what it cannot.

Everything runs as a turn of a real agent container that the runner's own sandbox opened, with the
gateway and the scripted provider behind it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from runner.engine.client import Engine
from runner.limits import limits
from runner.wire.messages import Denied
from tests.docker.sandbox_rig import SandboxRig, make_context

FACTS = """
import json, os, pathlib, stat
def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError as error:
        return type(error).__name__
def listed(path):
    try:
        return os.listdir(path)
    except OSError as error:
        return type(error).__name__
def can(doing):
    try:
        doing()
        return True
    except OSError:
        return False
def write(path):
    return can(lambda: open(path, "w").close())
status = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines())
own = ("/workspace/x", "/home/agent/x", "/tmp/x")
not_own = ("/x", "/etc/x", "/usr/bin/x", "/opt/bakeoff/x", "/opt/agent/x", "/run/x", "/var/x",
    "/run/gateway/x", "/etc/codex/config.toml", "/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/x")
foreign = ("/var/run/docker.sock", "/run/docker.sock", "/run/upstream", "/state", "/data")
print(json.dumps({
    "interfaces": listed("/sys/class/net"),
    "devices": [line.split(":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:]],
    "routes": read("/proc/net/route").splitlines()[1:],
    "ids": [os.getuid(), os.geteuid(), os.getgid()],
    "groups": sorted({1000, *os.getgroups()}),
    "status": {key: status[key].strip()
        for key in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp") if key in status},
    "writable": [path for path in own if write(path)],
    "unwritable": [path for path in not_own if write(path)],
    "replaced": can(lambda: os.unlink("/run/gateway/llm.sock")),
    "foreign": [path for path in foreign if os.path.lexists(path)],
    "pid 1": {"environ": read("/proc/1/environ"), "mem": read("/proc/1/mem"),
        "stdout": write("/proc/1/fd/1"),
        "stdin": can(lambda: os.open("/proc/1/fd/0", os.O_RDONLY))},
    "own environ": bool(read("/proc/self/environ")),
    "node": can(lambda: os.mknod("/tmp/mem", stat.S_IFCHR | 0o600, os.makedev(1, 1))),
    "setuid": can(lambda: os.setuid(0)),
    "chroot": can(lambda: os.chroot("/tmp")),
    "memory": [read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        read("/sys/fs/cgroup/memory.max")],
    "processes": [read("/sys/fs/cgroup/pids/pids.max"), read("/sys/fs/cgroup/pids.max")],
}))
"""
REACH = """
import json, os, socket
reached = {}
for host, port in json.loads(os.environ["TARGETS"]):
    try:
        socket.create_connection((host, port), 3).close()
        reached[f"{host}:{port}"] = "reached"
    except OSError as error:
        reached[f"{host}:{port}"] = type(error).__name__ + ": " + str(error)
print(json.dumps(reached))
"""
ASK = """
import json, os, urllib.error, urllib.request
answers = []
for method, path, headers, body in json.loads(os.environ["REQUESTS"]):
    request = urllib.request.Request("http://127.0.0.1:8080" + path, method=method, headers=headers,
        data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answers.append([answer.status, answer.read().decode()[-4000:]])
    except urllib.error.HTTPError as error:
        answers.append([error.code, error.read().decode()[-4000:]])
print(json.dumps(answers))
"""
FIND = """
import json, os
needle = (os.environ["FIRST"] + os.environ["SECOND"]).encode()
found, looked = [], 0
for top in ("/workspace", "/home", "/tmp", "/run", "/etc", "/opt/bakeoff", "/var", "/dev/shm"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path):
                    looked += 1
                    with open(path, "rb") as file:
                        found += [path] if needle in file.read() else []
            except OSError:
                pass
for process in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        try:
            with open(f"/proc/{process}/{name}", "rb") as file:
                looked += 1
                found += [f"/proc/{process}/{name}"] if needle in file.read() else []
        except OSError:
            pass
print(json.dumps([found, looked]))
"""
FORK = """
import json, os, signal
children = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        children += 1
except OSError as error:
    print(json.dumps([children, type(error).__name__]))
"""
MODEL = "gpt-5.4"
QUESTION = {
    "model": MODEL,
    "stream": True,
    "store": False,
    "max_output_tokens": 1000,
    "input": [{"role": "user", "content": "Read program.md and begin."}],
    "tools": [{"type": "function", "name": "exec_command", "parameters": {}}],
}


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRig]:
    """One open sandbox of a rehearsed run for all probes."""
    opened = SandboxRig.of(make_context(engine, tmp_path_factory.mktemp("runs"), "gpt"))
    with opened.sandbox:
        yield opened


@pytest.fixture(scope="module")
def facts(rig: SandboxRig) -> dict[str, Any]:
    """What a program of the agent finds out about its container."""
    found: dict[str, Any] = json.loads(rig.python(FACTS))
    return found


def ask(rig: SandboxRig, *requests: tuple[str, str, dict[str, str], object]) -> list[Any]:
    """Status and body of each request from inside to 127.0.0.1:8080."""
    answers: list[Any] = json.loads(rig.python(ASK, {"REQUESTS": json.dumps(requests)}))
    return answers


def signed(rig: SandboxRig) -> dict[str, str]:
    token = rig.context.token
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


# --- the network ----------------------------------------------------------------------------------


def test_there_is_no_interface_but_loopback(facts: dict[str, Any]) -> None:
    """Neither the list of interfaces nor the counters have another one; no route leads out."""
    assert facts["interfaces"] == ["lo"]
    assert facts["devices"] == ["lo"]
    assert facts["routes"] == []


def test_the_relay_alone_can_be_reached(rig: SandboxRig) -> None:
    """127.0.0.1:8080 answers; the host's own addresses, metadata and the internet do not."""
    with host_listener() as (addresses, port):
        outside = [(address, port) for address in addresses]
        for target in outside:
            socket.create_connection(target, 5).close()  # from the host each of them works
        public = [("1.1.1.1", 443), ("169.254.169.254", 80), ("192.168.0.1", 80), ("::1", port)]
        targets = json.dumps([("127.0.0.1", 8080), ("127.0.0.1", port), *outside, *public])
        reached: dict[str, str] = json.loads(rig.python(REACH, {"TARGETS": targets}))
    assert reached.pop("127.0.0.1:8080") == "reached"
    assert outside
    assert [target for target, how in reached.items() if how == "reached"] == []


def test_no_name_but_localhost_is_resolved(rig: SandboxRig) -> None:
    """`localhost` resolves from a file; no other name does, so nothing leaves by DNS."""
    names = [("localhost", 8080), ("api.openai.com", 443), ("host.docker.internal", 80),
             ("leak.example.com", 80)]  # fmt: skip
    reached = json.loads(rig.python(REACH, {"TARGETS": json.dumps(names)}))
    assert reached.pop("localhost:8080") == "reached"
    assert all(how.startswith("gaierror") for how in reached.values()), reached


@contextlib.contextmanager
def host_listener() -> Iterator[tuple[list[str], int]]:
    """A server on every address of this machine; gives those that a container could try."""
    server = socket.create_server(("0.0.0.0", 0))
    thread = threading.Thread(target=_accept_all, args=(server,), daemon=True)
    thread.start()
    try:
        yield _own_addresses(), server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        server.close()


def _accept_all(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def _own_addresses() -> list[str]:
    """The engine's bridge as a container would see it, and the address that faces the world."""
    client = docker.from_env()
    try:
        networks = [n for n in client.networks.list() if not str(n.name).startswith("bakeoff")]
        configs = [config for n in networks for config in n.attrs["IPAM"]["Config"] or []]
    finally:
        client.close()
    bridges = [str(ipaddress.ip_network(config["Subnet"])[1]) for config in configs]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the way out
        return [*bridges, probe.getsockname()[0]]


# --- the gateway ----------------------------------------------------------------------------------


def test_the_model_answers_requests_with_the_token(rig: SandboxRig) -> None:
    """With the run's token there is an answer; without one, or with another, there is 401."""
    other = {"authorization": "Bearer bakeoff-of-another-run"}
    allowed, none, wrong, key = ask(
        rig,
        ("POST", "/v1/responses", signed(rig), QUESTION),
        ("POST", "/v1/responses", {"content-type": "application/json"}, QUESTION),
        ("POST", "/v1/responses", other, QUESTION),
        ("POST", "/v1/responses", {"authorization": f"Bearer {rig.key}"}, QUESTION),
    )
    assert allowed[0] == 200
    assert "response.completed" in allowed[1]
    assert [none[0], wrong[0], key[0]] == [401, 401, 401]


def test_nothing_but_the_model_is_allowed(rig: SandboxRig) -> None:
    """The provider's other paths, other models and its own web tools are refused by the gateway."""
    headers = signed(rig)
    web = {**QUESTION, "tools": [{"type": "web_search"}]}
    refused = ask(
        rig,
        ("GET", "/v1/files", headers, None),
        ("POST", "/v1/files", headers, {}),
        ("POST", "/v1/batches", headers, {}),
        ("GET", "/v1/organization/api_keys", headers, None),
        ("DELETE", "/v1/responses", headers, None),
        ("POST", "/v1/responses/../files", headers, QUESTION),
        ("POST", "/v1/responses", headers, {**QUESTION, "model": "gpt-4o"}),
        ("POST", "/v1/responses", headers, web),
        ("GET", "/", headers, None),
    )
    assert all(400 <= status < 500 for status, _ in refused), refused
    rig.passed("gateway", Denied, least=len(refused))
    assert ask(rig, ("POST", "/v1/responses", headers, QUESTION))[0][0] == 200


# --- the container --------------------------------------------------------------------------------


def test_an_agent_has_no_rights(facts: dict[str, Any]) -> None:
    """It is uid 1000 without a capability, can gain none, and is under seccomp."""
    assert facts["ids"] == [1000, 1000, 1000]
    assert facts["groups"] == [1000]
    nothing = "0" * 16
    assert facts["status"] == {
        "CapEff": nothing, "CapPrm": nothing, "CapBnd": nothing, "NoNewPrivs": "1", "Seccomp": "2",
    }  # fmt: skip
    assert not facts["node"]
    assert not facts["setuid"]
    assert not facts["chroot"]


def test_an_agent_writes_where_it_works_and_nowhere_else(facts: dict[str, Any]) -> None:
    """Workspace, home and /tmp are its own; root, policies, programs and the socket are not."""
    assert facts["writable"] == ["/workspace/x", "/home/agent/x", "/tmp/x"]
    assert facts["unwritable"] == []
    assert not facts["replaced"]


def test_nothing_of_the_host_or_of_other_containers_is_there(facts: dict[str, Any]) -> None:
    """No engine socket, no provider's socket, no gateway ledger, no data is in the container."""
    assert facts["foreign"] == []


def test_pid_1_cannot_be_read_or_impersonated(facts: dict[str, Any]) -> None:
    """Its environment, memory, stdin and stdout are closed to the agent; its own are not."""
    assert facts["own environ"]
    assert facts["pid 1"] == {
        "environ": "PermissionError", "mem": "PermissionError", "stdout": False, "stdin": False,
    }  # fmt: skip


def test_memory_and_processes_are_bounded(facts: dict[str, Any], rig: SandboxRig) -> None:
    """The kernel's bounds are those of the table of limits."""
    limit = limits()["agent"]
    memory = limit.memory_bytes(rig.context.engine.info().memory_bytes)
    assert str(memory) in [text.strip() for text in facts["memory"]]
    assert str(limit.pids) in [text.strip() for text in facts["processes"]]


def test_a_fork_bomb_stays_in_its_turn(rig: SandboxRig) -> None:
    """Forking ends at the bound, and the next turn finds a container as good as new."""
    children, error = json.loads(rig.python(FORK))
    assert 100 < children < limits()["agent"].pids
    assert error == "BlockingIOError"
    assert rig.python("print('alive')") == "alive\n"


# --- the key --------------------------------------------------------------------------------------


def test_the_key_is_nowhere_in_the_sandbox(rig: SandboxRig) -> None:
    """No file, environment or command line that the agent can read holds it."""
    found, looked = json.loads(rig.python(FIND, halves(rig.key)))
    assert found == []
    assert looked > 20
    token, _ = json.loads(rig.python(FIND, {**halves("needle-in-"), "X": "needle-in-"}))
    assert len(token) == 1, "the search itself works: it finds its own environment"


def halves(text: str) -> dict[str, str]:
    """The text in two variables, so that the search does not find itself."""
    return {"FIRST": text[:5], "SECOND": text[5:]}


def test_the_key_is_in_no_inspect_and_no_log(rig: SandboxRig) -> None:
    """Who can ask the engine about the run's containers does not learn the key either."""
    client = docker.from_env()
    try:
        states = rig.context.engine.containers(rig.context.spec.run_id)
        assert {state.role for state in states} == {"agent", "gateway", "rehearsal"}
        for state in states:
            assert rig.key not in json.dumps(client.api.inspect_container(state.id))
            assert rig.key.encode() not in b"".join(rig.context.engine.logs(state.id))
    finally:
        client.close()
    for path in rig.context.run_dir.path.rglob("*"):
        assert not path.is_file() or rig.key.encode() not in path.read_bytes()


def test_no_container_of_a_rehearsal_has_a_network(rig: SandboxRig) -> None:
    """A rehearsed gateway needs no way out, so it has none; no port of any is published."""
    client = docker.from_env()
    try:
        for state in rig.context.engine.containers(rig.context.spec.run_id):
            body = client.api.inspect_container(state.id)
            assert body["HostConfig"]["NetworkMode"] == "none"
            assert not body["NetworkSettings"]["Ports"]
            assert all(mount["Type"] == "volume" for mount in body["Mounts"])
            assert not body["HostConfig"]["Privileged"]
            assert body["HostConfig"]["ReadonlyRootfs"]
            assert body["HostConfig"]["LogConfig"]["Config"]["max-size"]
    finally:
        client.close()
