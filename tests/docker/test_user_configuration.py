"""Nothing of the user's Docker configuration or environment gets into containers or records.

The attack this stops: an agent that reads the user's proxy password, registry login or keys in its
own environment, and puts them into what it sends to the provider or into its results.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from runner.build import images
from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import EngineError
from runner.proof.container import SUFFIX

from .commands import LONG_SECONDS, a_seed, commands, rehearsed
from .engine_relay import EngineRelay

CANARY = "canary8c1e"
PROXY = f"http://user:{CANARY}@192.0.2.1:3128"
CONFIGURATION = {
    "proxies": {
        "default": dict.fromkeys(("httpProxy", "httpsProxy", "ftpProxy", "noProxy"), PROXY)
    },
    "auths": {"192.0.2.1:5000": {"auth": base64.b64encode(f"user:{CANARY}".encode()).decode()}},
    "credsStore": f"{CANARY}-store",
    "credHelpers": {"192.0.2.2:5000": f"{CANARY}-helper"},
    "HttpHeaders": {"X-Meta": CANARY},
    "detachKeys": "ctrl-e,e",
    "currentContext": CANARY,
}
PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
SECRET_NAMES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN",
    "HF_TOKEN", "WANDB_API_KEY", "DOCKER_AUTH_CONFIG", "SSH_AUTH_SOCK",
    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY",
)  # fmt: skip
READ_ENVIRONMENTS = ["sh", "-c", "cat /proc/[0-9]*/environ"]
MALFORMED = {
    "no JSON": "{",
    "a list": "[]",
    "a string": '"proxies"',
    "no text": "\udcff",
    "proxies that are text": '{"proxies": "http://192.0.2.1"}',
    "a proxy that is text": '{"proxies": {"default": "http://192.0.2.1"}}',
    "logins that are a list": '{"auths": ["192.0.2.1"]}',
    "a login that is text": '{"auths": {"192.0.2.1": "user:password"}}',
    "a login in no base64": '{"auths": {"192.0.2.1": {"auth": "?"}}}',
    "a login without a colon": '{"auths": {"192.0.2.1": {"auth": "dXNlcg=="}}}',
    "headers that are a list": '{"HttpHeaders": ["X-Meta"]}',
    "a header that is a number": '{"HttpHeaders": {"X-Meta": 1}}',
    "keys that are none": '{"detachKeys": "ctrl-alt-delete"}',
    "a store that is a list": '{"credsStore": ["desktop"]}',
    "helpers that are text": '{"credHelpers": "desktop"}',
    "a helper that is not there": '{"credHelpers": {"localhost:1": "of-nobody"}}',
    "a store that is not there": '{"credsStore": "of-nobody"}',
}


@pytest.fixture
def inspector() -> Iterator[Any]:
    """A client that looks into containers, made before anything is planted."""
    client = docker.from_env()
    yield client.api
    client.close()


@pytest.fixture
def docker_folder(tmp_path: Path, inspector: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder of the Docker configuration of a user whose home is this test's."""
    folder = tmp_path / "home" / ".docker"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return folder


@pytest.fixture
def planted(engine: Engine, docker_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in the user's Docker configuration and environment; the images are built before."""
    images.ensure(engine, images.everyday())
    (docker_folder / "config.json").write_text(json.dumps(CONFIGURATION))
    # It goes before the context that the file names.
    monkeypatch.setenv("DOCKER_HOST", os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    for name in PROXY_NAMES:
        monkeypatch.setenv(name, PROXY)
        monkeypatch.setenv(name.lower(), PROXY)
    for name in SECRET_NAMES:
        monkeypatch.setenv(name, CANARY)


@pytest.mark.parametrize(
    ("kind", "roles"),
    [("run", {"rehearsal", "gateway", "agent", "trial"}), ("baseline", {"optimizer", "trial"})],
)
def test_nothing_of_the_users_gets_into_a_run(
    planted: None, engine: Engine, inspector: Any, tmp_path: Path, kind: str, roles: set[str]
) -> None:
    """Neither containers, nor the processes inside, nor the records of a run show a secret."""
    seed = a_seed()
    name = "gpt" if kind == "run" else "random"
    command = rehearsed("gpt", seed, "--record") if kind == "run" else _baseline(seed)
    with commands(engine, tmp_path) as bakeoff:
        run_dir = bakeoff.run_dir(f"{name}-s{seed}")
        process = bakeoff.start(*command, "--trials", "2")
        seen = _looked_into(engine, inspector, run_dir.path.name, process)
        log = (tmp_path / "command-0.log").read_text()
        assert process.returncode == 0, log
        assert roles <= set(seen)
        assert {role for role, text in seen.items() if CANARY in text} == set()
        assert CANARY not in log
        assert bakeoff("collect").returncode == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".docker" not in path.parts]
    assert len([path for path in files if run_dir.path in path.parents]) > 5
    assert [path for path in files if CANARY.encode() in _content(path)] == []


def test_nothing_of_the_users_gets_into_images(
    planted: None, engine: Engine, inspector: Any
) -> None:
    """Neither the images that there are nor one that is built now show a secret."""
    tag = f"bakeoff/test-{uuid.uuid4().hex[:8]}:0"
    fresh = Engine.connect()
    dockerfile = f"FROM {image_tag('base')}\nUSER root\nRUN env > /environment\n"
    try:
        archive = _build_context(dockerfile)
        for _ in fresh.build_image(
            archive, dockerfile="Dockerfile", tag=tag, buildargs={}, labels={}
        ):
            pass
        tags = [spec.tag for spec in images.load_table().values() if not spec.for_tests]
        for each in [*tags, tag]:
            if inspector.images(each):
                assert CANARY not in json.dumps(inspector.inspect_image(each)), each
                assert CANARY not in json.dumps(inspector.history(each)), each
        name = tag.removesuffix(":0").replace("/", "-")
        spec = ContainerSpec(name, tag, name, "trial", command=["true"])
        container = fresh.create(spec)
        try:
            environment = fresh.get_file(container, "/environment", 1 << 20) or b""
        finally:
            fresh.remove(container)
        assert b"PATH=" in environment
        assert CANARY.encode() not in environment
    finally:
        engine.remove_image(tag)
        fresh.close()


def test_logins_and_headers_are_not_sent_to_the_engine(
    planted: None, relay: EngineRelay, monkeypatch: pytest.MonkeyPatch, docker_folder: Path
) -> None:
    """A build takes what it stands on from the engine: no registry's login goes with it.

    Neither a proxy nor a `.netrc` of the environment has a part in reaching the engine.
    """
    monkeypatch.setenv("DOCKER_HOST", relay.address)
    netrc = docker_folder.parent / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {CANARY}\n")
    netrc.chmod(0o600)
    connected = Engine.connect()
    try:
        archive = _build_context(f"FROM {image_tag('base')}\n")
        with pytest.raises(EngineError):
            list(connected.build_image(
                archive, dockerfile="missing", tag="bakeoff/test:0", buildargs={}, labels={}
            ))  # fmt: skip
    finally:
        connected.close()
    assert b"/build?" in relay.sent
    for secret in (CANARY, base64.b64encode(f"user:{CANARY}".encode()).decode()):
        assert secret.encode() not in relay.sent
    assert b"Authorization" not in relay.sent
    assert b"X-Registry-Config" not in relay.sent


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_configuration_does_no_harm(docker_folder: Path, case: str) -> None:
    """Connecting, creating, attaching and building do without it; a pull fails by itself."""
    body = MALFORMED[case].encode("utf-8", "surrogateescape")
    (docker_folder / "config.json").write_bytes(body)
    connected = Engine.connect()
    name = f"bakeoff-test-{uuid.uuid4().hex[:8]}"
    try:
        spec = ContainerSpec(name, image_tag("base"), name, "trial", command=["true"])
        connected.attach(connected.create(spec)).close()
        archive = _build_context(f"FROM {image_tag('base')}\n")
        for _ in connected.build_image(
            archive, dockerfile="Dockerfile", tag=f"bakeoff/{name[8:]}:0", buildargs={}, labels={}
        ):
            pass
        with pytest.raises(EngineError, match="pulling localhost:1/none:1") as caught:
            connected.pull("localhost:1/none:1")
        assert "that is not there" not in case or "of-nobody" in caught.value.hint
    finally:
        connected.remove(name)
        connected.remove_image(f"bakeoff/{name[8:]}:0")
        connected.close()


@pytest.mark.parametrize("made", ["unreadable", "a folder"])
def test_a_configuration_that_cannot_be_opened_does_no_harm(docker_folder: Path, made: str) -> None:
    """A folder, or a link to itself, in the place of config.json is as good as none."""
    path = docker_folder / "config.json"
    if made == "a folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    Engine.connect().close()


@pytest.fixture
def relay() -> Iterator[EngineRelay]:
    """A TCP address of the engine."""
    made = EngineRelay()
    yield made
    made.close()


def _baseline(seed: int) -> tuple[str, ...]:
    return (
        "baseline", "random", "--seed", str(seed), "--trial-seconds", "1", "--verify", "none",
    )  # fmt: skip


def _looked_into(
    engine: Engine, inspector: Any, run_id: str, process: subprocess.Popen[str]
) -> dict[str, str]:
    """What the engine and /proc say of a run's containers until it ends: role → text."""
    seen: dict[str, str] = {}
    until = time.monotonic() + LONG_SECONDS
    while process.poll() is None:
        assert time.monotonic() < until, "the run does not end"
        for state in engine.containers(run_id):
            with contextlib.suppress(docker.errors.APIError):
                text = json.dumps(inspector.inspect_container(state.id))
                # In a proof a process of others would be taken for an attack.
                if state.status == "running" and not state.name.endswith(SUFFIX):
                    command = inspector.exec_create(
                        state.id, READ_ENVIRONMENTS, user="0", privileged=True
                    )
                    text += inspector.exec_start(command).decode("utf-8", "replace")
                seen[state.role] = seen.get(state.role, "") + text
        time.sleep(0.5)
    return seen


def _content(path: Path) -> bytes:
    body = path.read_bytes()
    return gzip.decompress(body) if path.suffix == ".gz" and path.stat().st_size else body


def _build_context(dockerfile: str) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        tar.addfile(member, io.BytesIO(dockerfile.encode()))
    archive.seek(0)
    return archive
