"""The attack table: what was tried in which container, what succeeded, and which twins worked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from runner.records.containment import Containment, Finding

TITLE = "attacks: tried / succeeded / twins at work"


def attack_table(proof: Containment) -> Table:
    """A row for each class of attack, a column for each container, and their sum.

    A twin that works is known of each finding that held; what is `unproven` has none.
    """
    findings = proof.findings + proof.slow
    roles = list(dict.fromkeys(one.role for one in findings))
    table = Table("attack", *roles, "all", title=TITLE, title_justify="left")
    for attack in dict.fromkeys(one.attack for one in findings):
        of_class = [one for one in findings if one.attack == attack]
        table.add_row(attack, *_cells(of_class, roles))
    table.add_section()
    table.add_row("all", *_cells(findings, roles))
    return table


def _cells(findings: Iterable[Finding], roles: Sequence[str]) -> list[str]:
    found = list(findings)
    return [*(_cell(one for one in found if one.role == role) for role in roles), _cell(found)]


def _cell(findings: Iterable[Finding]) -> str:
    found = list(findings)
    if not found:
        return "–"
    broken = sum(one.outcome == "broken" for one in found)
    proven = sum(one.outcome != "unproven" for one in found)
    return f"{len(found)} / {broken} / {proven}"


def failures(proof: Containment) -> list[str]:
    """A line for each probe that did not hold."""
    return [
        f"{one.outcome}: {one.role}: {one.attack}: {one.probe}: {one.detail}"
        for one in proof.failed
    ]


def summary(proof: Containment) -> str:
    """One line for people: how much was tried, and what came of it."""
    findings = proof.findings + proof.slow
    broken = sum(one.outcome == "broken" for one in findings)
    unproven = sum(one.outcome == "unproven" for one in findings)
    return f"{len(findings)} tried, {broken} succeeded, {unproven} without proof"
