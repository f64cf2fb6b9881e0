"""The table of images, what makes one stale, and what this machine adds to a build."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import runner
from runner import options
from runner.agents import agent_names
from runner.build import agent_images, certificates, debian, images, machine
from runner.errors import HostError
from runner.records.layout import ROOT
from runner.run.context import image_names
from runner.spec import Budget

TABLE = """
[base]
tag = "t/base:1"
dockerfile = "base/Dockerfile"
inputs = ["base", "shared.py"]
unhashed = ["base/wheels"]

[child]
tag = "t/child:1"
dockerfile = "child/Dockerfile"
parent = "base"
inputs = ["child"]
args = { CLI = "one" }
"""
TABLE_OF_CLIS = """
["agent-{cli}"]
tag = "t/agent-{cli}:{version}"
dockerfile = "images/agent/Dockerfile"
parent = "base"
inputs = ["images/agent/{cli}"]
args = { CLI = "{cli}" }
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of two small images, one upon the other."""
    for folder in ("images", "base/wheels", "child"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "images/images.toml").write_text(TABLE)
    (tmp_path / "shared.py").write_text("shared = 1\n")
    (tmp_path / "base/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "base/wheels/some.whl").write_bytes(b"wheel")
    (tmp_path / "child/Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
    return tmp_path


def build_context(root: Path, **machine_args: dict[str, str]) -> images.BuildContext:
    """The build context of a checkout on a machine that adds these arguments."""
    return images.BuildContext(root, images.load_table(root), machine_args)


def fingerprints(root: Path) -> tuple[str, str]:
    """The hashes of base and child, as a builder that starts now would compute them."""
    fresh = build_context(root)
    return fresh.fingerprint("base"), fresh.fingerprint("child")


def test_unchanged_inputs_have_equal_hashes(checkout: Path) -> None:
    """A copy of the same files elsewhere, with other times, is the same image."""
    copy = checkout.parent / "copy-of-checkout"
    shutil.copytree(checkout, copy, copy_function=shutil.copyfile)
    assert fingerprints(copy) == fingerprints(checkout)


def test_a_changed_file_of_the_child_leaves_its_parent_alone(checkout: Path) -> None:
    """Only what is built on a change is rebuilt."""
    base, child = fingerprints(checkout)
    (checkout / "child/program.py").write_text("new = 1\n")
    base_after, child_after = fingerprints(checkout)
    assert base_after == base
    assert child_after != child


def test_a_changed_file_of_the_parent_changes_the_child(checkout: Path) -> None:
    """A child is built on its parent, so a new parent needs a new child."""
    base, child = fingerprints(checkout)
    (checkout / "shared.py").write_text("shared = 2\n")
    base_after, child_after = fingerprints(checkout)
    assert base_after != base
    assert child_after != child


def test_a_file_made_executable_is_a_change(checkout: Path) -> None:
    """Modes travel into the image, so they count."""
    base, _ = fingerprints(checkout)
    (checkout / "shared.py").chmod(0o755)
    assert fingerprints(checkout)[0] != base


def test_bytecode_and_unhashed_files_are_no_change(checkout: Path) -> None:
    """What Python leaves behind and what the table does not hash never cause a rebuild."""
    before = fingerprints(checkout)
    (checkout / "base/__pycache__").mkdir()
    (checkout / "base/__pycache__/x.pyc").write_bytes(b"code")
    (checkout / "base/wheels/other.whl").write_bytes(b"wheel")
    assert fingerprints(checkout) == before


def test_arguments_are_part_of_the_hash(checkout: Path) -> None:
    """An argument of the table or of the machine makes another image."""
    plain = build_context(checkout).fingerprint("child")
    assert build_context(checkout, child={"CLI": "two"}).fingerprint("child") != plain
    assert build_context(checkout, base={"BASE": "other"}).fingerprint("child") != plain


def test_the_context_holds_the_inputs_and_nothing_else(checkout: Path) -> None:
    """A build sees the files of its table, unhashed ones included, always in the same bytes."""
    (checkout / "secret.env").write_text("KEY=1")
    with images.build_archive(build_context(checkout), "base") as first:
        content = first.read()
        first.seek(0)
        with tarfile.open(fileobj=first) as tar:
            names = tar.getnames()
    with images.build_archive(build_context(checkout), "base") as second:
        assert second.read() == content
    assert names == ["base/Dockerfile", "base/wheels/some.whl", "shared.py"]


def test_the_parents_tag_is_the_build_argument(checkout: Path) -> None:
    """BASE_IMAGE comes from the table, so that a Dockerfile's default is only a default."""
    assert build_context(checkout).args("child") == {"BASE_IMAGE": "t/base:1", "CLI": "one"}
    assert build_context(checkout).args("base") == {}


def test_a_missing_input_is_named(checkout: Path) -> None:
    """A table that names a missing file is refused with its name before anything is built."""
    shutil.rmtree(checkout / "child")
    with pytest.raises(HostError, match="child"):
        build_context(checkout).fingerprint("child")


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (TABLE.replace('parent = "base"', 'parent = "bass"'), "bass"),
        (TABLE.replace('parent = "base"', 'parrent = "base"'), "parrent"),
        (TABLE + "\n[base]\n", "base"),
    ],
)
def test_a_broken_table_is_one_clear_error(checkout: Path, broken: str, named: str) -> None:
    """An unknown parent, an unknown field and a table given twice are each refused by name."""
    (checkout / "images/images.toml").write_text(broken)
    with pytest.raises(HostError, match=named):
        images.load_table(checkout)


def test_runs_need_what_they_use_and_no_more() -> None:
    """A baseline needs no CLI, an agent no optimiser, and only a rehearsal its scripted model."""
    baseline = options.baseline_run("tpe", options.RunOptions(), Budget(trials=1))
    assert sorted(image_names(baseline)) == ["data", "optimizer", "trainer"]
    shared = baseline.model_copy(update={"storage": "postgresql://user@192.0.2.1/studies"})
    assert sorted(image_names(shared)) == ["data", "optimizer", "relay", "trainer"]
    agent = baseline.model_copy(update={"kind": "agent", "contestant": "gpt"})
    assert sorted(image_names(agent)) == ["agent-codex", "data", "gateway", "trainer"]
    rehearsed = [
        agent.model_copy(update={"contestant": name, "rehearsed": True}) for name in agent_names()
    ]
    assert all(image_names(one)[-1] == "rehearsal" for one in rehearsed)
    known = images.load_table()
    for spec in (baseline, shared, agent, *rehearsed):
        assert set(image_names(spec)) <= set(known)


def test_a_tag_is_found_by_the_images_name(checkout: Path) -> None:
    """It is the one of the table."""
    assert images.image_tag("child", checkout) == "t/child:1"


# --- the project's own table ----------------------------------------------------------------------


def test_every_file_that_the_table_names_exists() -> None:
    """Each image has its Dockerfile and inputs, and its `verify` unless it only serves tests."""
    own = images.BuildContext(ROOT, images.load_table())
    for name, spec in own.table.items():
        files = own.files(name)
        assert spec.dockerfile in files
        assert spec.for_tests or f"{Path(spec.dockerfile).parent}/verify" in files


def test_tags_carry_the_projects_version_but_for_the_agents() -> None:
    """An agent's tag is its CLI's version, as pinned in its package.json; all others are ours."""
    for name, spec in images.load_table().items():
        repository, _, tag = spec.tag.partition(":")
        assert repository == f"bakeoff/{name}"
        assert tag == (pinned_cli(spec.args["CLI"]) if "CLI" in spec.args else runner.__version__)


def pinned_cli(cli: str) -> str:
    """The version of the one package that an agent image installs with npm."""
    package = json.loads((ROOT / f"images/agent/{cli}/package.json").read_text())
    (version,) = package["dependencies"].values()
    return str(version)


def test_compose_builds_the_same_images_from_the_same_arguments() -> None:
    """compose.yaml says nothing that images.toml does not say; one service is for all CLIs."""
    text = (ROOT / "compose.yaml").read_text()
    own = images.BuildContext(ROOT, images.load_table())
    everyday = set(images.everyday())
    agents = {name for name in everyday if "CLI" in own.table[name].args}
    services = set(yaml.safe_load(text)["services"])
    assert services == everyday - agents | {"agent", "postgres"}  # the last is not ours
    for name in everyday:
        service = compose_service(text, own.table[name].args.get("CLI"), name)
        assert service["image"] == own.table[name].tag
        assert service["build"]["context"] == "."
        assert service["build"]["dockerfile"] == own.table[name].dockerfile
        assert service["build"].get("args", {}) == own.args(name)


def compose_service(text: str, cli: str | None, name: str) -> Any:
    """A service of compose.yaml; that of a CLI is `agent` with its variables filled in."""
    if cli is None:
        return yaml.safe_load(text)["services"][name]
    variables = {"CLI": cli, "VERSION": pinned_cli(cli)}
    filled = re.sub(r"\$\{(\w+):-\w*\}", lambda found: variables[found[1]], text)
    return yaml.safe_load(filled)["services"]["agent"]


def test_an_agents_image_depends_on_its_own_folder_alone() -> None:
    """A new CLI, or a change of one, rebuilds no image of another one."""
    own = images.BuildContext(ROOT, images.load_table())
    for cli in agent_images.cli_names(ROOT):
        files = own.files(f"agent-{cli}")
        assert f"images/agent/{cli}/cli.toml" in files
        folders = {path.split("/")[2] for path in files if path.count("/") > 2 and "agent/" in path}
        assert folders == {cli}


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ('{"dependencies": {"one": "1.2.3"}}', "1.2.3"),
        ('{"version": "0.1.0"}', "0.1.0"),
        ('{"dependencies": {}, "version": "0.1.0"}', "0.1.0"),
    ],
)
def test_a_table_for_each_cli_has_its_version(checkout: Path, package: str, version: str) -> None:
    """That of its one package, or of its own where it needs none."""
    folder = checkout / "images/agent/toy"
    folder.mkdir(parents=True)
    (folder / "cli.toml").write_text("")
    (folder / "package.json").write_text(package)
    (checkout / "images/images.toml").write_text(TABLE + TABLE_OF_CLIS)
    table = images.load_table(checkout)
    assert list(table) == ["base", "child", "agent-toy"]
    assert table["agent-toy"].tag == f"t/agent-toy:{version}"
    assert table["agent-toy"].args == {"CLI": "toy"}
    assert table["agent-toy"].inputs == ("images/agent/toy",)


@pytest.mark.parametrize("package", ["{", "[]", "{}", '{"dependencies": {"a": "1", "b": "2"}}'])
def test_a_cli_without_one_version_is_an_error(checkout: Path, package: str) -> None:
    """The file is named, before anything is built."""
    folder = checkout / "images/agent/toy"
    folder.mkdir(parents=True)
    (folder / "cli.toml").write_text("")
    (folder / "package.json").write_text(package)
    (checkout / "images/images.toml").write_text(TABLE + TABLE_OF_CLIS)
    with pytest.raises(HostError, match=r"toy/package\.json"):
        images.load_table(checkout)


def test_dockerfiles_name_their_parent_by_the_table() -> None:
    """The default of BASE_IMAGE is the parent's tag, so that a build by hand works too."""
    table = images.load_table()
    for spec in table.values():
        if spec.parent:
            text = (ROOT / spec.dockerfile).read_text()
            assert f"ARG BASE_IMAGE={table[spec.parent].tag}\n" in text


@pytest.mark.parametrize("forbidden", ["RUN --mount", "# syntax=", "<<"])
def test_dockerfiles_build_with_the_legacy_builder(forbidden: str) -> None:
    """Nothing in them needs BuildKit."""
    for spec in images.load_table().values():
        assert forbidden not in (ROOT / spec.dockerfile).read_text()


# --- what the machine adds ------------------------------------------------------------------------


def test_the_main_archive_is_chosen_among_updates_and_other_vendors() -> None:
    """Only the release's own archive will do for debootstrap."""
    lines = [
        "http://vendor.example/apt stable-tools main",
        "http://mirror.example/debian-security/ bookworm-security main",
        "copy:///media/cdrom bookworm main",
        "http://mirror.example/debian/ bookworm-updates main",
        "http://mirror.example/debian/ bookworm contrib",
        "http://mirror.example/debian/ bookworm main",
    ]
    assert debian.main_mirror(lines, "bookworm") == "http://mirror.example/debian/"
    assert debian.main_mirror(lines[:-1], "bookworm") == ""


def test_a_wheel_of_torch_that_is_not_in_the_lock_is_removed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is cut short, or of an earlier version, would make every later build fail."""
    folder = checkout / "images/torch/wheels"
    folder.mkdir(parents=True)
    (folder / "torch-cut.whl").write_bytes(b"half of a wh")
    whole = folder / "torch-whole.whl"
    whole.write_bytes(b"a wheel")
    pin = f"torch==2.13.0+cpu --hash=sha256:{hashlib.sha256(b'a wheel').hexdigest()}\n"
    (checkout / "images/torch/requirements-cpu.lock").write_text(pin)
    machine.fetch_torch_wheel(checkout, lambda _: None)
    assert list(folder.iterdir()) == [whole]
    whole.unlink()
    said: list[str] = []
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    machine.fetch_torch_wheel(checkout, said.append)
    assert said[-1] == "found none; PyTorch's own index has one"


def pem(der: bytes) -> str:
    """A PEM block around these bytes; the builder never looks inside a certificate."""
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


def test_only_certificates_beyond_the_public_ones_are_extra(tmp_path: Path) -> None:
    """A bundle that holds the world's CAs and one of a company's adds that one."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(Path(certifi.where()).read_text() + pem(b"company"))
    without = certificates.extra({})
    added = certificates.extra({"SSL_CERT_FILE": str(bundle)})
    assert added - without == {b"company"}


def test_a_missing_bundle_adds_nothing(tmp_path: Path) -> None:
    """A stale SSL_CERT_FILE breaks other tools, not our builds."""
    gone = {"REQUESTS_CA_BUNDLE": str(tmp_path / "gone.pem")}
    assert certificates.extra(gone) == certificates.extra({})


@given(st.text(max_size=300))
def test_garbage_in_a_bundle_never_breaks_a_build(text: str) -> None:
    """Whatever lies in a file that calls itself a bundle, reading it raises nothing."""
    block = f"-----BEGIN CERTIFICATE-----{text}-----END CERTIFICATE-----"
    assert len(certificates.certificates_of(block)) <= 1 + text.count("BEGIN CERTIFICATE")
