"""The recorder of whole bodies: complete, bounded, without secrets."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from images.gateway.gatewayd.server.recorder import MAX_BODY_BYTES, Recorder

from .conftest import Make
from .rig import KEY, TOKEN


def test_recorded_bodies_hold_no_secrets(make: Make) -> None:
    """RECORD=1 keeps requests and answers compressed, without token and key."""
    gateway = make("anthropic", record=True)
    reply = gateway.send(system=f"my token is {TOKEN} and a key is {KEY}")
    gateway.usage_records(1)
    folder = gateway.folder / "state" / "records"
    asked = gzip.decompress((folder / "000001.request.json.gz").read_bytes())
    answered = gzip.decompress((folder / "000001.response.gz").read_bytes())
    assert b"my token is [removed] and a key is [removed]" in asked
    assert answered == reply.body


def test_a_secret_split_between_two_chunks_is_removed(tmp_path: Path) -> None:
    """However the chunks are cut, the secret does not reach the disk."""
    for cut in range(1, len(KEY)):
        recorder = Recorder(tmp_path / str(cut), (KEY.encode(),))
        record = recorder.response("1")
        for piece in (f"before {KEY[:cut]}", f"{KEY[cut:]} after"):
            record.feed(piece.encode())
        record.close()
        kept = gzip.decompress((tmp_path / str(cut) / "1.response.gz").read_bytes())
        assert kept == b"before [removed] after"


def test_a_record_is_bounded(tmp_path: Path) -> None:
    """A body is cut at the bound, and the file name says so."""
    record = Recorder(tmp_path / "r", ()).response("1")
    for _ in range(MAX_BODY_BYTES // (1 << 20) + 1):
        record.feed(bytes(1 << 20))
    record.close()
    [path] = (tmp_path / "r").iterdir()
    assert path.name == "1.response.cut.gz"
    assert len(zlib.decompress(path.read_bytes(), wbits=31)) == MAX_BODY_BYTES
