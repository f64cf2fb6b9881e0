"""The locks: complete for every machine that they are for, and the only way to install anything."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner.records.layout import ROOT
from tests.time_travel import pins
from tests.unit.script import load_script

NEEDS = "    # needs "
# The machines that a lock is for (PEP 508): an image is Linux with one Python, a host may be newer.
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
MAC = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}
CPYTHON = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
PYTHONS = ("3.11.2", "3.12.0", "3.13.0", "3.14.0")
PLATFORMS = (
    {**LINUX, "platform_machine": "x86_64"},
    {**LINUX, "platform_machine": "aarch64"},
    {**MAC, "platform_machine": "arm64"},
)


@pytest.fixture(scope="module")
def lock_script() -> ModuleType:
    """`scripts/lock` as a module."""
    return load_script("scripts/lock")


def tracked(pattern: str) -> list[str]:
    """The files that git holds, relative to the root."""
    command = ["git", "ls-files", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split() if (ROOT / name).is_file()]


# The toy CLI of tests/docker has a lock of its own, which names no package.
NPM_LOCKS = sorted(lock for lock in tracked("*package-lock.json") if not lock.startswith("tests/"))
LOCKS = tracked("*.lock")


def requirements(path: Path) -> list[str]:
    """The requirements in an .in file, without the files that it includes."""
    return list(load_script("scripts/lock").asked_for(path))


def blocks(lock: str) -> Iterator[tuple[Requirement, list[Requirement]]]:
    """Each package of a lock with what it needs."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        (pin,) = pins(block)
        lines = [line for line in block.splitlines() if line.startswith(NEEDS)]
        yield pin, [Requirement(line.removeprefix(NEEDS)) for line in lines]


def machines(path: str) -> list[dict[str, str]]:
    """The environments that a lock is installed into."""
    in_image = path.startswith("images/")
    return [
        {**CPYTHON, **platform, "python_full_version": python, "python_version": python[:4]}
        for python in (PYTHONS[:1] if in_image else PYTHONS)
        for platform in (PLATFORMS[:2] if in_image else PLATFORMS)
    ]


def holes(locks: list[str], asked: list[str], machine: dict[str, str]) -> list[str]:
    """What is asked for or needed on a machine, extras included, and not in the locks.

    Args:
        locks: the texts of what is installed into one environment.
        asked: the requirements that it is made for.
        machine: the environment (PEP 508).
    """
    there = {
        canonicalize_name(pin.name): (pin, needs)
        for lock in locks
        for pin, needs in blocks(lock)
        if pin.marker is None or pin.marker.evaluate(dict(machine))
    }
    found, seen = [], set()
    queue = [Requirement(one) for one in asked] + [pin for pin, _ in there.values()]
    while queue:
        want = queue.pop()
        pin, needs = there.get(canonicalize_name(want.name), (None, []))
        if pin is None or not want.specifier.contains(version(pin), prereleases=True):
            found.append(str(want))
            continue
        if not want.extras <= pin.extras:
            found.append(f"{want} (the lock has only the extras {sorted(pin.extras)})")
        for extra in ("", *want.extras):
            if (canonicalize_name(want.name), extra) not in seen:
                seen.add((canonicalize_name(want.name), extra))
                queue += [one for one in needs if is_needed(one, machine, extra)]
    return found


def version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    return specifier.version


def is_needed(need: Requirement, machine: dict[str, str], extra: str) -> bool:
    return need.marker is None or need.marker.evaluate({**machine, "extra": extra})


def beside(path: str) -> list[str]:
    """The locks that are installed before this one into the same environment."""
    folder = Path(path).parts[0:2]
    if folder == ("images", "torch"):
        return ["images/torch/requirements.lock"] if "-cpu" in path else []
    together = {
        "images/trainer/requirements-test.lock": "images/trainer/requirements.lock",
        "images/optimizer/requirements-source.lock": "images/optimizer/requirements.lock",
        "images/optimizer/requirements.lock": "images/optimizer/requirements-source.lock",
    }
    return [together[path]] if path in together else []


def with_included(source: Path) -> list[Path]:
    """An .in file and the files that it includes, and those that they include."""
    included = re.findall(r"^-r (\S+)", source.read_text(), re.MULTILINE)
    return [source, *(each for one in included for each in with_included(source.with_name(one)))]


# --- complete -------------------------------------------------------------------------------------


def test_one_command_makes_every_lock(lock_script: ModuleType) -> None:
    """No lock is made by hand, and none is forgotten."""
    assert sorted(f"{lock.path}.lock" for lock in lock_script.LOCKS) == sorted(LOCKS)
    npm = sorted(f"{folder}/package-lock.json" for folder in lock_script.NPM_FOLDERS)
    assert npm == NPM_LOCKS


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_is_complete_on_every_machine(path: str) -> None:
    """Every requirement, and all that it needs in turn, is pinned, with its extras."""
    asked = [
        one
        for each in with_included((ROOT / path).with_suffix(".in"))
        for one in requirements(each)
    ]
    texts = [(ROOT / one).read_text() for one in (*beside(path), path)]
    for machine in machines(path):
        assert holes(texts, asked, machine) == [], machine


def test_a_hole_in_a_lock_is_seen() -> None:
    """A need that is absent, too old or without its extra is found; another system's is not."""
    one = "one==1\n    # needs two[more]>=2\n    # needs three ; sys_platform == 'win32'\n"
    machine = machines("requirements.lock")[0]
    assert holes([one], [], machine) == ["two[more]>=2"]
    assert holes([one + "two[more]==1"], [], machine) == ["two[more]>=2"]
    assert "two[more]>=2 (the lock has" in holes([one + "two==2"], [], machine)[0]
    two = "two[more]==2\n    # needs four ; extra == 'more'\n"
    assert holes([one + two], [], machine) == ['four; extra == "more"']
    assert holes([one + two + "four==1"], [], machine) == []
    assert holes([one + two + "four==1"], ["five"], machine) == ["five"]


def test_locks_of_one_environment_agree(lock_script: ModuleType) -> None:
    """A package that two of them name has one version."""

    def versions(path: str) -> set[tuple[str, str]]:
        found = pins((ROOT / f"{path}.lock").read_text())
        return {(canonicalize_name(pin.name), version(pin)) for pin in found if pin.marker is None}

    for lock in lock_script.LOCKS:
        for other in lock.beside:
            both = versions(lock.path) | versions(other)
            assert len(both) == len(dict(both)), (lock.path, other)


@pytest.mark.parametrize("path", LOCKS)
def test_every_pinned_package_has_its_hash(path: str) -> None:
    """A lock names a version and at least one hash for each package, and no address."""
    text = (ROOT / path).read_text()
    assert "://" not in text
    parts = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(parts) == len(pins(text)) > 0
    for block in parts:
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("path", NPM_LOCKS)
def test_every_npm_package_has_its_hash_and_no_address(path: str) -> None:
    """Each npm package is pinned by its content, wherever npm fetches it from."""
    lock = json.loads((ROOT / path).read_text())
    root = lock["packages"].pop("")
    assert lock["packages"]
    for name, package in lock["packages"].items():
        assert package.get("integrity", "").startswith("sha512-"), name
        assert "resolved" not in package, name
        assert "link" not in package, name
    asked = json.loads((ROOT / path).with_name("package.json").read_text())
    assert root["dependencies"] == asked["dependencies"]
    for name, wanted in {**asked["dependencies"], **asked.get("overrides", {})}.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == wanted


def test_the_peer_to_beat_has_a_lock(lock_script: ModuleType) -> None:
    """Portkey's gateway is installed from a lock too, for the benchmark."""
    assert "benchmarks/gateway/portkey" in lock_script.NPM_FOLDERS


def test_what_packages_say_that_they_need_is_what_the_lock_says() -> None:
    """The `# needs` lines equal those of the releases that are installed here."""
    for pin, needs in blocks((ROOT / "requirements-dev.lock").read_text()):
        try:
            there = importlib.metadata.distribution(pin.name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another system or Python
        if there.version == version(pin):
            own = {str(Requirement(one)) for one in there.requires or ()}
            assert {str(need) for need in needs} <= own, pin
            plain = {one for one in own if "extra ==" not in one}
            assert plain <= {str(need) for need in needs}, pin


# --- the only way ---------------------------------------------------------------------------------


def test_nothing_installs_python_packages_but_by_the_lock() -> None:
    """Only two programs call `pip install`: one for locks, one for the project itself."""
    allowed = {"scripts/install-locked", "scripts/make_venv.py"}
    folders = ("scripts/*", "images/*", "benchmarks/*.py", "runner/*.py", ".ci/*", "Makefile")
    call = re.compile(r"""\bpip3?\b[^\n#`]*?[ "'](install|sync)\b|\buv (sync|pip install)\b""")
    calling = {
        name
        for folder in folders
        for name in tracked(folder)
        if not name.endswith((".lock", ".json")) and call.search((ROOT / name).read_text())
    }
    assert calling == allowed


@pytest.mark.parametrize("option", ["--no-deps", "--only-binary :all:", "--require-hashes"])
def test_an_install_from_a_lock_resolves_nothing(option: str) -> None:
    """No dependency is resolved, nothing is built, and every file has a known hash."""
    installs = [
        line
        for line in (ROOT / "scripts/install-locked").read_text().splitlines()
        if "pip install" in line
    ]
    assert installs
    assert all(option in line for line in installs)


def test_npm_installs_by_the_lock_alone() -> None:
    """Images use `npm ci`, which fails if package.json and the lock differ, and writes no lock."""
    for name in [*tracked("images/*"), *tracked("benchmarks/*")]:
        text = (ROOT / name).read_text(errors="replace")
        assert not re.search(r"npm(-cli\.js)? (install|i|update|exec)\b|\bnpx\b", text), name
    assert "npm-cli.js ci " in (ROOT / "images/agent/Dockerfile").read_text()


# --- what is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted", ["requirements.in", "requirements-analysis.in", "requirements-dev.in"]
)
def test_every_wanted_package_is_pinned(wanted: str) -> None:
    """Everything that an .in file names is in the lock beside it."""
    locked = {
        canonicalize_name(pin.name)
        for pin in pins((ROOT / wanted).with_suffix(".lock").read_text())
    }
    assert set(requirements(ROOT / wanted)) <= locked


def test_the_package_asks_for_what_the_lock_pins() -> None:
    """The names in pyproject.toml and in requirements.in are the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = set(requirements(ROOT / "requirements.in")) - {"setuptools"}  # builds the package
    assert set(project["dependencies"]) == named
    analysis = set(requirements(ROOT / "requirements-analysis.in"))
    assert set(project["optional-dependencies"]["analysis"]) == analysis


def test_the_hosts_own_set_up_stays_light() -> None:
    """The host has neither torch nor Optuna nor a provider's SDK; images have them."""
    locked = {canonicalize_name(pin.name) for pin in pins((ROOT / "requirements.lock").read_text())}
    assert locked.isdisjoint({"torch", "optuna", "anthropic", "openai", "google-genai"})
