"""Downloads from a real HTTP server that breaks connections, refuses requests and lies."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import corpus
import download as downloads
import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import BadInputError
from download import download

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass(frozen=True)
class Cut:
    """A fault: the connection ends after so many bytes."""

    after: int


class Server(ThreadingHTTPServer):
    """Serves `content` and records which ranges were requested.

    Each request takes one fault from a list: a status, a `Cut`, or None for no fault.
    """

    daemon_threads = True

    def __init__(self) -> None:
        """Listens on a free port that only this machine can reach."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.faults = CONTENT, [], []  # type: ignore[var-annotated]
        self.takes_ranges, self.headers = True, {}  # type: ignore[var-annotated]

    def url(self, path: str = "/file.bin") -> str:
        """An address on this server."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: Server

    def do_GET(self) -> None:
        """Answers with the requested part of the content, or with the next fault."""
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        fault = self.server.faults.pop(0) if self.server.faults else None
        if self.path == "/moved":
            self.answer(302, b"", Location=self.server.url(), **self.server.headers)
        elif isinstance(fault, int):
            self.answer(fault, b"no")
        else:
            self.content(int((asked or "bytes=0-")[6:-1]), fault.after if fault else None)

    def content(self, start: int, cut_at: int | None) -> None:
        """Sends the content from `start`, broken off after `cut_at` bytes."""
        if not self.server.takes_ranges:
            start = 0
        if start >= len(self.server.content):
            self.answer(416, b"")
            return
        rest = self.server.content[start:]
        self.answer(206 if start else 200, rest, cut_at)

    def answer(self, status: int, body: bytes, cut_at: int | None = None, **headers: str) -> None:
        """Sends a reply with the length of the whole body, but only `cut_at` bytes of the body."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:cut_at])

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, with short waits between attempts."""
    monkeypatch.setattr(downloads, "MAX_WAIT_SECONDS", 0.05)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def said(lines: list[str]) -> str:
    """All lines of progress in one text."""
    return "\n".join(lines)


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    """The download reports its progress, and a file that exists is not requested again."""
    lines: list[str] = []
    path = download(server.url(), tmp_path, SHA256, lines.append)
    assert path == tmp_path / "file.bin"
    assert path.read_bytes() == CONTENT
    assert "1.0 of 1.0 MB" in said(lines)
    assert download(server.url(), tmp_path, SHA256, lines.append) == path
    assert len(server.ranges) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    """A download that is cut twice resumes twice, and the file is right."""
    server.faults = [Cut(1000), Cut(5000)]
    download(server.url(), tmp_path, SHA256, lambda _: None)
    assert server.ranges == [None, "bytes=1000-", "bytes=6000-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_what_an_earlier_process_left_is_used(server: Server, tmp_path: Path) -> None:
    """A `.part` file is used as the beginning of the file."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:4321])
    download(server.url(), tmp_path, SHA256, lambda _: None)
    assert server.ranges == ["bytes=4321-"]


def test_a_server_that_cannot_resume_is_asked_for_all(server: Server, tmp_path: Path) -> None:
    """If the server answers a range with 200, its content replaces the partial file."""
    server.takes_ranges = False
    (tmp_path / "file.bin.part").write_bytes(b"something")
    path = download(server.url(), tmp_path, SHA256, lambda _: None)
    assert path.read_bytes() == CONTENT


def test_a_beginning_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    """A partial file that is longer than the file is deleted, and the download starts again."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    path = download(server.url(), tmp_path, SHA256, lambda _: None)
    assert path.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    """The download tries again after a busy answer, and the output gives the reason."""
    lines: list[str] = []
    server.faults = [503, 429, 500]
    download(server.url(), tmp_path, SHA256, lines.append)
    assert "answered 503" in said(lines)


def test_tries_are_bounded(server: Server, tmp_path: Path) -> None:
    """A server that stays busy is an error in the end, and the partial file is kept."""
    server.faults = [Cut(777), *[503] * 50]
    with pytest.raises(BadInputError, match=r"file\.bin: the server answered 503"):
        download(server.url(), tmp_path, SHA256, lambda _: None)
    assert len(server.ranges) == downloads.ATTEMPTS
    assert (tmp_path / "file.bin.part").stat().st_size == 777
    assert not (tmp_path / "file.bin").exists()


def test_nobody_there_is_an_error_with_a_hint(server: Server, tmp_path: Path) -> None:
    """A server that cannot be reached is one error whose hint names the network."""
    url = server.url()
    server.server_close()
    with pytest.raises(BadInputError, match=r"Connection refused") as caught:
        download(url, tmp_path, SHA256, lambda _: None)
    assert "network" in caught.value.hint


def test_a_wrong_address_is_not_asked_twice(server: Server, tmp_path: Path) -> None:
    """A 404 ends the download after one request."""
    server.faults = [404]
    with pytest.raises(BadInputError, match="answered 404"):
        download(server.url(), tmp_path, SHA256, lambda _: None)
    assert len(server.ranges) == 1


def test_a_file_that_is_not_what_it_should_be_is_not_kept(server: Server, tmp_path: Path) -> None:
    """A file with the wrong SHA-256 is deleted, and no partial file stays."""
    with pytest.raises(BadInputError, match=f"its SHA-256 is {SHA256}, not {'0' * 64}"):
        download(server.url(), tmp_path, "0" * 64, lambda _: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("stated", "taken"), [(SHA256, True), ("0" * 64, False)])
def test_the_sum_that_the_server_states_is_held_to(
    stated: str, taken: bool, server: Server, tmp_path: Path
) -> None:
    """A file is accepted only if it has the SHA-256 that a redirect states, as on Hugging Face."""
    server.headers = {"X_Linked_ETag": f'"{stated}"'}
    try:
        download(server.url("/moved"), tmp_path, "", lambda _: None)
    except BadInputError:
        assert not taken
    else:
        assert taken


def test_a_file_of_which_nobody_knows_the_sum_is_refused(server: Server, tmp_path: Path) -> None:
    """A file is refused if neither the task nor the server states its SHA-256."""
    with pytest.raises(BadInputError, match="neither the task nor the server"):
        download(server.url(), tmp_path, "", lambda _: None)


def test_tinystories_is_prepared_from_a_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is downloaded with one interruption, checked, split by rows and packed."""
    monkeypatch.setattr(corpus, "TINYSTORIES_HELD_OUT_ROWS", 300)
    letters = str.maketrans("0123456789", "ghijklmnop")  # many different words without digits
    words = [hashlib.md5(bytes([n % 251, n // 251])).hexdigest()[:7] for n in range(8000)]
    stories = [
        " ".join(words[(row * 61 + n * 7) % 8000].translate(letters) for n in range(60))
        for row in range(3000)
    ]
    pq.write_table(pa.table({"text": stories}), tmp_path / "source.parquet")
    server.content = (tmp_path / "source.parquet").read_bytes()
    server.faults = [Cut(40_000)]
    sha256 = hashlib.sha256(server.content).hexdigest()
    folders = {"--data": "data", "--heldout": "heldout", "--test-data": "test"}
    where = [part for flag, name in folders.items() for part in (flag, str(tmp_path / name))]
    url = ["--url", server.url("/tinystories.parquet"), "--sha256", sha256]
    assert prepare.main(["--task", "tinystories512", *where, *url]) == 0
    assert server.ranges == [None, "bytes=40000-"]
    assert {p.name for p in (tmp_path / "data").iterdir()} == {
        "task.json", "tokenizer.json", "token_bytes.npy", "train.bin"
    }  # fmt: skip
