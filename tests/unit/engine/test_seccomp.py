"""The profile of system calls beside the engine's default, from which it is derived."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from typing import Any

from runner.engine import seccomp

DEBIANS_COPY = "e5e91f884647e7332b3f89280777752f563df4f1372a186f14ddb7bf2f55cf61"  # SHA-256


def allowed(profile: dict[str, Any]) -> dict[str, list[list[dict[str, Any]]]]:
    """Call → the conditions on its arguments under which a process without capabilities may it."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for rule in profile["syscalls"]:
        if rule["action"] == seccomp.ALLOW and "caps" not in rule.get("includes", {}):
            for name in rule["names"]:
                found.setdefault(name, []).append(rule["args"] or [])
    return found


def test_the_default_is_the_engines_own() -> None:
    """The file is unchanged, as NOTICE says."""
    content = resources.files("runner.engine").joinpath("seccomp_default.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == DEBIANS_COPY


def test_it_takes_out_what_it_says_and_nothing_else() -> None:
    """Nothing is allowed that the default refuses; what differs is in the two tables."""
    default, ours = allowed(seccomp.default()), allowed(seccomp.profile())
    taken_out = (*seccomp.REFUSED.values(), *seccomp.UNSUPPORTED.values())
    refused = {name for names in taken_out for name in names}
    assert set(default) - set(ours) == refused
    assert set(ours) <= set(default)
    assert {name for name in ours if ours[name] != default[name]} == set(seccomp.NARROWED)
    assert all(default[name] == [[]] for name in seccomp.NARROWED)  # allowed without a condition


def test_a_narrowed_call_has_a_condition_in_each_rule() -> None:
    """A rule without one would allow everything."""
    ours = allowed(seccomp.profile())
    for name, alternatives in seccomp.NARROWED.items():
        assert len(ours[name]) == len(alternatives)
        assert all(conditions for conditions in ours[name])


def test_families_of_sockets_are_four() -> None:
    """Each rule names its family, so that none is allowed by the rest."""
    families = {rule[0]["value"] for rule in allowed(seccomp.profile())["socket"]}
    assert families == {seccomp.UNIX, seccomp.INET, seccomp.INET6, seccomp.NETLINK}


def test_only_native_calls_are_known() -> None:
    """No architecture has a second set of calls, by which a filter could be passed."""
    profile = seccomp.profile()
    assert [one["subArchitectures"] for one in profile["archMap"]] == [[], []]
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"


def test_its_text_is_one_line() -> None:
    """It is sent to the engine with each container, and shown by `docker inspect`."""
    assert json.loads(seccomp.text()) == seccomp.profile()
    assert "\n" not in seccomp.text()
    assert len(seccomp.text()) < 10_000
