"""Starts and stops the systems that are measured.

All of them listen on loopback or on a Unix socket, and send to the benchmark's own provider.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway import install
from benchmarks.gateway.load import Target
from runner.configs import as_config
from runner.wire.messages import Start, Stop
from runner.wire.protocol import encode
from runner.wire.start_config import Caps, GatewayConfig, Limits

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOKEN = "token-of-the-benchmark"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class System:
    """A system under load.

    Attributes:
        target: where its requests go.
        pid: its process; 0 for none.
        start_seconds: from the start of its process to its first answer.
    """

    target: Target
    pid: int = 0
    start_seconds: float = 0.0

    def cpu_seconds(self) -> float:
        """The processor time that it has used so far, including its children."""
        return sum(_cpu_seconds(pid) for pid in _family(self.pid))

    def peak_mb(self) -> float:
        """The most memory that it had at once, including its children, in megabytes."""
        return sum(_peak_mb(pid) for pid in _family(self.pid))


@contextmanager
def upstream() -> Iterator[int]:
    """Runs the provider; its port."""
    with _process([sys.executable, str(HERE / "upstream.py")]) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def gateway(port: int, folder: Path) -> Iterator[System]:
    """Runs the gateway as its image does, before the provider at `port`."""
    paths = [str(ROOT / "images/gateway"), str(ROOT / "runner/wire")]
    code = (
        f"import sys; sys.path[:0] = {paths!r}\n"
        "import gateway; from gatewayd import program; from pathlib import Path\n"
        f"here = Path({str(folder)!r})\n"
        "program.Places.__init__.__defaults__ = (here / 'llm.sock', here)\n"
        "sys.exit(gateway.main())"
    )
    config = GatewayConfig(
        provider="openai",
        base_url=f"http://127.0.0.1:{port}",
        api_key="sk-benchmark",
        token=TOKEN,
        models=("gpt-5.4",),
        deadline_seconds=3600,
        caps=Caps(usd=100_000),
        limits=Limits(concurrency=200, requests_per_minute=10**6),
    )
    began = time.perf_counter()
    with _process([sys.executable, "-c", code]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode(Start(as_config(config))))
        process.stdin.flush()
        while b'"started"' not in process.stdout.readline():
            pass
        seconds = time.perf_counter() - began
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        target = Target("gateway", TOKEN, socket=str(folder / "llm.sock"))
        yield System(target, process.pid, seconds)
        process.stdin.write(encode(Stop("measured", 1)))
        process.stdin.flush()
        process.wait(10)
        drain.wait(10)


@contextmanager
def litellm(port: int, folder: Path) -> Iterator[System]:
    """Runs LiteLLM's proxy with its defaults, before the same provider; it calls no other host."""
    settings = {
        "model_list": [
            {
                "model_name": "gpt-5.4",
                "litellm_params": {
                    "model": "openai/gpt-5.4",
                    "api_base": f"http://127.0.0.1:{port}/v1",
                    "api_key": "sk-benchmark",
                },
            }
        ],
        "general_settings": {"master_key": TOKEN},
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(settings))
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    own_port = _free_port()
    command = [str(install.litellm()), "--config", str(path), "--host", "127.0.0.1"]
    command += ["--port", str(own_port)]
    began = time.perf_counter()
    with _process(command, os.environ | quiet, folder / "litellm.log") as process:
        _wait_for(f"http://127.0.0.1:{own_port}/health/liveliness", process)
        seconds = time.perf_counter() - began
        yield System(Target("LiteLLM", TOKEN, port=own_port), process.pid, seconds)


@contextmanager
def portkey(port: int, folder: Path) -> Iterator[System]:
    """Runs Portkey's gateway in its production mode, without its page of logs."""
    node, program = install.portkey()
    own_port = _free_port()
    production = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    command = [str(node), "--import", str(HERE / "portkey/loopback.mjs"), str(program)]
    command += ["--headless", f"--port={own_port}"]
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{port}/v1",
    }
    began = time.perf_counter()
    with _process(command, os.environ | production, folder / "portkey.log") as process:
        _wait_for(f"http://127.0.0.1:{own_port}/", process)
        seconds = time.perf_counter() - began
        target = Target("Portkey", TOKEN, port=own_port, headers=headers)
        yield System(target, process.pid, seconds)


SystemOf = Callable[[int, Path], AbstractContextManager[System]]
# The systems that `--systems` may name.
SYSTEMS: dict[str, SystemOf] = {"gateway": gateway, "portkey": portkey, "litellm": litellm}


@contextmanager
def _process(
    argv: list[str], environment: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (log or Path(os.devnull)).open("wb") as errors,
        subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=errors if log else subprocess.PIPE,
            stderr=errors,
            env=environment,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"error: starting a system: {url} does not answer; read the log in its folder")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    if not pid:
        return []
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [one for child in children for one in _family(int(child))]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
