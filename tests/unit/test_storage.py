"""The address of a shared study: what is read, what is refused, and that no secret gets further."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import options
from runner.errors import UserError
from runner.options import RunOptions
from runner.spec import Budget, RunSpec
from runner.storage import Storage, check_study, read_storage

URL = "postgresql://bakeoff@192.0.2.1/studies"
BUDGET = Budget(trials=3)
SECRET = "a-secret-of-the-database"


def test_an_address_is_read() -> None:
    """The port and sslmode have their usual values; parts may be escaped; IPv6 is known."""
    assert read_storage(URL) == Storage("192.0.2.1", 5432, "bakeoff", "studies", "prefer")
    full = "postgres://a%40b@[2001:db8::1]:6432/my%20studies?sslmode=verify-full"
    assert read_storage(full) == Storage("2001:db8::1", 6432, "a@b", "my studies", "verify-full")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://bakeoff@192.0.2.1/studies", "is not the address of a PostgreSQL database"),
        ("sqlite:///study.db", "is not the address of a PostgreSQL database"),
        ("postgresql://192.0.2.1/studies", "lacks a user, a host or a database"),
        ("postgresql://bakeoff@/studies", "lacks a user, a host or a database"),
        ("postgresql://bakeoff@192.0.2.1", "lacks a user, a host or a database"),
        ("postgresql://bakeoff@192.0.2.1/a/b", "lacks a user, a host or a database"),
        ("postgresql://bakeoff@192.0.2.1:port/studies", "it is not the address of a database"),
        ("postgresql://bakeoff@192.0.2.1:70000/studies", "it is not the address of a database"),
        (f"{URL}?host=192.0.2.9", "'host' cannot be set in its query"),
        (f"{URL}?sslmode=verify-ca", "sslmode=verify-ca is not offered"),
        (f"{URL}?sslmode=", "sslmode= is not offered"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(url: str, says: str) -> None:
    """Nothing of an address is passed over in silence."""
    with pytest.raises(UserError, match="setting STORAGE") as caught:
        read_storage(url)
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://bakeoff:{SECRET}@192.0.2.1/studies",
        f"{URL}?password={SECRET}",
        f"mysql://bakeoff:{SECRET}@192.0.2.1/studies",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    """The list of processes would show it; the hint says where it goes."""
    with pytest.raises(UserError, match="it holds a password") as caught:
        read_storage(url)
    assert SECRET not in caught.value.message + caught.value.hint
    assert "STORAGE_PASSWORD" in caught.value.hint


def test_the_password_is_in_no_record(tmp_path: Path) -> None:
    """It comes from the environment, again for a resumed run, and no text of the spec has it."""
    env = {"STORAGE_PASSWORD": SECRET}
    asked = RunOptions(seed=181, storage=URL, study="night-3")
    spec = options.baseline_run("tpe", asked, BUDGET, env)
    assert spec.storage_password is not None
    assert spec.storage_password.get_secret_value() == SECRET
    stored = spec.model_dump_json()
    assert SECRET not in stored + repr(spec)
    again = options.with_key(RunSpec.model_validate_json(stored), env)
    assert again == spec
    assert (again.storage, again.study) == (URL, "night-3")
    assert again.storage_password == spec.storage_password


def test_a_study_is_called_after_its_run_if_nothing_else_is_asked() -> None:
    """A run without STORAGE has neither, and a spec of an earlier version is still read."""
    named = options.baseline_run("tpe", RunOptions(seed=182, storage=URL), BUDGET, {})
    assert named.study == "tpe-s182"
    own = options.baseline_run("tpe", RunOptions(seed=182), BUDGET)
    assert (own.storage, own.study, own.storage_password) == (None, None, None)
    assert options.with_key(own, {"STORAGE_PASSWORD": SECRET}) == own


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "x" * 101])
def test_a_name_that_no_study_can_have_is_refused(name: str) -> None:
    """Names are plain, so that every tool can be given them."""
    with pytest.raises(UserError, match="is no name of a study"):
        check_study(name)


def test_a_study_to_share_needs_a_database() -> None:
    """STUDY alone would be ignored, so it is an error."""
    with pytest.raises(UserError, match="there is no database to share it in"):
        options.baseline_run("tpe", RunOptions(study="night-3"), BUDGET, {})
