"""Of a gateway's records only those with a known name and within bounds are written."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from runner.collect.gateway_state import RecordBounds, keep_records
from runner.engine.files.archives import tar_archive
from runner.errors import EngineError, HostError

NAMES = (
    "000001.request.json.gz", "000001.response.gz", "000002.request.json.cut.gz",
    "1234567.response.cut.gz",
)  # fmt: skip
FOREIGN = (
    "000001.response.gz.part", "../000003.response.gz", "000003.RESPONSE.gz", "3.response.gz",
    "deeper/000003.response.gz", ".000003.response.gz.part", "000003.response.gz\n",
    "000003.response",
)  # fmt: skip


def archive(*names: str, content: bytes = b"body") -> list[bytes]:
    """The archive of a gateway's folder with these files."""
    return [tar_archive({f"records/{name}": content for name in names}, uid=1000)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_recorders_names_are_kept_and_no_others(tmp_path: Path) -> None:
    """Each record is there byte for byte; a foreign name is left where it is."""
    kept = keep_records(tmp_path / "records", archive(*NAMES, *FOREIGN))
    assert (kept.files, kept.size_bytes, kept.whole) == (len(NAMES), 4 * len(NAMES), True)
    assert names(tmp_path) == sorted(["records", *NAMES])
    assert {(tmp_path / "records" / name).read_bytes() for name in NAMES} == {b"body"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_record_that_is_no_regular_file_is_left_out(tmp_path: Path, kind: bytes) -> None:
    """A link is neither made here nor followed there."""
    member = tarfile.TarInfo(f"records/{NAMES[0]}")
    member.type, member.linkname = kind, "/etc/passwd"
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w") as tar:
            tar.addfile(member)
        assert keep_records(tmp_path / "records", [made.getvalue()]).files == 0
    assert names(tmp_path) == []


BOUNDS = {
    "files": (RecordBounds(files=2), 2),
    "bytes of one": (RecordBounds(file_bytes=3), 0),
    "bytes of all": (RecordBounds(total_bytes=15), 3),
    "just enough": (RecordBounds(files=4, file_bytes=4, total_bytes=16), 4),
}


@pytest.mark.parametrize("case", BOUNDS)
def test_a_bound_ends_the_keeping(tmp_path: Path, case: str) -> None:
    """What came before the first file past a bound is kept whole, and it is said."""
    bounds, number = BOUNDS[case]
    kept = keep_records(tmp_path / "records", archive(*NAMES), bounds)
    assert (kept.files, kept.whole) == (number, number == len(NAMES))
    assert len(list(tmp_path.glob("records/*"))) == number


def test_foreign_files_count_as_well(tmp_path: Path) -> None:
    """An archive of what is not ours ends too."""
    assert not keep_records(tmp_path, archive(*FOREIGN), RecordBounds(files=3)).whole


def test_a_link_in_the_place_of_a_record_is_replaced(tmp_path: Path) -> None:
    """What it points at stays as it is, also where the name of a half-written file is a link."""
    (tmp_path / "other").write_text("other")
    folder = tmp_path / "records"
    folder.mkdir()
    for name in (NAMES[0], f".{NAMES[0]}.part"):
        (folder / name).symlink_to(tmp_path / "other")
    keep_records(folder, archive(NAMES[0]))
    assert (folder / NAMES[0]).read_bytes() == b"body"
    assert not (folder / NAMES[0]).is_symlink()
    assert (tmp_path / "other").read_text() == "other"
    assert names(folder) == [NAMES[0]]


def test_an_archive_that_breaks_leaves_no_half_of_a_record(tmp_path: Path) -> None:
    """The records before it are there, and the error says that there were more."""
    whole = archive(*NAMES[:2], content=b"x" * 5000)[0]
    with pytest.raises(EngineError):
        keep_records(tmp_path, [whole[:9000]])
    assert names(tmp_path) == [NAMES[0]]


def test_a_disk_that_refuses_is_the_hosts_fault(tmp_path: Path) -> None:
    """A file stands where the folder should be: the error says what to do."""
    (tmp_path / "records").write_text("")
    with pytest.raises(HostError, match="records"):
        keep_records(tmp_path / "records", archive(*NAMES))
