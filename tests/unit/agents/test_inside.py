"""The parts of agentd that need no container: relay, files, rendering, thinning."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.agent import relay, render, thinning
from images.agent.claude.render import describe as describe_claude
from images.agent.codex.render import describe as describe_codex
from images.agent.gemini.render import describe as describe_gemini
from images.agent.safe_folder import (
    BoundedFile,
    Repair,
    SafeFolder,
    open_folder,
    put_aside,
    unshut,
)


@asynccontextmanager
async def relay_to(socket: Path, connect_seconds: float = 5.0) -> AsyncIterator[int]:
    """A relay on a free port; the port."""
    async with await relay.serve(str(socket), 0, connect_seconds) as server:
        yield server.sockets[0].getsockname()[1]


async def exchange(port: int, data: bytes) -> bytes:
    """Send everything, close our direction, read to the end."""
    reader, writer = await asyncio.open_connection(relay.HOST, port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A gateway that gives back what it got, once it has got it all."""
    writer.write(b"got " + await reader.read())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_the_relay_passes_bytes_both_ways(tmp_path: Path) -> None:
    """A megabyte of any bytes comes back equal, after a half-close."""
    data = os.urandom(1 << 20)
    server = await asyncio.start_unix_server(echo, tmp_path / "llm.sock")
    async with server, relay_to(tmp_path / "llm.sock") as port:
        assert await exchange(port, data) == b"got " + data


async def test_the_relay_waits_for_a_gateway_that_is_late(tmp_path: Path) -> None:
    """A connection that came first is served when the socket appears."""
    async with relay_to(tmp_path / "llm.sock") as port:
        reader, writer = await asyncio.open_connection(relay.HOST, port)
        writer.write(b"hello")
        writer.write_eof()
        async with await asyncio.start_unix_server(echo, tmp_path / "llm.sock"):
            assert await asyncio.wait_for(reader.read(), 10) == b"got hello"
        writer.close()
        await writer.wait_closed()


async def test_without_a_gateway_the_relay_says_so_in_http(tmp_path: Path) -> None:
    """A whole response that asks to retry: a refused connection makes Codex wait for ever."""
    async with relay_to(tmp_path / "none.sock", connect_seconds=0.0) as port:
        head, _, body = (await exchange(port, b"GET / HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in head
    assert f"content-length: {len(body)}".encode() in head
    assert "try again" in json.loads(body)["error"]["message"]


def test_a_safe_folder_follows_no_link(tmp_path: Path) -> None:
    """A link under the file's name is removed, and what it points to is left alone."""
    target = tmp_path / "target"
    target.write_text("untouched")
    folder = SafeFolder(str(tmp_path / "kept"), str(tmp_path))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.log").symlink_to(target)
    file, path = folder.create("a.log")
    with file:
        file.write(b"new")
    assert target.read_text() == "untouched"
    assert Path(path).read_text() == "new"
    assert not Path(path).is_symlink()


def test_a_safe_folder_replaces_a_link_in_its_own_place(tmp_path: Path) -> None:
    """The folder cannot be sent elsewhere before it is opened."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kept").symlink_to(tmp_path / "elsewhere")
    file, _ = SafeFolder(str(tmp_path / "kept"), str(tmp_path)).create("a.log")
    file.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_safe_folder_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    """An agent that tidies up its home does not end its run."""
    folder = SafeFolder(str(tmp_path / "state" / "kept"), str(tmp_path))
    for _ in range(2):
        file, path = folder.create("a.log")
        file.close()
        assert Path(path).is_file()
        shutil.rmtree(tmp_path / "state")


@pytest.mark.parametrize("shut", [0o000, 0o111, 0o444, 0o555])
def test_a_safe_folder_that_was_shut_is_opened(tmp_path: Path, shut: int) -> None:
    """Without a right to write, to search or to list: its owner takes them back."""
    folders = [tmp_path / "state" / "kept", tmp_path / "state", tmp_path]
    folders[0].mkdir(parents=True)
    for folder in folders:
        folder.chmod(shut)
    unshut(str(tmp_path))
    file, _ = SafeFolder(str(folders[0]), str(tmp_path)).create("a.log")
    file.close()
    assert [stat.S_IMODE(folder.stat().st_mode) & 0o700 for folder in folders] == [0o700] * 3


def test_a_pipe_or_a_file_in_the_place_of_a_safe_folder_makes_way(tmp_path: Path) -> None:
    """Neither is waited for, on the way to the folder or in its place."""
    os.mkfifo(tmp_path / "state")
    file, path = SafeFolder(str(tmp_path / "state" / "kept"), str(tmp_path)).create("a.log")
    file.close()
    shutil.rmtree(tmp_path / "state" / "kept")
    (tmp_path / "state" / "kept").write_text("x")
    file, path = SafeFolder(str(tmp_path / "state" / "kept"), str(tmp_path)).create("a.log")
    file.close()
    assert Path(path).is_file()


def test_what_is_put_aside_is_renamed_whatever_it_is(tmp_path: Path) -> None:
    """A folder with something in it, a link to itself, and nothing at all."""
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("link")
    opened = open_folder(str(tmp_path), str(tmp_path))
    new_names = [put_aside(name, opened) for name in ("folder", "link", "nothing")]
    os.close(opened)
    assert new_names[2] == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(new_names[:2])
    assert [name.partition(".broken-")[0] for name in new_names] == ["folder", "link", ""]


def test_repairs_of_a_folder_are_told(tmp_path: Path) -> None:
    """What was renamed for it and what lacked rights, from the top down; a new one is no repair."""
    outbox = str(tmp_path / "state" / "outbox")
    repairs: list[Repair] = []
    os.close(open_folder(outbox, str(tmp_path), repairs))
    assert repairs == []
    Path(outbox).rmdir()
    Path(outbox).write_text("kept")
    Path(outbox).parent.chmod(0o500)
    os.close(open_folder(outbox, str(tmp_path), repairs))
    assert [repair.path for repair in repairs] == [str(tmp_path / "state"), outbox]
    assert [bool(repair.aside) for repair in repairs] == [False, True]
    assert Path(outbox).with_name(repairs[1].aside).read_text() == "kept"


def test_a_name_that_is_blocked_is_changed(tmp_path: Path) -> None:
    """A folder in the way of a transcript does not stop a turn."""
    folder = SafeFolder(str(tmp_path), str(tmp_path))
    (tmp_path / "a.log" / "inner").mkdir(parents=True)
    file, path = folder.create("a.log")
    file.close()
    assert Path(path).is_file()
    assert path.endswith("-a.log")


@given(
    chunks=st.lists(st.binary(max_size=40), max_size=20),
    head=st.integers(0, 50),
    tail=st.integers(1, 50),
)
def test_a_bounded_file_keeps_its_beginning_and_its_end(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], head: int, tail: int
) -> None:
    """However the bytes arrive; and what is missing is counted."""
    path = tmp_path_factory.mktemp("bounded") / "file"
    bounded = BoundedFile(path.open("wb", buffering=0), head, tail)
    for chunk in chunks:
        bounded.write(chunk)
    bounded.close()
    everything, written = b"".join(chunks), path.read_bytes()
    if len(everything) <= head + tail:
        assert written == everything
    else:
        missing = len(everything) - head - tail
        mark = b'\n{"type":"bakeoff.skipped","bytes":%d}\n' % missing
        assert written == everything[:head] + mark + everything[-tail:]


def test_a_full_disk_is_remembered_and_not_raised() -> None:
    """Writing goes on without effect; the error is there for the runner."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        bounded = BoundedFile(full, 100, 10)
        bounded.write(b"x" * 50)
        bounded.write(b"x" * 50)
        bounded.close()
    assert "No space left" in bounded.error


DESCRIBERS = {"claude": describe_claude, "codex": describe_codex, "gemini": describe_gemini}


def shown(describe: render.Describe, *events: object) -> list[str]:
    lines: list[str] = []
    renderer = render.Renderer(lines.append, describe)
    for event in events:
        renderer.feed(json.dumps(event).encode() + b"\n")
    renderer.close()
    return lines


def test_words_and_tools_of_all_three_clis_are_shown() -> None:
    """One line for what the model says, one a tool call, whatever the dialect."""
    text, tool = {"type": "text", "text": "I try"}, {"type": "tool_use", "name": "Bash"}
    claude = {
        "type": "assistant",
        "message": {"content": [text, {**tool, "input": {"command": "ls"}}]},
    }
    said = {"type": "item.completed", "item": {"type": "agent_message", "text": "I try"}}
    ran = {"type": "item.started", "item": {"type": "command_execution", "command": "ls"}}
    pieces = [{"type": "message", "role": "assistant", "content": word} for word in ("I ", "try")]
    call = {"type": "tool_use", "tool_name": "shell", "parameters": {"command": "ls"}}
    assert shown(describe_claude, claude) == ["model: I try", "tool: Bash ls"]
    assert shown(describe_codex, said, ran) == ["model: I try", "tool: shell ls"]
    assert shown(describe_gemini, *pieces, call) == ["model: I try", "tool: shell ls"]


@pytest.mark.parametrize("cli", DESCRIBERS)
@given(
    chunks=st.lists(st.binary(max_size=200)),
    events=st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.text()))),
)
def test_rendering_takes_any_bytes(
    cli: str, chunks: list[bytes], events: list[dict[str, object]]
) -> None:
    """Nothing raises, and no line is long or holds a control character."""
    lines: list[str] = []
    describe = DESCRIBERS[cli]
    renderer = render.Renderer(lines.append, describe)
    for chunk in chunks:
        renderer.feed(chunk)
    renderer.feed(b"\n")
    renderer.close()
    lines += shown(
        describe, *({"type": "error", "message": "\x1b[2J", **event} for event in events)
    )
    assert all(line.isprintable() and len(line) <= render.MAX_SHOWN_CHARS for line in lines)


def broken(event: dict[str, object]) -> Iterator[tuple[object, ...]]:
    """A reader of events that expects what need not be there."""
    yield "model", event["text"]
    yield "a", "tuple", "that", "is", "none"


def test_a_mistake_of_a_clis_reader_ends_no_turn() -> None:
    """An event that it cannot read is left out, and so is what is no line; that is told once."""
    said = shown(broken, {}, {"text": "I try"}, {})
    assert said == ["rendering failed: KeyError: 'text'", "model: I try"]


@pytest.mark.parametrize("error", [NameError, AssertionError, ZeroDivisionError, RuntimeError])
def test_a_fault_of_any_kind_in_a_clis_reader_ends_no_turn(error: type[Exception]) -> None:
    """The reader is a stranger's code in PID 1: the lines after its fault are rendered."""

    def faulty(event: dict[str, object]) -> Iterator[tuple[object, ...]]:
        if "text" not in event:
            raise error("a fault")
        yield "model", event["text"]

    assert shown(faulty, {}, {"text": "I try"}) == [
        f"rendering failed: {error.__name__}: a fault",
        "model: I try",
    ]


def test_an_overlong_line_is_left_out_and_the_next_one_shown() -> None:
    """Memory stays bounded while a line does not end."""
    lines: list[str] = []
    renderer = render.Renderer(lines.append, describe_claude)
    for _ in range(3):
        renderer.feed(b"x" * render.MAX_LINE_BYTES)
    renderer.feed(b'\n{"type":"result","subtype":"success"}\n')
    assert lines == ["result: success"]


def test_progress_is_thinned_by_training_time() -> None:
    """A line every so many seconds of training, however fast the lines come."""
    thinner = thinning.Thinner()
    seconds = [step * 0.5 for step in range(400)]
    kept = [s for s in seconds if thinner.feed(f"progress: step=1 train_seconds={s} loss=7")]
    every = thinning.PROGRESS_EVERY_SECONDS
    assert kept == [0.0, every, 2 * every, 3 * every, 4 * every, 5 * every, 6 * every]


def test_other_output_is_limited_and_its_end_kept() -> None:
    """A flood costs a bounded number of lines, and the traceback at its end is at hand."""
    thinner = thinning.Thinner()
    flood = [f"line {number}" for number in range(10_000)]
    kept = [line for line in map(thinner.feed, flood) if line is not None]
    assert kept[:-1] == flood[: thinning.MAX_OTHER_LINES]
    assert "left out" in kept[-1]
    assert thinner.tail() == flood[-thinning.TAIL_LINES :]


@given(st.lists(st.text(), max_size=50))
def test_thinning_takes_any_lines(lines: list[str]) -> None:
    """Lines are shown as they are, or cut; nothing raises."""
    thinner = thinning.Thinner()
    for line in lines:
        kept = thinner.feed(line)
        assert kept is None or kept.rstrip("…") in line or line.startswith(kept.rstrip("…"))
