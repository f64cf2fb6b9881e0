"""The things that are measured: started, waited for, watched, ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway.load import Target
from runner.protocol import Start, Stop, encode

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOKEN = "token-of-the-benchmark"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class System:
    """A process under load.

    Attributes:
        target: where it is spoken to.
        pid: its process, with its children; 0 for none.
        start_seconds: from its start until it answered.
    """

    target: Target
    pid: int = 0
    start_seconds: float = 0.0

    def cpu_seconds(self) -> float:
        """What it has used so far, children included."""
        return sum(_cpu_seconds(pid) for pid in _family(self.pid))

    def peak_mb(self) -> float:
        """The most memory that it held at once, children included."""
        return sum(_peak_mb(pid) for pid in _family(self.pid))


@contextmanager
def upstream() -> Iterator[int]:
    """The provider; its port."""
    with _process([sys.executable, str(HERE / "upstream.py")]) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def gateway(port: int, folder: Path) -> Iterator[System]:
    """The gateway as its image runs it, before the provider at `port`."""
    (folder / "protocol.py").write_bytes((ROOT / "runner/protocol.py").read_bytes())
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'images/gateway')!r}, {str(folder)!r}]\n"
        "import gateway; from gatewayd import program; from pathlib import Path\n"
        f"here = Path({str(folder)!r})\n"
        "program.Places.__init__.__defaults__ = (here / 'llm.sock', here)\n"
        "sys.exit(gateway.main())"
    )
    config = {
        "provider": "openai",
        "base_url": f"http://127.0.0.1:{port}",
        "api_key": "sk-benchmark",
        "token": TOKEN,
        "models": ["gpt-5.4"],
        "caps": {"usd": 100_000},
        "limits": {"concurrency": 200, "requests_per_minute": 10**6},
        "deadline_seconds": 3600,
    }
    began = time.perf_counter()
    with _process([sys.executable, "-c", code]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode(Start(config)))
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
def litellm(port: int, folder: Path, own_port: int) -> Iterator[System]:
    """LiteLLM's proxy with its defaults, before the same provider; it calls nobody else."""
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
    program = HERE.parent / ".venv-litellm/bin/litellm"
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    arguments = ["--config", str(path), "--host", "127.0.0.1", "--port", str(own_port)]
    began = time.perf_counter()
    with _process([str(program), *arguments], os.environ | quiet, folder / "log") as process:
        _wait_for(f"http://127.0.0.1:{own_port}/health/liveliness", process)
        seconds = time.perf_counter() - began
        yield System(Target("LiteLLM", TOKEN, port=own_port), process.pid, seconds)


@contextmanager
def _process(
    argv: list[str], environment: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with (log or Path(os.devnull)).open("wb") as errors:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=errors if log else subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
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
    raise SystemExit(f"error: {url} does not answer; its log is beside its settings")


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
