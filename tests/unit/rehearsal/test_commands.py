"""The model's shell commands, run by a real shell in a real git repository."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import pytest

from images.rehearsal.scripted_model import commands

TRAIN_PY = '''\
"""Trains."""
from __future__ import annotations

DEPTH = 4
TOTAL_BATCH_SIZE = 2**14  # tokens; ø
MATRIX_LR: float = 0.04
WARMUP_RATIO = 0.0
BETAS = (
    0.8,
    0.95,
)
'''


def sh(folder: Path, command: str) -> str:
    """The output of a command, both streams, as a CLI would see it."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A git repository with a train.py, as agentd makes one."""
    (tmp_path / "train.py").write_text(TRAIN_PY)
    (tmp_path / "program.md").write_text("# Program\n")
    sh(tmp_path, "git init -q . && git config user.name b && git config user.email b@b")
    sh(tmp_path, "git add -A && git commit -qm first")
    return tmp_path


@pytest.mark.parametrize(
    ("knob", "change", "line"),
    [
        ("MATRIX_LR", "old * 1.5", "MATRIX_LR: float = 0.06"),
        ("TOTAL_BATCH_SIZE", "old // 2", "TOTAL_BATCH_SIZE = 8192  # tokens; ø"),
        ("WARMUP_RATIO", "old + 0.05", "WARMUP_RATIO = 0.05"),
        ("DEPTH", "old * 0.1", "DEPTH = 1"),
    ],
)
def test_change_of_a_knob(repo: Path, knob: str, change: str, line: str) -> None:
    """A knob gets its new value, and no other byte changes."""
    seen = sh(repo, commands.change_knob(knob, change))
    assert seen.startswith(f"changed: {knob} ")
    old, new = TRAIN_PY.splitlines(), (repo / "train.py").read_text().splitlines()
    assert [b for a, b in zip(old, new, strict=True) if a != b] == [line]


@pytest.mark.parametrize("knob", ["NO_SUCH_KNOB", "BETAS"])
def test_knob_that_cannot_be_changed(repo: Path, knob: str) -> None:
    """A missing knob, or one over several lines, leaves train.py alone and says so."""
    seen = sh(repo, commands.change_knob(knob, "old * 2"))
    assert seen.startswith("unchanged: ")
    assert (repo / "train.py").read_text() == TRAIN_PY


def test_value_that_stays(repo: Path) -> None:
    """A change to the same value says so and is none."""
    assert sh(repo, commands.change_knob("WARMUP_RATIO", "old * 3")).startswith("unchanged: ")


def test_broken_code_crashes(repo: Path) -> None:
    """The deliberate mistake parses as Python and raises when run."""
    assert sh(repo, commands.break_code()).startswith("changed: ")
    compile((repo / "train.py").read_text(), "train.py", "exec")
    assert "ValueError" in sh(repo, "python3 train.py")


def test_commit_and_going_back(repo: Path) -> None:
    """A commit says its hash; going back restores train.py and leaves the logbook in place."""
    before = sh(repo, commands.KEEP_LOGBOOK).split()[0].removeprefix("head:")
    sh(repo, commands.change_knob("MATRIX_LR", "old * 2"))
    assert sh(repo, commands.commit("rate: it's 'twice'")).startswith("commit:")
    sh(repo, commands.append_row({"experiment": "1", "status": "revert"}))
    sh(repo, commands.write_status("# Status"))
    sh(repo, commands.go_back(before))
    assert (repo / "train.py").read_text() == TRAIN_PY
    assert (repo / "STATUS.md").read_text() == "# Status\n"
    assert "1," in (repo / "experiments.csv").read_text()
    assert sh(repo, "git status --short") == ""


def test_rows_are_proper_csv(repo: Path) -> None:
    """Rows keep commas, quotes and line ends, have the agreed columns, and are written once."""
    row = {"experiment": "1", "hypothesis": 'a, "b"\nc $HOME `x`', "status": "keep"}
    for _ in range(2):
        sh(repo, commands.append_row(row))
    with (repo / "experiments.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert list(written[0]) == list(commands.COLUMNS)
    assert [w["hypothesis"] for w in written] == [row["hypothesis"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", written[0]["timestamp"])


def test_trial_tells_its_exit_code(repo: Path) -> None:
    """Whatever CLI runs it, the output ends with the exit code of `trial`."""
    assert sh(repo, f"trial() {{ return 4; }}; {commands.trial('why', 'other')}").endswith(
        "trial exit code: 4\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        commands.KEEP_LOGBOOK,
        commands.commit("a"),
        commands.trial("a", "other"),
        commands.change_knob("A", "old"),
        commands.break_code(),
        commands.append_row({"experiment": "1"}),
        commands.go_back("abc"),
        commands.write_status("a"),
    ],
)
def test_no_command_substitution(command: str) -> None:
    """Gemini CLI blocks `$(…)` and backticks, so no command has them."""
    assert "$(" not in command
    assert "`" not in command
    assert "<(" not in command
