"""Commands that need an engine, on every kind of terminal: see tests/extremes/test_terminals.py."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from tests.docker.commands import a_seed
from tests.terminal import ENDINGS, LOCALES, NARROW, TERMINALS, WIDTHS, Done, Shell, too_wide

SAID = "[bold]…[/] 0.9 ± 0.1 :x:"
TALKS = f"import time\nwhile True:\n    print({SAID!r}, flush=True)\n    time.sleep(0.1)"


@pytest.fixture
def shell(engine: Engine, tmp_path: Path) -> Shell:
    """Commands on the tests' own engine, their runs in an empty folder."""
    return Shell(tmp_path, os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))


@pytest.fixture
def talking(engine: Engine) -> Iterator[str]:
    """The id of a run whose agent's container talks without end."""
    run_id = f"test-t{uuid.uuid4().hex[:8]}"  # not a number, which Rich makes bold
    container = engine.create(
        ContainerSpec(
            f"bakeoff-{run_id}-agent", image_tag("base"), run_id, "agent",
            command=["python3", "-c", TALKS],
        )
    )  # fmt: skip
    engine.start(container)
    yield run_id
    engine.remove(container)


def test_an_overview_and_a_log_are_readable_everywhere(shell: Shell, talking: str) -> None:
    """`ps`, `doctor` and `logs` in every locale, width and terminal, with no name cut off."""
    for locale in LOCALES.values():
        assert shell("ps", **locale).fine(0)
        assert shell("doctor", **locale).fine(0)
    for width in WIDTHS.values():
        shown = shell("ps", **width)
        assert shown.fine(0), shown
        assert f"bakeoff-{talking}-agent" in shown.out
    assert not too_wide(shell("ps", COLUMNS=str(NARROW)).out)
    for terminal in TERMINALS.values():
        assert talking in shell.on_terminal("ps", **terminal).out


def test_no_stream_and_no_reader_ends_an_overview(shell: Shell, talking: str) -> None:
    """Closed, full, left: the exit code says what became of the command, without a traceback."""
    for ending, redirected in ENDINGS.items():
        for command in (("ps",), ("images",)):
            done = shell(*command, redirected=redirected)
            assert done.fine(1 if ending == "stdout full" else 0), (ending, command, done)
    assert shell.left("ps").fine(0)


def test_a_log_that_is_followed_ends_with_its_reader(shell: Shell, talking: str) -> None:
    """`bakeoff logs … | head -1` ends, and shows the line as it was said."""
    assert shell.left("logs", talking).fine(0)
    first = shell("logs", talking, redirected="| head -1")
    assert first == Done(0, f"{SAID}\n", "")
    spelled = shell("logs", talking, redirected="| head -1", **LOCALES["ASCII"])
    assert spelled.out == "[bold]...[/] 0.9 +- 0.1 :x:\n"


@pytest.mark.timeout(1800)
def test_a_run_goes_on_without_anybody_to_tell(shell: Shell) -> None:
    """In the C locale, every stream closed or full, a run ends as it should; so does its log."""
    for redirected, exit_code in (("<&- >&- 2>&-", 0), (">/dev/full 2>/dev/full", 1)):
        run_id = f"random-s{a_seed()}"
        seed = run_id.rpartition("s")[2]
        arguments = ("--seed", seed, "--trial-seconds", "1", "--trials", "1", "--verify", "none")
        done = shell("baseline", "random", *arguments, redirected=redirected, **LOCALES["C"])
        assert done.fine(exit_code), done
        result = json.loads((shell.here / "runs" / run_id / "result.json").read_text())
        assert result["ended_by"] == "trials"
    for command in (("logs", run_id), ("collect",), ("ps",)):
        assert shell(*command, **LOCALES["C"]).fine(0)
        assert shell.left(*command).fine(0)
