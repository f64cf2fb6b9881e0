"""`make bench-gateway`: the same streams directly, through the gateway, and through LiteLLM.

Everything runs on this machine and on loopback, one system at a time. The figures of the added time
are differences of percentiles against the direct way in the same repeat, so that the load
generator's own share and much of a busy machine's noise cancel; the median of the repeats is given.
Results go to `benchmarks/results/gateway.json`; a table is printed for docs/performance.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.gateway import systems
from benchmarks.gateway.container import start_seconds
from benchmarks.gateway.load import Target, Timings, measure
from benchmarks.gateway.systems import System

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/gateway.json"
VENV = ROOT / "benchmarks/.venv-litellm"
LOCK = Path(__file__).parent / "litellm.lock"
# Streams at once → streams a repeat; one takes about half a second.
ROUNDS = {1: 12, 20: 240, 100: 300}
REPEATS = 3
SPREAD = 0.5
BURST = 1000


def main() -> None:
    """Measures, prints, writes."""
    _install_litellm()
    rows, bursts, memory, starts = [], [], {}, {}
    for system_of in (_gateway, _litellm):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            port = stack.enter_context(systems.upstream())
            direct = System(Target("direct", "none", port=port))
            system = stack.enter_context(system_of(port, folder))
            for together in ROUNDS:
                rows += _round(together, [direct, system])
            bursts += [_burst(direct), _burst(system)]
            memory[system.target.name] = round(system.peak_mb(), 1)
            starts[system.target.name] = round(system.start_seconds, 2)
    rows.sort(key=lambda row: row["streams_at_once"])
    result = {
        "machine": _machine(),
        "load_average": round(os.getloadavg()[0], 1),
        "versions": {"aiohttp": version("aiohttp"), "litellm": _litellm_version()},
        "streams": rows,
        "burst": bursts,
        "peak_memory_mb": memory,
        "process_start_seconds": starts,
        "container_seconds": start_seconds(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def _gateway(port: int, folder: Path) -> AbstractContextManager[System]:
    return systems.gateway(port, folder)


def _litellm(port: int, folder: Path) -> AbstractContextManager[System]:
    return systems.litellm(port, folder, _free_port())


def _round(together: int, ways: list[System]) -> list[dict[str, Any]]:
    """One row a system, all with the same number of streams at once."""
    for system in ways:
        asyncio.run(measure(system.target, together, together, "warm up"))
    before = [system.cpu_seconds() for system in ways]
    repeats = [
        [
            asyncio.run(measure(system.target, together, ROUNDS[together], "hello", SPREAD))
            for system in ways
        ]
        for _ in range(REPEATS)
    ]
    rows = []
    for index, system in enumerate(ways):
        cpu_ms = 1000 * (system.cpu_seconds() - before[index]) / (ROUNDS[together] * REPEATS)
        mine = [repeat[index] for repeat in repeats]
        rows.append(_row(system.target.name, together, mine, [r[0] for r in repeats], cpu_ms))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _row(
    name: str, together: int, mine: list[Timings], direct: list[Timings], cpu_ms: float
) -> dict[str, Any]:
    """Medians over the repeats; what is added is measured within each repeat."""

    def added(of: Callable[[Timings], list[float]], share: int) -> float:
        pairs = zip(mine, direct, strict=True)
        more = [_percentile(of(one), share) - _percentile(of(base), share) for one, base in pairs]
        return round(1000 * statistics.median(more), 2)

    return {
        "system": name,
        "streams_at_once": together,
        "streams": sum(len(one.first) for one in mine),
        "failed": sum(one.failed for one in mine),
        "byte_equal": sum(one.equal for one in mine),
        "first_byte_added_p50_ms": added(lambda one: one.first, 50),
        "first_byte_added_p99_ms": added(lambda one: one.first, 99),
        "last_byte_added_p50_ms": added(lambda one: one.last, 50),
        "last_byte_added_p99_ms": added(lambda one: one.last, 99),
        "cpu_ms_per_stream": round(cpu_ms, 2),
    }


def _burst(system: System) -> dict[str, Any]:
    """Requests a second when the provider answers at once, 20 at a time."""
    share = BURST if system.target.name != "LiteLLM" else BURST // 5
    timings = asyncio.run(measure(system.target, 20, share, "at once"))
    rate = len(timings.first) / timings.wall
    return {"system": system.target.name, "requests_per_second": round(rate, 1)}


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"Machine: {result['machine']}, load average {result['load_average']} at the end. "
        f"LiteLLM {result['versions']['litellm']}, aiohttp {result['versions']['aiohttp']}.",
        "",
        "| streams at once | system | added to first byte, p50 / p99 (ms) | added to last byte, "
        "p50 / p99 (ms) | CPU a stream (ms) | byte-equal streams |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["streams"]:
        if row["system"] == "direct":
            continue
        lines.append(
            f"| {row['streams_at_once']} | {row['system']} "
            f"| {row['first_byte_added_p50_ms']} / {row['first_byte_added_p99_ms']} "
            f"| {row['last_byte_added_p50_ms']} / {row['last_byte_added_p99_ms']} "
            f"| {row['cpu_ms_per_stream']} | {row['byte_equal']} of {row['streams']} |"
        )
    rates = ", ".join(f"{r['system']} {r['requests_per_second']}/s" for r in result["burst"])
    memory = ", ".join(f"{name} {mb} MB" for name, mb in result["peak_memory_mb"].items())
    starts = ", ".join(
        f"{name} {seconds:.2f} s" for name, seconds in result["process_start_seconds"].items()
    )
    lines += ["", f"Requests a second, provider answering at once, 20 at a time: {rates}.  "]
    lines += [f"Peak memory: {memory}. From process start to serving: {starts}.  "]
    container = result["container_seconds"]
    if container:
        lines += [
            f"Container, from the engine's start (median of {container['starts']}): `ready` after "
            f"{container['ready']:.2f} s, `started` (socket answers) after "
            f"{container['started']:.2f} s."
        ]
    return "\n".join(lines)


def _install_litellm() -> None:
    """Make its environment from its lock; says nothing when it is there already."""
    command = [sys.executable, str(ROOT / "scripts/make_venv.py"), str(VENV), str(LOCK)]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit("error: installing LiteLLM for the comparison failed; see above")


def _litellm_version() -> str:
    (pinned,) = re.findall(r"^litellm\[proxy\]==(\S+)", LOCK.read_text(), re.MULTILINE)
    return str(pinned)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cpu = names[0] if names else platform.processor()
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{len(names)} cores, {cpu}, Linux {kernel}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
