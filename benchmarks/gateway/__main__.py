"""`make bench-gateway`: the same requests direct, through the gateway, and through its peers.

Everything runs on this machine and on loopback. All systems run at once and take turns within each
repeat, so that each is compared with direct requests, and with the others, in the same minute. An
idle system uses almost no processor time. The added times are differences of percentiles to direct
requests in the same repeat, so the share of the load generator and much of the machine's noise
cancel out. The results go to `benchmarks/results/gateway.json`, with units in the names, and tables
are printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.gateway import install, report, systems
from benchmarks.gateway.container import start_seconds
from benchmarks.gateway.load import Load, Target, Timings, measure
from benchmarks.gateway.systems import SYSTEMS, System, SystemOf
from benchmarks.gateway.upstream import AT_ONCE

RESULTS = Path(__file__).parents[1] / "results/gateway.json"
SPREAD = 0.5
# A stream takes about half a second, and a whole answer 20 ms.
LOADS = (
    Load(streamed=False, together=1, requests=100, repeats=5),
    Load(streamed=True, together=1, requests=16, repeats=5),
    Load(streamed=False, together=20, requests=200, repeats=3),
    Load(streamed=True, together=20, requests=160, repeats=3, spread=SPREAD),
    Load(streamed=True, together=100, requests=200, repeats=1, spread=SPREAD),
)
WARM_UP = Load(streamed=True, together=20, requests=100, repeats=1, prompt=AT_ONCE)
BURST = Load(streamed=True, together=20, requests=200, repeats=1, prompt=AT_ONCE)


def main() -> None:
    """Runs the benchmark, writes its results and prints its tables."""
    wanted = _arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        port = stack.enter_context(systems.upstream())
        ways, left_out = started(stack, {name: SYSTEMS[name] for name in wanted}, port, folder)
        result = {
            "machine": _machine(),
            **measured(ways),
            "load_average": round(os.getloadavg()[0], 1),
            "versions": {**install.versions(), "aiohttp": version("aiohttp")},
            "left_out": left_out,
            "container_seconds": start_seconds(),
        }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(report.tables(result))


def started(
    stack: ExitStack, wanted: dict[str, SystemOf], port: int, folder: Path
) -> tuple[list[System], dict[str, str]]:
    """Starts the wanted systems.

    Args:
        stack: stops them at the end.
        wanted: the systems by name.
        port: the provider's port on loopback.
        folder: for their settings and logs.

    Returns:
        The direct connection and the systems, all running, and for each system that is left out
        the reason.
    """
    ways, left_out = [System(Target("direct", "none", port=port))], {}
    for name, system_of in wanted.items():
        try:
            ways.append(stack.enter_context(system_of(port, folder)))
        except install.NotInstalledError as error:
            left_out[name] = str(error)
            print(f"warning: {name} is left out: {error}", file=sys.stderr, flush=True)
    return ways, left_out


def measured(ways: list[System], loads: tuple[Load, ...] = LOADS) -> dict[str, Any]:
    """The figures of all loads on all systems, the first of which is the direct connection."""
    for system in ways:
        asyncio.run(measure(system.target, WARM_UP))
    rows = [one for load in loads for one in _rows(load, ways)]
    turns = _turns(BURST, ways)
    figures = [
        {
            "system": system.target.name,
            "requests_per_second": round(
                statistics.median(len(one.first) / one.wall for one, _ in mine), 1
            ),
            "peak_memory_mb": round(system.peak_mb(), 1),
            "process_start_seconds": round(system.start_seconds, 2),
        }
        for system, mine in zip(ways, turns, strict=True)
    ]
    return {"requests": rows, "systems": figures}


def _rows(load: Load, ways: list[System]) -> list[report.Row]:
    turns = _turns(load, ways)
    direct = [timings for timings, _ in turns[0]]
    rows = []
    for system, mine in zip(ways, turns, strict=True):
        cpu_ms = 1000 * sum(cpu for _, cpu in mine) / (load.requests * load.repeats)
        timings = [one for one, _ in mine]
        rows.append(report.row(system.target.name, load, timings, direct, cpu_ms))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _turns(load: Load, ways: list[System]) -> list[list[tuple[Timings, float]]]:
    """For each system the timings and processor seconds of its turns; the order rotates."""
    turns: list[list[tuple[Timings, float]]] = [[] for _ in ways]
    for repeat in range(load.repeats):
        for place in range(len(ways)):
            index = (place + repeat) % len(ways)
            before = ways[index].cpu_seconds()
            timings = asyncio.run(measure(ways[index].target, load))
            turns[index].append((timings, ways[index].cpu_seconds() - before))
    return turns


def _arguments() -> list[str]:
    """The names of the systems to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument(
        "--systems",
        default=",".join(SYSTEMS),
        help="which, separated by commas (default: %(default)s)",
    )
    names = [name.strip() for name in parser.parse_args().systems.split(",")]
    if unknown := [name for name in names if name not in SYSTEMS]:
        parser.error(f"there is no system {', '.join(unknown)}; choose from {', '.join(SYSTEMS)}")
    return names


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
