"""The benchmark of the gateway: fair to every system, and honest about what it saw."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from benchmarks.gateway import __main__ as bench
from benchmarks.gateway import report, systems
from benchmarks.gateway.install import NotInstalledError, install_by_npm
from benchmarks.gateway.load import Load, Target, Timings, is_complete, measure, request
from benchmarks.gateway.systems import System
from benchmarks.gateway.upstream import ANSWER, AT_ONCE, STREAM
from runner.records.layout import ROOT

EVENTS = b"".join(STREAM)


def load(*, streamed: bool = True, together: int = 2, requests: int = 6) -> Load:
    return Load(streamed, together, requests, repeats=1, prompt=AT_ONCE)


class Provider:
    """Answers every request with the same bytes; counts connections and requests.

    Attributes:
        cut: end the connection after the answer, whether it was whole or not.
    """

    def __init__(self, answer: bytes, cut: bool = False) -> None:
        self._answer = answer
        self._cut = cut
        self.connections = 0
        self.requests = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                (length,) = (
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.startswith(b"Content-Length")
                )
                await reader.readexactly(length)
                self.requests += 1
                writer.write(self._answer)
                if self._cut:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Target]:
        async with await asyncio.start_server(self.connected, "127.0.0.1", 0) as server:
            yield Target("provider", "none", port=server.sockets[0].getsockname()[1])


# --- the load -------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [True, False])
def test_the_direct_way_loses_nothing(streamed: bool) -> None:
    """Streams and whole answers come back byte for byte, as many as were asked for."""
    with systems.upstream() as port:
        timings = asyncio.run(measure(Target("direct", "none", port=port), load(streamed=streamed)))
    assert (timings.equal, timings.complete, timings.failed) == (6, 6, 0)
    assert len(timings.first) == len(timings.last) == 6


async def test_connections_are_made_and_warm_before_the_clock_starts() -> None:
    """Each worker has one connection, whose first request is not counted."""
    provider = Provider(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    async with provider.served() as target:
        timings = await measure(target, load(streamed=False, together=3, requests=9))
    assert provider.connections == 3
    assert provider.requests == 3 + 9
    assert len(timings.first) == 9


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nda",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_is_cut_is_a_failure(answer: bytes) -> None:
    """What ends before its framing says so was not answered, and is in no percentile."""
    async with Provider(answer, cut=True).served() as target:
        timings = await measure(target, load(together=1, requests=2))
    assert (timings.failed, timings.complete, timings.first) == (2, 0, [])


def test_a_system_gets_the_headers_that_it_wants() -> None:
    """Portkey is told by headers where the provider is."""
    target = Target("x", "token", headers={"x-portkey-custom-host": "http://127.0.0.1:1/v1"})
    head, _, body = request(target, "hello", streamed=False).partition(b"\r\n\r\n")
    assert b"\r\nx-portkey-custom-host: http://127.0.0.1:1/v1" in head
    assert b"\r\nAuthorization: Bearer token\r\n" in head
    assert "stream" not in json.loads(body)


def test_complete_is_all_words_and_the_usage() -> None:
    """A system may write events anew; it may lose none."""
    lines = [line for line in EVENTS.split(b"\n\n") if line]
    anew = [json.dumps(json.loads(line[5:])).encode() for line in lines[:-1]]
    written_anew = b"".join(b"data:" + line + b"\r\n\r\n" for line in [*anew, b"[DONE]"])
    assert is_complete(EVENTS, streamed=True)
    assert is_complete(written_anew, streamed=True)
    assert not is_complete(b"\n\n".join(lines[1:]), streamed=True)
    assert not is_complete(b"\n\n".join([*lines[:-2], lines[-1]]), streamed=True)
    assert not is_complete(b"\n\n".join(lines[:-1]), streamed=True)
    assert is_complete(json.dumps(json.loads(ANSWER) | {"provider": "x"}).encode(), streamed=False)
    assert not is_complete(ANSWER.replace(b"450", b"451"), streamed=False)
    assert not is_complete(b"[]", streamed=False)
    assert not is_complete(b"", streamed=True)


# --- the systems ----------------------------------------------------------------------------------


def test_who_asks_for_an_unknown_system_is_told_which_there_are() -> None:
    """A misspelt name measures nothing."""
    command = [sys.executable, "-m", "benchmarks.gateway", "--systems", "gateway,portkye"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "portkye; choose from gateway, portkey, litellm" in done.stderr


def test_a_peer_that_cannot_be_installed_is_left_out(tmp_path: Path) -> None:
    """The others are measured all the same, and the result says why it is missing."""

    @contextmanager
    def there(port: int, folder: Path) -> Iterator[System]:
        yield System(Target("there", "none", port=port))

    def missing(port: int, folder: Path) -> AbstractContextManager[System]:
        raise NotInstalledError("no registry")

    with ExitStack() as stack:
        ways, left_out = bench.started(stack, {"a": missing, "b": there}, 1, tmp_path)
    assert [one.target.name for one in ways] == ["direct", "there"]
    assert left_out == {"a": "no registry"}


def test_every_system_is_measured_beside_the_direct_way() -> None:
    """Two names of one provider have the same requests, and the direct way adds nothing."""
    with systems.upstream() as port:
        ways = [System(Target(name, "none", port=port)) for name in ("direct", "gateway")]
        found = bench.measured(ways, (load(), load(streamed=False)))
    rows = found["requests"]
    assert [(one["system"], one["answers"]) for one in rows] == [
        ("direct", "streams"),
        ("gateway", "streams"),
        ("direct", "whole answers"),
        ("gateway", "whole answers"),
    ]
    assert all(one["complete"] == one["requests"] == 6 for one in rows)
    assert rows[0]["first_byte_added_p50_ms"] == 0
    assert [one["system"] for one in found["systems"]] == ["direct", "gateway"]


def npm(folder: Path, code: str) -> list[str]:
    """A program in npm's place, which notes how it was called."""
    note = f"import pathlib, sys; pathlib.Path({str(folder / 'calls')!r}).open('a').write("
    return [sys.executable, "-c", f"{note}' '.join(sys.argv[1:]) + '\\n'); {code}"]


def test_npm_installs_what_the_lock_names_once(tmp_path: Path) -> None:
    """`npm ci` runs no script of a package, and not again while the lock is the same."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "package.json").write_text("{}")
    (source / "package-lock.json").write_text("{}")
    for _ in range(2):
        install_by_npm(npm(tmp_path, ""), source, tmp_path / "modules")
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("ci --ignore-scripts ")
    (source / "package-lock.json").write_text('{"packages": {}}')
    install_by_npm(npm(tmp_path, ""), source, tmp_path / "modules")
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


def test_an_install_that_failed_is_made_again(tmp_path: Path) -> None:
    """Half an installation is none."""
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")
    for _ in range(2):
        with pytest.raises(NotInstalledError, match="exit status 7"):
            install_by_npm(npm(tmp_path, "sys.exit(7)"), tmp_path, tmp_path / "modules")
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


# --- the report -----------------------------------------------------------------------------------


def timings(*first_ms: float) -> Timings:
    seconds = [one / 1000 for one in first_ms]
    return Timings(first=seconds, last=seconds, equal=1, complete=1, wall=1.0)


def test_what_is_added_is_compared_within_each_repeat() -> None:
    """A machine that was slow in one repeat was so for both."""
    direct = [timings(20, 20), timings(40, 40), timings(21, 21)]
    mine = [timings(21, 21), timings(43, 43), timings(22, 22)]
    found = report.row("gateway", load(together=1), mine, direct, 1.234)
    assert found["first_byte_added_p50_ms"] == 1.0
    assert found["first_byte_added_p50_ms_range"] == [1.0, 3.0]
    assert found["cpu_ms_per_request"] == 1.23


def test_a_system_that_answered_nothing_has_no_figure() -> None:
    """It is not taken for one that adds nothing."""
    found = report.row("Portkey", load(), [Timings(failed=6)], [timings(20)], 0.0)
    assert found["first_byte_added_p50_ms"] is None
    assert found["failed"] == 6


def figures(rate: float, memory_mb: float) -> dict[str, float]:
    return {"requests_per_second": rate, "peak_memory_mb": memory_mb}


def test_the_verdict_names_where_the_gateway_is_not_under_portkey() -> None:
    """Both aims are said with their figures, met or not."""
    requests = [
        report.row("gateway", load(together=1), [timings(21.5)], [timings(20)], 2.0),
        report.row("Portkey", load(together=1), [timings(24)], [timings(20)], 1.0),
    ]
    systems_figures = [
        {"system": "gateway", **figures(400, 60)},
        {"system": "Portkey", **figures(300, 150)},
    ]
    aim, under = report.verdicts(requests, systems_figures)
    assert aim == "Added at p50, one at a time (aim: 1.0 ms): streams 1.5 ms."
    assert "Under Portkey but in: streams, 1 at once: CPU a request (ms) (2.0 against 1.0)" in under
    systems_figures[0]["requests_per_second"] = 200
    assert "seconds a request" in report.verdicts(requests, systems_figures)[1]
    assert report.verdicts(requests[:1], [])[1:] == []


def test_the_tables_have_a_row_for_every_system() -> None:
    """They are what docs/performance.md holds."""
    row = report.row("gateway", load(), [timings(21)], [timings(20)], 2.0)
    text = report.tables(
        {
            "machine": "2 cores",
            "load_average": 0.1,
            "versions": {"Portkey": "1.15.2"},
            "requests": [row],
            "systems": [{"system": "gateway", **figures(9, 60), "process_start_seconds": 0.5}],
            "left_out": {"portkey": "no registry"},
            "container_seconds": {},
        }
    )
    assert "| streams | 2 | gateway | 1.0 (1.0 to 1.0) / 1.0 |" in text
    assert "| gateway | 9 | 60 | 0.5 |" in text
    assert "portkey was left out: no registry" in text
