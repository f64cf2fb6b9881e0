"""How much disk folders take, whatever a contestant makes of them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.wire.config_reader import ConfigError, read_config
from runner.wire.disk_use import (
    MANY_NAMES,
    STILL_OPEN,
    UNLOOKED,
    DiskBound,
    DiskUse,
    Exceeded,
    deleted_files,
    measure,
    walk,
)

PLENTY = DiskBound(1 << 60, 10_000_000)
LEVELS = 3_000
MANY = 10_000


def took(*places: Path, bound: DiskBound = PLENTY, processes: str = "/nowhere") -> DiskUse:
    """What the folders take; no process is looked at unless it is asked for."""
    return measure([str(place) for place in places], bound, processes)


@pytest.fixture
def nest(tmp_path: Path) -> Iterator[Path]:
    """Folders in folders, `LEVELS` of them, with a file of 8 KiB beside each thousandth."""
    top, here = tmp_path / "nest", Path.cwd()
    top.mkdir()
    os.chdir(top)
    for level in range(LEVELS):
        if level % 1000 == 0:
            Path("file").write_bytes(bytes(8192))
        Path("a").mkdir()
        os.chdir("a")
    os.chdir(here)
    yield top
    subprocess.run(["rm", "-rf", str(top)], check=True)


def test_files_and_folders_are_counted_as_they_are_allocated(tmp_path: Path) -> None:
    """A file takes whole blocks, and a folder takes an inode like a file."""
    empty = took(tmp_path)
    assert (empty.files, empty.path, empty.whole) == (1, str(tmp_path), True)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(bytes(100_000))
    found = took(tmp_path)
    assert found.files == 3
    assert 100_000 <= found.bytes - empty.bytes < 120_000


def test_a_hole_takes_nothing(tmp_path: Path) -> None:
    """A file that says that it has a terabyte, and holds one block, takes one block."""
    with (tmp_path / "sparse").open("wb") as file:
        file.write(b"x")
        file.truncate(1 << 40)
    assert took(tmp_path).bytes < 1 << 20


def test_an_inode_counts_once(tmp_path: Path) -> None:
    """However many names it has, in whichever of the folders."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "file").write_bytes(bytes(1 << 20))
    before = took(tmp_path / "one", tmp_path / "two")
    for number in range(50):
        (tmp_path / "two" / f"name-{number}").hardlink_to(tmp_path / "one" / "file")
    after = took(tmp_path / "one", tmp_path / "two")
    assert after.files == before.files
    assert after.bytes - before.bytes < 1 << 16


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Neither out of the folder nor round in a circle; a link is a file like others."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "large").write_bytes(bytes(1 << 20))
    (inside / "out").symlink_to(outside)
    (inside / "circle").symlink_to(inside)
    (inside / "nowhere").symlink_to("/nowhere")
    found = took(inside)
    assert found.files == 4
    assert found.bytes < 1 << 17
    (tmp_path / "link").symlink_to(inside)
    assert took(tmp_path / "link").files == 0


def test_other_file_systems_are_left_out(tmp_path: Path) -> None:
    """What is mounted within a folder is not the folder's."""
    proc = Path("/proc").stat().st_dev
    assert tmp_path.stat().st_dev != proc
    roots = {found.st_dev for found in walk("/proc/self/fd")}
    assert roots <= {proc}


def test_a_folder_that_is_shut_hides_nothing(tmp_path: Path) -> None:
    """Its owner can shut it after filling it, so it is made readable."""
    for number, mode in enumerate((0o000, 0o400, 0o100, 0o200)):
        shut = tmp_path / f"shut-{number}"
        (shut / "inner").mkdir(parents=True)
        (shut / "inner" / "file").write_bytes(bytes(1 << 20))
        (shut / "inner").chmod(mode)
        shut.chmod(mode)
    found = took(tmp_path)
    assert found.files == 1 + 4 * 3
    assert found.bytes > 4 << 20


def test_deep_folders_are_walked_to_their_end(nest: Path) -> None:
    """With few descriptors, and past the longest path that the kernel takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(list(Path("/proc/self/fd").iterdir())) + 10
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        found = took(nest)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found.files == 1 + LEVELS + LEVELS // 1000
    assert found.bytes >= LEVELS // 1000 * 8192


def test_many_files_are_measured_quickly(tmp_path: Path) -> None:
    """Ten thousand names in ten folders; no more are looked at than the bound asks for."""
    for folder in range(10):
        (tmp_path / str(folder)).mkdir()
        for number in range(MANY // 10):
            (tmp_path / str(folder) / str(number)).symlink_to("x")
    began = time.process_time()
    found = took(tmp_path)
    assert found.files == MANY + 11
    assert time.process_time() - began < 2
    cut = took(tmp_path, bound=DiskBound(1 << 60, 1000))
    assert (cut.files, cut.whole) == (1001, False)
    assert cut.passes(DiskBound(1 << 60, 1000))


def test_names_without_end_are_not_all_looked_at(tmp_path: Path) -> None:
    """Hard links cost no inode, so names have a bound of their own."""
    (tmp_path / "file").write_bytes(b"x")
    for number in range(100):
        (tmp_path / str(number)).hardlink_to(tmp_path / "file")
    cut = took(tmp_path, bound=DiskBound(1 << 60, 10))
    assert not cut.whole
    assert cut.passes(DiskBound(1 << 60, 10)), "as much as too many files"
    assert cut.path == MANY_NAMES
    assert took(tmp_path, bound=DiskBound(1 << 60, 30)).whole


def test_what_cannot_be_looked_at_is_not_taken_for_little(tmp_path: Path) -> None:
    """Neither where descriptors have run out nor where there was no time."""
    (tmp_path / "file").write_bytes(b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        starved = took(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    late = measure([str(tmp_path)], DiskBound(1 << 60, 10), max_seconds=0.0)
    assert (starved.whole, starved.path) == (False, UNLOOKED)
    assert (late.whole, late.path) == (False, UNLOOKED)


def test_deleted_files_that_are_open_are_counted_once(tmp_path: Path) -> None:
    """In whichever process, and through however many descriptors."""
    program = (
        "import os, sys\n"
        "file = open(sys.argv[1], 'wb'); file.write(bytes(4 << 20)); file.flush()\n"
        "os.unlink(sys.argv[1]); twice = os.dup(file.fileno())\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "gone")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        # The whole of /proc has other tests' files too: only this child is shown.
        shown = tmp_path / "proc"
        shown.mkdir()
        (shown / str(child.pid)).symlink_to(f"/proc/{child.pid}")
        found = took(tmp_path, processes=str(shown))
        child.communicate(b"")
    assert found.bytes > 4 << 20
    assert found.path == STILL_OPEN
    assert took(tmp_path, processes=str(shown)).bytes < 1 << 20


def test_processes_that_show_nothing_are_passed_over(tmp_path: Path) -> None:
    """A process may end, or be another's, while it is looked at."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").write_text("no folder")
    (tmp_path / "self").mkdir()
    assert list(deleted_files({tmp_path.stat().st_dev}, str(tmp_path))) == []


def test_folders_that_move_meanwhile_end_no_walk(tmp_path: Path) -> None:
    """A folder that is moved away while it is read: what is still there is walked to its end."""
    for name in ("a", "b", "c"):
        (tmp_path / "in" / name / "x" / "y").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    seen, moved = 0, False
    for _ in walk(str(tmp_path / "in")):
        seen += 1
        if seen > 5 and not moved:  # the three folders are known, and one is open
            moved = True
            for name in ("a", "b", "c"):
                (tmp_path / "in" / name / "x").rename(tmp_path / "out" / name)
    assert moved
    assert 6 <= seen <= 10


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sets(
        st.binary(min_size=1, max_size=60).filter(
            lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
        ),
        max_size=12,
    )
)
def test_any_name_is_counted(tmp_path: Path, names: set[bytes]) -> None:
    """Names that are no UTF-8, and such that hold line feeds."""
    top = tmp_path / os.urandom(8).hex()
    top.mkdir()
    for name in names:
        (top / os.fsdecode(name)).mkdir()
    assert took(top).files == 1 + len(names)


def test_a_large_file_is_refused_to_a_child() -> None:
    """Its write fails at the bound, and what it has written stays."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import disk_use, tempfile\n"
        "for bound in (1 << 30, 1 << 20, 2 << 20): disk_use.limit_files(bound)\n"
        "with tempfile.TemporaryFile() as file:\n"
        "    file.write(bytes(1 << 20)); file.flush()\n"
        "    try:\n"
        "        file.write(b'x'); file.flush()\n"
        "    except OSError as error:\n"
        "        print(error.strerror, flush=True)\n"
        "        import os; os._exit(0)\n"
    )
    wire = Path(sys.modules[DiskUse.__module__].__file__ or "").parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(wire)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"


def test_what_is_said_can_be_read_again() -> None:
    """The bound and the message are tables of the wire; no bound is empty."""
    bound = DiskBound(1, 1)
    assert read_config(DiskBound, vars(bound)) == bound
    said = Exceeded("/workspace", 2, 3, 1, 1, largest=("a",))
    assert read_config(Exceeded, {**vars(said), "largest": ["a"]}) == said
    with pytest.raises(ConfigError):
        read_config(DiskBound, {"max_bytes": 0, "max_files": 1})
