"""Makes rows of timings, and the tables of docs/performance.md of rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.gateway.load import Load, Timings

AIM_MS = 1.0
OURS, PEER_TO_BEAT = "gateway", "Portkey"
LESS_IS_BETTER = {
    "first_byte_added_p50_ms": "first byte, p50 (ms)",
    "first_byte_added_p99_ms": "first byte, p99 (ms)",
    "last_byte_added_p50_ms": "last byte, p50 (ms)",
    "cpu_ms_per_request": "CPU a request (ms)",
}

Row = dict[str, Any]


def row(name: str, load: Load, mine: list[Timings], direct: list[Timings], cpu_ms: float) -> Row:
    """The figures of one system under one load.

    Args:
        name: of the system.
        load: what it got.
        mine: its timings, one per repeat.
        direct: the timings of direct requests in the same repeats. The added time is the difference
            of percentiles within a repeat, and of these the median over the repeats.
        cpu_ms: the processor time of the system, in milliseconds per request.
    """
    return {
        "answers": load.answers,
        "at_once": load.together,
        "system": name,
        "requests": load.requests * len(mine),
        "failed": sum(one.failed for one in mine),
        "complete": sum(one.complete for one in mine),
        "byte_equal": sum(one.equal for one in mine),
        **_added("first_byte_added", mine, direct, lambda one: one.first),
        **_added("last_byte_added", mine, direct, lambda one: one.last),
        "cpu_ms_per_request": round(cpu_ms, 2),
    }


def _added(
    name: str,
    mine: list[Timings],
    direct: list[Timings],
    of: Callable[[Timings], list[float]],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for share in (50, 99):
        more = [
            round(1000 * (_percentile(of(one), share) - _percentile(of(base), share)), 2)
            for one, base in zip(mine, direct, strict=True)
            if of(one) and of(base)
        ]
        found[f"{name}_p{share}_ms"] = round(statistics.median(more), 2) if more else None
        found[f"{name}_p{share}_ms_range"] = [min(more), max(more)] if more else None
    return found


def _percentile(values: list[float], share: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def tables(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines = [
        f"Machine: {result['machine']}, load average {result['load_average']} at the end. "
        f"{versions}.",
        "",
        "| answers | at once | system | added to first byte, p50 (of the repeats) / p99 (ms) "
        "| added to last byte, p50 / p99 (ms) | CPU a request (ms) | complete | byte-equal |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(one) for one in result["requests"] if one["system"] != "direct"),
        "",
        "| system | requests a second | peak memory (MB) | from process start to serving (s) |",
        "|---|---|---|---|",
    ]
    for system in result["systems"]:
        cells = [system["system"], system["requests_per_second"]]
        cells += [system["peak_memory_mb"] or "–", system["process_start_seconds"] or "–"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", *verdicts(result["requests"], result["systems"])]
    lines += [f"{name} was left out: {why}" for name, why in result["left_out"].items()]
    if container := result["container_seconds"]:
        lines.append(
            f"Container, from the engine's start (median of {container['starts']}): `ready` after "
            f"{container['ready']:.2f} s, `started` (socket answers) after "
            f"{container['started']:.2f} s."
        )
    return "\n".join(lines)


def _line(one: Row) -> str:
    low, high = one["first_byte_added_p50_ms_range"] or ("–", "–")
    cells = [
        one["answers"],
        one["at_once"],
        one["system"],
        f"{one['first_byte_added_p50_ms']} ({low} to {high}) / {one['first_byte_added_p99_ms']}",
        f"{one['last_byte_added_p50_ms']} / {one['last_byte_added_p99_ms']}",
        one["cpu_ms_per_request"],
        f"{one['complete']} of {one['requests']}",
        one["byte_equal"],
    ]
    return f"| {' | '.join(map(str, cells))} |"


def verdicts(requests: list[Row], systems: list[Row]) -> list[str]:
    """Whether the gateway meets its aims: 1 ms for single requests, and less than Portkey."""
    ours = {_where(one): one for one in requests if one["system"] == OURS}
    alone = [
        f"{one['answers']} {one['first_byte_added_p50_ms']} ms"
        for one in ours.values()
        if one["at_once"] == 1
    ]
    lines = (
        [f"Added at p50, one at a time (aim: {AIM_MS} ms): {', '.join(alone)}."] if alone else []
    )
    pairs = [
        (f"{_where(peer)}: {name}", ours[_where(peer)][key], peer[key])
        for peer in requests
        if peer["system"] == PEER_TO_BEAT and _where(peer) in ours
        for key, name in LESS_IS_BETTER.items()
    ]
    figures = {one["system"]: one for one in systems}
    if OURS in figures and PEER_TO_BEAT in figures:
        ours_of, peers = figures[OURS], figures[PEER_TO_BEAT]
        pairs.append(("peak memory", ours_of["peak_memory_mb"], peers["peak_memory_mb"]))
        rate = "requests_per_second"
        # The rate is 0 where every request failed.
        mine, theirs = (1 / one[rate] if one[rate] else None for one in (ours_of, peers))
        pairs.append(("seconds a request", mine, theirs))
    above = [
        f"{what} ({mine} against {theirs})"
        for what, mine, theirs in pairs
        if mine is None or theirs is None or mine >= theirs
    ]
    if pairs:
        where = f"but in: {'; '.join(above)}" if above else "everywhere"
        lines.append(f"Under {PEER_TO_BEAT} {where} ({len(pairs)} figures compared).")
    return lines


def _where(one: Row) -> str:
    return f"{one['answers']}, {one['at_once']} at once"
