"""How a foreign trial ended, whether it was kept, and what its figure is worth."""

from __future__ import annotations

import pytest

from runner.imports.statuses import figure_of, kept_of, status_of, value_of


@pytest.mark.parametrize(
    ("said", "value", "status"),
    [
        ("keep", "2.1", "ok"),
        ("discard", "2.1", "ok"),
        ("", "2.1", "ok"),
        ("crash", "0.0", "crash"),
        ("checks_failed", "0", "crash"),
        ("OOM", "0", "oom"),
        ("crash (CUDA out of memory)", "0", "oom"),
        ("timed out", "", "timeout"),
        ("killed", "", "killed"),
        ("PRUNED", "3.0", "pruned"),
        ("skipped", "", "pruned"),
        ("finished", "2.1", "ok"),
        ("REVERT", "FAIL", "crash"),
        ("keep", "nan", "crash"),
        ("keep", "n/a", "ok"),
    ],
)
def test_a_status_is_read_by_its_words(said: str, value: str, status: str) -> None:
    """The status says it; a failure in the place of the value says it too."""
    assert status_of(said, value) == status


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("KEEP (+7.1)", True),
        ("baseline", True),
        ("True", True),
        ("reverted", False),
        ("crash", None),
        ("skipped", None),
        ("ok", None),
        ("PASS", None),
        ("done", None),
        ("", None),
        ("moon", None),
    ],
)
def test_what_ended_well_is_not_thereby_kept(said: str, kept: bool | None) -> None:
    """`ok` and its like say nothing of the change."""
    assert kept_of(said) == kept


@pytest.mark.parametrize(
    ("said", "written", "value"),
    [
        ("keep", "0.9", 0.9),
        ("crash", "0.9", None),
        ("crash", "0.000000", None),
        ("keep", "0", 0.0),
        ("moon", "0", None),
        ("moon", "0.5", 0.5),
        ("keep", "1,271", 1271.0),
        ("keep", "68.6%", 68.6),
        ("keep", "inf", None),
        ("keep", "-", None),
        ("keep", "1e400", None),
        ("", "-1.5e-3", -0.0015),
    ],
)
def test_a_crash_has_no_value(said: str, written: str, value: float | None) -> None:
    """Nor has a 0 below a status that nobody knows."""
    assert value_of(said, written) == value


def test_all_digits_of_a_figure_are_kept() -> None:
    """A double comes back as it was written."""
    assert figure_of("-12.345678901234567") == -12.345678901234567
