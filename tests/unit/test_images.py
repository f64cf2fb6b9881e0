"""The table of images, what makes one stale, and what this machine adds to a build."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import certifi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import runner
from runner import certificates, debian, images, ingredients
from runner.errors import HostError
from runner.layout import ROOT

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


def workshop(root: Path, **machine_args: dict[str, str]) -> images.Workshop:
    """The workshop of a checkout on a machine that adds these arguments."""
    return images.Workshop(root, images.load_table(root), machine_args)


def fingerprints(root: Path) -> tuple[str, str]:
    """The hashes of base and child, as a builder that starts now would compute them."""
    fresh = workshop(root)
    return fresh.fingerprint("base"), fresh.fingerprint("child")


def test_unchanged_inputs_have_equal_hashes(checkout: Path) -> None:
    """A copy of the same files elsewhere, with other times, is the same image."""
    copy = checkout.parent / "copy-of-checkout"
    shutil.copytree(checkout, copy, copy_function=shutil.copyfile)
    assert fingerprints(copy) == fingerprints(checkout)


def test_a_changed_file_of_the_child_leaves_its_parent_alone(checkout: Path) -> None:
    """Only what stands above a change is rebuilt."""
    base, child = fingerprints(checkout)
    (checkout / "child/program.py").write_text("new = 1\n")
    base_after, child_after = fingerprints(checkout)
    assert base_after == base
    assert child_after != child


def test_a_changed_file_of_the_parent_changes_the_child(checkout: Path) -> None:
    """A child stands on its parent: new parent, new child."""
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
    """What Python leaves behind and what the table sets aside never cause a rebuild."""
    before = fingerprints(checkout)
    (checkout / "base/__pycache__").mkdir()
    (checkout / "base/__pycache__/x.pyc").write_bytes(b"code")
    (checkout / "base/wheels/other.whl").write_bytes(b"wheel")
    assert fingerprints(checkout) == before


def test_arguments_are_part_of_the_hash(checkout: Path) -> None:
    """An argument of the table or of the machine makes another image."""
    plain = workshop(checkout).fingerprint("child")
    assert workshop(checkout, child={"CLI": "two"}).fingerprint("child") != plain
    assert workshop(checkout, base={"BASE": "other"}).fingerprint("child") != plain


def test_the_context_holds_the_inputs_and_nothing_else(checkout: Path) -> None:
    """A build sees the files of its table, unhashed ones included, always in the same bytes."""
    (checkout / "secret.env").write_text("KEY=1")
    with images.context(workshop(checkout), "base") as first:
        content = first.read()
        first.seek(0)
        with tarfile.open(fileobj=first) as tar:
            names = tar.getnames()
    with images.context(workshop(checkout), "base") as second:
        assert second.read() == content
    assert names == ["base/Dockerfile", "base/wheels/some.whl", "shared.py"]


def test_the_parents_tag_is_the_build_argument(checkout: Path) -> None:
    """BASE_IMAGE comes from the table, so that a Dockerfile's default is only a default."""
    assert workshop(checkout).args("child") == {"BASE_IMAGE": "t/base:1", "CLI": "one"}
    assert workshop(checkout).args("base") == {}


def test_an_input_that_is_not_there_is_named(checkout: Path) -> None:
    """A table that names a lost file fails with its name before anything is built."""
    shutil.rmtree(checkout / "child")
    with pytest.raises(HostError, match="child"):
        workshop(checkout).fingerprint("child")


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
    assert images.needed_for() == ["optimizer", "trainer"]
    assert images.needed_for(cli="codex") == ["agent-codex", "gateway", "trainer"]
    assert images.needed_for(cli="claude", rehearsal=True)[-1] == "rehearsal"
    known = images.load_table()
    for cli in ("claude", "codex", "gemini"):
        assert set(images.needed_for(cli=cli, rehearsal=True)) <= set(known)
    assert set(images.needed_for()) <= set(known)


# --- the project's own table ----------------------------------------------------------------------


def test_every_file_that_the_table_names_is_there() -> None:
    """Each image has its Dockerfile and inputs, and its `verify` unless it only serves tests."""
    own = images.Workshop(ROOT, images.load_table())
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
    """compose.yaml says nothing that images.toml does not say."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    own = images.Workshop(ROOT, images.load_table())
    assert sorted(services) == sorted(images.everyday())
    for name, service in services.items():
        assert service["image"] == own.table[name].tag
        assert service["build"]["context"] == "."
        assert service["build"]["dockerfile"] == own.table[name].dockerfile
        assert service["build"].get("args", {}) == own.args(name)


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


def test_the_main_archive_is_told_from_updates_and_other_vendors() -> None:
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


def test_a_wheel_of_torch_that_the_lock_does_not_know_goes(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was cut, or is of an earlier version, would fail each build after it."""
    folder = checkout / "images/torch/wheels"
    folder.mkdir(parents=True)
    (folder / "torch-cut.whl").write_bytes(b"half of a wh")
    whole = folder / "torch-whole.whl"
    whole.write_bytes(b"a wheel")
    pin = f"torch==2.13.0+cpu --hash=sha256:{hashlib.sha256(b'a wheel').hexdigest()}\n"
    (checkout / "images/torch/requirements-cpu.lock").write_text(pin)
    ingredients.fetch_torch_wheel(checkout, lambda _: None)
    assert list(folder.iterdir()) == [whole]
    whole.unlink()
    said: list[str] = []
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    ingredients.fetch_torch_wheel(checkout, said.append)
    assert said[-1] == "none; PyTorch's own index has one"


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


def test_a_named_bundle_that_is_not_there_adds_nothing(tmp_path: Path) -> None:
    """A stale SSL_CERT_FILE breaks other tools, not our builds."""
    gone = {"REQUESTS_CA_BUNDLE": str(tmp_path / "gone.pem")}
    assert certificates.extra(gone) == certificates.extra({})


@given(st.text(max_size=300))
def test_garbage_in_a_bundle_never_breaks_a_build(text: str) -> None:
    """Whatever lies in a file that calls itself a bundle, reading it raises nothing."""
    block = f"-----BEGIN CERTIFICATE-----{text}-----END CERTIFICATE-----"
    assert len(certificates.certificates_of(block)) <= 1 + text.count("BEGIN CERTIFICATE")
