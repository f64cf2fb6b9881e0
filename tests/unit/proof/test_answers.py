"""What the program of probes printed, read on the host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.proof.answers import DETAIL_CHARS, read

EXPECTED = [("network", "routes"), ("sockets", "AF_VSOCK")]
SAID = {
    "attack": "network", "probe": "routes", "succeeded": False, "twin": True,
    "detail": "EPERM", "seconds": 0.25,
}  # fmt: skip


def line(**changed: Any) -> str:
    """A line of the program, as it is but for some fields."""
    return json.dumps({**SAID, **changed})


@pytest.mark.parametrize(
    ("succeeded", "twin", "outcome"),
    [
        (False, True, "held"),
        (False, False, "unproven"),
        (True, True, "broken"),
        (True, False, "broken"),
        (None, True, "unproven"),
        (None, False, "unproven"),
    ],
)
def test_a_failure_counts_only_beside_a_twin_that_worked(
    succeeded: bool | None, twin: bool, outcome: str
) -> None:
    """A success counts in any case, and what says nothing proves nothing."""
    found = read("trial", EXPECTED[:1], [line(succeeded=succeeded, twin=twin)]).findings
    assert [one.outcome for one in found] == [outcome]


def test_each_probe_has_one_finding_in_its_place() -> None:
    """The order is that of the list, whatever order the lines have; one that is missing is told."""
    found = read("trial", EXPECTED, ["not JSON", line()]).findings
    assert [(one.attack, one.probe, one.outcome) for one in found] == [
        ("network", "routes", "held"),
        ("sockets", "AF_VSOCK", "unproven"),
    ]
    assert {one.role for one in found} == {"trial"}
    assert found[0].seconds == 0.25
    assert "said nothing" in found[1].detail
    assert "not JSON" in found[1].detail


@pytest.mark.parametrize(
    "lines",
    [
        [line(), line(succeeded=True)],
        [line(more=1)],
        [line(succeeded="false")],
        [line(twin=1)],
        [line(seconds="0")],
        [line()[:-1]],
        ["[" * 100_000],
        [],
    ],
)
def test_what_is_doubled_or_malformed_proves_nothing(lines: list[str]) -> None:
    """A second answer, a field too many, another type or half a line leave the probe unproven."""
    found = read("agent", EXPECTED[:1], lines).findings
    assert [one.outcome for one in found] == ["unproven"]


def test_an_answer_that_nobody_asked_for_is_no_proof() -> None:
    """The list of the host and the program's own have to be the same."""
    found = read("agent", EXPECTED[:1], [line(), line(probe="another")]).findings
    assert [(one.probe, one.outcome) for one in found] == [
        ("routes", "held"),
        ("another", "unproven"),
    ]


def test_the_machine_is_said_once() -> None:
    """The first line about the machine counts; later ones may be a contestant's."""
    first = json.dumps({"machine": {"kernel": "6.1", "boot": "one"}})
    second = json.dumps({"machine": {"kernel": "6.6", "boot": "two"}})
    about = read("agent", [], [first, second])
    assert (about.kernel, about.boot) == ("6.1", "one")
    assert read("agent", [], ['{"machine": 7}']).kernel == ""


@given(st.lists(st.text(max_size=200)), st.text(max_size=2000))
def test_any_text_makes_whole_findings(lines: list[str], detail: str) -> None:
    """Whatever is printed, there is one finding a probe, and its detail is one printable line."""
    answer = line(detail=detail, probe="AF_VSOCK", attack="sockets")
    found = read("agent", EXPECTED, [*lines, answer]).findings
    assert [(one.attack, one.probe) for one in found] == EXPECTED
    for one in found:
        assert "\n" not in one.detail
        assert "\x1b" not in one.detail
        assert len(one.detail) <= DETAIL_CHARS
