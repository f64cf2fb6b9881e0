"""The scripts behind `make`: what they do, and what they say when they cannot."""

from __future__ import annotations

import http.server
import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from runner.records.layout import ROOT
from tests.unit.script import load_script


@pytest.fixture(scope="module")
def engine_script() -> ModuleType:
    """`scripts/engine` as a module."""
    return load_script("scripts/engine")


class _Ping(http.server.BaseHTTPRequestHandler):
    """Answers /_ping as an engine does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_ping" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing."""

    def address_string(self) -> str:
        return "a Unix socket"


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Path]:
    """A Unix socket on which something answers as an engine does."""
    path = tmp_path / "engine.sock"
    with socketserver.UnixStreamServer(str(path), _Ping) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def call(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout with these variables added."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def made(target: str, *variables: str) -> str:
    """The last line that `make` would run for a target."""
    done = subprocess.run(
        ["make", "-n", target, *variables],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},  # a SEED that the caller exported is no part of this
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.splitlines()[-1].split())


def test_only_variables_that_are_set_become_options() -> None:
    """`make run AGENT=gpt SEED=1` passes no option for a budget."""
    assert made("run", "AGENT=gpt", "SEED=1") == ".venv/bin/bakeoff run 'gpt' --seed '1'"
    assert made("baseline", "SAMPLER=tpe") == ".venv/bin/bakeoff baseline 'tpe'"
    shared = made("baseline", "SAMPLER=tpe", "STORAGE=postgresql://a@b/c", "STUDY=d")
    assert shared.endswith("'tpe' --storage 'postgresql://a@b/c' --study 'd'")
    shown = made("optuna-dashboard", "RUN=tpe-s1", "PORT=8082")
    assert shown == ".venv/bin/bakeoff optuna-dashboard 'tpe-s1' --port '8082'"


def test_every_condition_reaches_the_command() -> None:
    """Each variable that the README names becomes an option."""
    line = made(
        "run", "AGENT=opus", "HOURS=2", "TRAIN_HOURS=1", "TRIALS=3", "USD=4.5", "TOKENS=6",
        "TASK=text", "DATA=d", "MODEL=m", "TRIAL_SECONDS=7", "GPU=0", "REHEARSAL=1", "RECORD=1",
        "BASE_URL=http://x", "ALLOW_UNPRICED=1", "RETRY_DISTURBED=1",
        "ORPHAN_MINUTES=5", "UNSAFE=1",
    )  # fmt: skip
    assert line == (
        ".venv/bin/bakeoff run 'opus' --hours '2' --train-hours '1' --trials '3' --usd '4.5' "
        "--tokens '6' --task 'text' --data 'd' --trial-seconds '7' --gpu '0' --retry-disturbed "
        "--unsafe --model 'm' --base-url 'http://x' --rehearsal --record --allow-unpriced "
        "--orphan-minutes '5'"
    )


def test_every_option_of_a_baseline_reaches_the_command() -> None:
    """Each of them once: an option that is lost would be a run of another kind."""
    line = made(
        "baseline", "SAMPLER=tpe", "SPACE=s.toml", "PRUNER=median", "WORKERS=2", "ASK_AHEAD=0",
        "GPUS=0,1", "CPU_SETS=2", "TOTAL_USD=3", "COMPUTE_USD_PER_HOUR=1", "STUDY=d",
        "STORAGE=postgresql://a@b/c", "VERIFY=none", "K=2", "MODEL=m", "PROVIDER=openai",
        "INNER=gp", "RATIO=0.3", "FIRST=5", "AS_PUBLISHED=automl-2026", "REHEARSAL=1", "RECORD=1",
        "BASE_URL=http://x", "ALLOW_UNPRICED=1", "ORPHAN_MINUTES=5", "UNSAFE=1",
    )  # fmt: skip
    for option in (
        "--space 's.toml'", "--pruner 'median'", "--workers '2'", "--no-ask-ahead",
        "--gpus '0,1'", "--cpu-sets '2'", "--total-usd '3'", "--compute-usd-per-hour '1'",
        "--study 'd'", "--storage 'postgresql://a@b/c'", "--verify 'none'", "--verify-seeds '2'",
        "--model 'm'", "--provider 'openai'", "--inner 'gp'", "--ratio '0.3'", "--first '5'",
        "--as-published 'automl-2026'", "--rehearsal", "--record", "--base-url 'http://x'",
        "--allow-unpriced", "--orphan-minutes '5'", "--unsafe",
    ):  # fmt: skip
        assert line.count(option) == 1, (option, line)


def test_a_switch_of_zero_is_off() -> None:
    """REHEARSAL=0 does not rehearse."""
    assert "--rehearsal" not in made("run", "AGENT=gpt", "REHEARSAL=0")


def test_a_value_is_one_word_for_the_shell_whatever_it_holds() -> None:
    """A path with a blank, a quote or a command in it stays a path."""
    line = made("run", "AGENT=gpt", "DATA=it's a; touch /tmp/oops")
    assert line.endswith(r"--data 'it'\''s a; touch /tmp/oops'")


def test_an_engine_that_answers_is_left_alone(answering: Path) -> None:
    """If an engine answers, the script prints nothing and changes nothing."""
    done = call("scripts/engine", DOCKER_HOST=f"unix://{answering}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_remote_engine_is_left_to_the_command() -> None:
    """Nothing is installed here if DOCKER_HOST names a remote engine."""
    done = call("scripts/engine", DOCKER_HOST="ssh://gpu-box")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_dead_docker_host_is_an_error_with_a_hint(tmp_path: Path) -> None:
    """The script names the socket and what to do, and does not start another engine instead."""
    done = call("scripts/engine", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 1
    assert f"{tmp_path}/none.sock" in done.stderr
    assert "hint: start it, or unset DOCKER_HOST" in done.stderr


def test_pid_files_of_dead_engines_are_removed(engine_script: ModuleType, tmp_path: Path) -> None:
    """A pid file is kept only if its process is alive and is the expected program."""
    own = engine_script.running_program(os.getpid())
    cases = {
        "alive": (f"{os.getpid()}\n", own, True),
        "another": (f"{os.getpid()}\n", "dockerd", False),
        "gone": (f"{2**22 + 1}\n", own, False),
        "garbage": ("not a number", own, False),
    }
    for name, (content, program, stays) in cases.items():
        pid_file = tmp_path / name
        pid_file.write_text(content)
        engine_script.remove_if_stale(pid_file, program)
        assert pid_file.exists() == stays, name
    engine_script.remove_if_stale(tmp_path / "never-there", "dockerd")


def test_a_dead_process_whose_parent_never_looks_is_dead(engine_script: ModuleType) -> None:
    """A zombie does not count: a killed engine stays one where PID 1 is not an init."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["cat"], stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"!")
        assert process.stdout.read(1) == b"!"  # by now it is cat and no longer a copy of us
        assert engine_script.running_program(process.pid) == "cat"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert engine_script.running_program(process.pid) == ""


def test_set_up_without_a_new_enough_python_says_how_to_name_one(tmp_path: Path) -> None:
    """One error, one hint, and no half-made .venv."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = call(str(tmp_path / "scripts/setup"), PYTHON="false")
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "make setup PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_set_up_is_silent_when_nothing_has_changed() -> None:
    """Set-up prints nothing if nothing has changed, because every command calls it."""
    assert call("scripts/setup", "dev").returncode == 0
    done = call("scripts/setup", "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
