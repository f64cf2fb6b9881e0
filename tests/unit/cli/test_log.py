"""The log: lines for people, or JSON, and no value that moves a cursor."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from runner.cli import log
from runner.cli.log import LogForm

HOSTILE = "\x1b[2Jhot\u202e"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def written(capsys: pytest.CaptureFixture[str], form: LogForm, *, verbose: bool = False) -> str:
    """What two events come to on stderr."""
    log.configure(verbose=verbose, form=form)
    structlog.get_logger().info("trial.queued", trial=7, hypothesis=HOSTILE, knobs={"a": HOSTILE})
    structlog.get_logger().debug("container.said", line="x")
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize("form", [LogForm.VIEW, LogForm.LINES])
def test_lines_are_for_people_and_steer_no_terminal(
    capsys: pytest.CaptureFixture[str], form: LogForm
) -> None:
    """Elsewhere than on a terminal: a line an event, without colours."""
    [line] = written(capsys, form).splitlines()
    assert "trial.queued" in line
    assert "trial=7" in line
    assert "hot" in line
    assert line.isprintable()


def test_json_lines_have_each_value_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    [line] = written(capsys, LogForm.JSON).splitlines()
    assert json.loads(line)["hypothesis"] == HOSTILE
    assert line.isprintable()


def test_verbose_lines_have_what_containers_say(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--verbose`, both events are there."""
    assert "container.said" in written(capsys, LogForm.LINES, verbose=True)
