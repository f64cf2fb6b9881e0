"""`scripts/setup` on other people's machines: what it installs is the lock, whatever else is so."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup.small_checkout import LIMIT_SECONDS, SmallCheckout

BAKEOFF = {"bakeoff": "0"}
IT_RUNS = "it runs\n"


@pytest.fixture
def checkout(tmp_path: Path) -> SmallCheckout:
    """A small checkout in a folder with a blank and an umlaut in its name; it pins one package."""
    made = SmallCheckout.make(tmp_path / "a chëckout")
    made.pin("requirements.lock", [made.publish("stub-one", "1.0")])
    return made


@pytest.fixture
def slow_index() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """An index's address, an event set when it is asked, and one that lets it answer (404)."""
    asked, answer = threading.Event(), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            answer.wait(LIMIT_SECONDS)
            with contextlib.suppress(OSError):  # who asked may be gone
                self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple/", asked, answer
        answer.set()
        server.shutdown()
        thread.join()


def test_it_installs_the_lock_and_the_command(checkout: SmallCheckout) -> None:
    """The second set-up has nothing to do and prints nothing."""
    code, said = checkout.set_up("run")
    assert code == 0, said
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}
    assert checkout.command() == IT_RUNS
    assert checkout.set_up("run") == (0, "")


def test_a_later_release_changes_nothing(checkout: SmallCheckout) -> None:
    """A package that needs another's extra takes the locked release of it, with the extra's needs.

    This is what broke both commands of the README: pip before 23.3 looks for `package[extra]`
    itself, whatever version of `package` the lock pins.
    """
    lines = [
        checkout.publish("stub-user", "1.0", ["stub-used[more]>=1.0"]),
        checkout.publish("stub-used", "1.0", ["stub-extra; extra == 'more'"]),
        checkout.publish("stub-extra", "1.0"),
    ]
    checkout.pin("requirements.lock", lines)
    for name in ("stub-user", "stub-used", "stub-extra"):
        checkout.publish(name, "2.0")
    code, said = checkout.set_up("run")
    assert code == 0, said
    locked = {"stub-user": "1.0", "stub-used": "1.0", "stub-extra": "1.0"}
    assert checkout.installed() == {**locked, **BAKEOFF}


def test_a_lock_that_lacks_something_is_an_error(checkout: SmallCheckout) -> None:
    """A package that the lock lacks is reported, and not fetched."""
    checkout.pin("requirements.lock", [checkout.publish("stub-user", "1.0", ["stub-lost"])])
    checkout.publish("stub-lost", "1.0")
    code, said = checkout.set_up("run")
    assert code != 0
    assert "stub-lost" in said
    assert "hint: " in said
    assert checkout.set_up("run")[0] != 0  # and it is not taken for done


def test_what_a_user_exports_changes_nothing(checkout: SmallCheckout, tmp_path: Path) -> None:
    """No target, prefix, PIP_USER, CDPATH, variable of Python, full TMPDIR or locale matters."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "scripts").mkdir(parents=True)
    (elsewhere / "sitecustomize.py").write_text("raise SystemExit('PYTHONPATH was heeded')\n")
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        f"[install]\nuser = true\nprefix = {elsewhere}/prefix\n[global]\nno-deps = false\n"
    )
    full = tmp_path / "full"
    full.mkdir()
    os.utime(full, (0, 0))
    exported = {
        "PIP_CONFIG_FILE": str(configuration),
        "PIP_TARGET": f"{elsewhere}/target",
        "PIP_USER": "1",
        "PIP_REQUIRE_HASHES": "0",
        "PIP_CONSTRAINT": f"{elsewhere}/no-such-file",
        "PIP_DRY_RUN": "1",
        "CDPATH": str(elsewhere),
        "PYTHONPATH": str(elsewhere),
        "PYTHONHOME": str(elsewhere),
        "PYTHONUSERBASE": f"{elsewhere}/user",
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONOPTIMIZE": "2",
        "VIRTUAL_ENV": str(elsewhere),
        "TMPDIR": str(full),
        "LC_ALL": "en_US.ISO-8859-1",
        "LANG": "xx_XX",
        "PYTHONIOENCODING": "latin-1:strict",
    }
    code, said = checkout.set_up("run", **exported)
    assert code == 0, said
    assert full.stat().st_mtime == 0, "a file was made in TMPDIR, which may be full"
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}
    assert checkout.command() == IT_RUNS
    assert sorted(path.name for path in elsewhere.iterdir()) == ["scripts", "sitecustomize.py"]


def test_where_packages_come_from_stays_the_users(checkout: SmallCheckout, tmp_path: Path) -> None:
    """An index or a folder of wheels in the user's own pip.conf is used."""
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        f"[global]\nno-index = true\n[install]\nfind-links =\n    {tmp_path}/none\n"
        f"    {checkout.wheels}\n"
    )
    code, said = checkout.set_up(
        "run", PIP_CONFIG_FILE=str(configuration), PIP_FIND_LINKS="", PIP_NO_INDEX="", PIP_QUIET="1"
    )
    assert code == 0, said
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}


def test_two_at_once_make_one(checkout: SmallCheckout) -> None:
    """The second waits for the first, finds everything done, and both succeed."""
    both = [checkout.start("run") for _ in range(2)]
    said = [process.communicate(timeout=LIMIT_SECONDS)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}
    assert sum("installing" in one for one in said) == 1, said


def test_nothing_is_installed_into_the_machines_own_python(checkout: SmallCheckout) -> None:
    """A .venv that lost its pyvenv.cfg has the machine's Python in it; it is made anew."""
    assert checkout.set_up("run")[0] == 0
    (checkout.root / ".venv/pyvenv.cfg").unlink()
    checkout.pin("requirements.lock", [checkout.publish("stub-one", "2.0")])
    code, said = checkout.set_up("run")
    program = (
        "import importlib.metadata as m; print([d.metadata['Name'] for d in m.distributions()])"
    )
    own = subprocess.run(
        [Path(sys.base_prefix) / "bin/python3", "-c", program],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "stub-one" not in own
    assert code == 0, said
    assert checkout.installed() == {"stub-one": "2.0", **BAKEOFF}


@pytest.mark.parametrize("damage", ["pyvenv.cfg", "lib"])
def test_a_broken_environment_is_not_taken_for_done(checkout: SmallCheckout, damage: str) -> None:
    """A broken one is made again although no lock changed; upgrading Python leaves such ones."""
    assert checkout.set_up("run")[0] == 0
    (checkout.root / ".venv" / damage).rename(checkout.root / "aside")
    code, said = checkout.set_up("run")
    assert code == 0, said
    assert checkout.command() == IT_RUNS


def test_a_killed_set_up_keeps_the_next_one_waiting(
    checkout: SmallCheckout, slow_index: tuple[str, threading.Event, threading.Event]
) -> None:
    """The next set-up waits until the pip that a killed one left behind has ended."""
    address, asked, answer = slow_index
    where = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": address}
    with checkout.start("run", **where) as first:
        assert asked.wait(LIMIT_SECONDS)
        first.kill()
    with checkout.start("run", **where) as second:
        assert second.stdout is not None
        assert "waiting for another set-up" in second.stdout.readline()
        answer.set()
        said, _ = second.communicate(timeout=LIMIT_SECONDS)
    assert second.returncode == 0, said
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}
    assert checkout.command() == IT_RUNS
    assert not (checkout.root / ".venv.tmp").exists()


def test_an_update_keeps_what_is_right_and_drops_the_rest(checkout: SmallCheckout) -> None:
    """After it, .venv holds the packages of the new lock and none of the old one's."""
    stays, changes = checkout.publish("stub-stays", "1.0"), checkout.publish("stub-changes", "1.0")
    goes = checkout.publish("stub-goes", "1.0", ["stub-changes<2"])  # it conflicts with what comes
    checkout.pin("requirements.lock", [stays, changes, goes])
    assert checkout.set_up("run")[0] == 0
    kept = next((checkout.root / ".venv").glob("lib/*/site-packages/stub_stays-1.0.dist-info"))
    before = kept.stat().st_ino
    checkout.pin("requirements.lock", [stays, checkout.publish("stub-changes", "2.0")])
    code, said = checkout.set_up("run")
    assert code == 0, said
    assert checkout.installed() == {"stub-stays": "1.0", "stub-changes": "2.0", **BAKEOFF}
    assert kept.stat().st_ino == before


def test_a_developers_venv_stays_one(checkout: SmallCheckout) -> None:
    """`make run` after `make test` removes no package of the tests, even if the locks changed."""
    one, two = checkout.publish("stub-one", "1.0"), checkout.publish("stub-tests", "1.0")
    checkout.pin("requirements-dev.lock", [one, two])
    assert checkout.set_up("dev")[0] == 0
    assert checkout.set_up("run") == (0, "")
    newer = checkout.publish("stub-one", "1.1")
    checkout.pin("requirements.lock", [newer])
    checkout.pin("requirements-dev.lock", [newer, two])
    assert checkout.set_up("run")[0] == 0
    assert checkout.installed() == {"stub-one": "1.1", "stub-tests": "1.0", **BAKEOFF}


def test_the_analysis_adds_to_what_runs_need(checkout: SmallCheckout) -> None:
    """`make analyse` adds its packages, `make run` keeps them, and a developer's venv will do."""
    one, tables = checkout.publish("stub-one", "1.0"), checkout.publish("stub-tables", "1.0")
    checkout.pin("requirements-analysis.lock", [one, tables])
    checkout.pin("requirements-dev.lock", [one, tables])
    assert checkout.set_up("run")[0] == 0
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}
    for kind in ("analysis", "run", "dev", "analysis"):
        code, said = checkout.set_up(kind)
        assert code == 0, said
        assert checkout.installed() == {"stub-one": "1.0", "stub-tables": "1.0", **BAKEOFF}
    assert checkout.set_up("analysis") == (0, "")


def test_a_set_up_that_fails_says_so_and_is_done_again(checkout: SmallCheckout) -> None:
    """A missing wheel is an error with a hint; once it is there, set-up succeeds."""
    (wheel,) = checkout.wheels.iterdir()
    aside = wheel.rename(checkout.root / wheel.name)
    code, said = checkout.set_up("run")
    assert code != 0
    assert "stub-one" in said
    assert "hint: " in said
    aside.rename(wheel)
    assert checkout.set_up("run")[0] == 0
    assert checkout.installed() == {"stub-one": "1.0", **BAKEOFF}


def test_a_moved_checkout_is_set_up_anew(checkout: SmallCheckout, tmp_path: Path) -> None:
    """In a copied checkout, the scripts of the venv name the new folder and not the old one."""
    assert checkout.set_up("run")[0] == 0
    copy = SmallCheckout(tmp_path / "another place", checkout.wheels)
    shutil.copytree(checkout.root, copy.root, symlinks=True)
    shutil.rmtree(checkout.root)
    code, said = copy.set_up("run")
    assert code == 0, said
    assert copy.command() == IT_RUNS


def test_a_file_in_the_place_of_the_venv_is_an_error_with_a_hint(checkout: SmallCheckout) -> None:
    """No traceback, and the file is still there."""
    (checkout.root / ".venv").write_text("precious")
    code, said = checkout.set_up("run")
    assert code != 0
    assert "error: setting up" in said
    assert "hint: " in said
    assert "Traceback" not in said
    assert (checkout.root / ".venv").read_text() == "precious"


def test_a_link_in_the_place_of_the_venv_is_refused(
    checkout: SmallCheckout, tmp_path: Path
) -> None:
    """Nothing in the folder that a link leads to is removed or changed."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("keep")
    (checkout.root / ".venv").symlink_to(other)
    code, said = checkout.set_up("run")
    assert code != 0
    assert "hint: " in said
    assert [path.name for path in other.iterdir()] == ["precious"]
