"""The attack table, and what is said of attacks that did not fail."""

from __future__ import annotations

import io

from rich.console import Console

from runner.proof import table
from runner.records.containment import Containment, Finding, Outcome


def finding(role: str, attack: str, outcome: Outcome, probe: str = "x") -> Finding:
    return Finding(role=role, attack=attack, probe=probe, outcome=outcome, detail="why")


def proof(*findings: Finding, slow: tuple[Finding, ...] = ()) -> Containment:
    """A proof with these findings."""
    return Containment(
        proved_at="now", part="all", key="k", images={}, configurations={}, findings=findings,
        slow=slow,
    )  # fmt: skip


def shown(made: Containment) -> list[list[str]]:
    """The cells of each row of the table."""
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        console.print(table.attack_table(made))
    rows = [line for line in captured.get().splitlines() if "│" in line]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


def test_a_cell_counts_what_was_tried_what_succeeded_and_which_twins_worked() -> None:
    """A row for each class, a column for each container; slow findings count too."""
    made = proof(
        finding("agent", "network", "held", "a"),
        finding("agent", "network", "broken", "b"),
        finding("agent", "network", "unproven", "c"),
        finding("trial", "sockets", "held"),
        slow=(finding("trial", "bombs", "held"),),
    )
    assert shown(made) == [
        ["network", "3 / 1 / 2", "–", "3 / 1 / 2"],
        ["sockets", "–", "1 / 0 / 1", "1 / 0 / 1"],
        ["bombs", "–", "1 / 0 / 1", "1 / 0 / 1"],
        ["all", "3 / 1 / 2", "2 / 0 / 2", "5 / 1 / 4"],
    ]


def test_failures_are_named_with_their_detail() -> None:
    """What did not hold has a line; what held has none."""
    made = proof(finding("agent", "network", "held"), slow=(finding("trial", "bombs", "broken"),))
    assert table.failures(made) == ["broken: trial: bombs: x: why"]
    assert table.summary(made) == "2 tried, 1 succeeded, 0 without proof"
