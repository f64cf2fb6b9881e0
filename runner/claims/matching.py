"""Which row of an agent's log speaks of which trial: a maximum-weight matching.

A row and a trial may share a commit, a value, a time and a number; each counts by how much it tells
(evidence.py). No row is given its best trial at once, because two rows may want the same one: the
pairs are chosen together, so that the sum of all that speaks for them is largest, and a row or a
trial that fits none stays alone (assignment.py). Among equals, those win that stand at like places
in both lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.claims.assignment import Assignment
from runner.claims.claim import Claim
from runner.claims.evidence import (
    FIGURES_THAT_TELL,
    Evidence,
    Finder,
    Said,
    figures,
    may_be,
    what_is_said,
)
from runner.metrics import Metric
from runner.records.best import measured_value
from runner.records.schema import TrialRecord


@dataclass(frozen=True)
class Match:
    """A row's trial, by its index among the trials, and by what it was found."""

    trial: int
    by: tuple[str, ...]
    again: bool = False


def match(
    claims: Sequence[Claim], trials: Sequence[TrialRecord], metric: Metric
) -> dict[int, Match]:
    """The trial of each row that has one.

    After the matching, rows that stand between two rows with a trial are given the trials between
    those two: in their order, where they are equally many (`order`), else by the number that a row
    gives its experiment (`number`). Rows that tell of a crash are given the failed trials that are
    left, in their order (`crash`). A row that fits no free trial, but names the commit or the whole
    value of one that is taken, is a second row of that trial (`again`).

    Args:
        claims: the rows, in the order of the file.
        trials: in the order of their numbers.
        metric: what they measure.

    Returns:
        By index among the claims.
    """
    found = Finder(trials, metric)
    said = [what_is_said(claim, metric) for claim in claims]
    scale = len(trials) / len(claims) if claims else 1.0
    edges = [found.candidates(each, at * scale) for at, each in enumerate(said)]
    weights = [{trial: each.weight for trial, each in own.items()} for own in edges]
    chosen = Assignment(weights).solve()
    matches = {at: Match(trial, edges[at][trial].by) for at, trial in chosen.items()}
    _add(matches, _between(matches, said, trials), said, trials)
    failed = [at for at, trial in enumerate(trials) if measured_value(trial, metric) is None]
    _add(matches, _failures(matches, said, failed), said, trials)
    for at, own in enumerate(edges):
        sure = [trial for trial, each in own.items() if _is_sure(said[at], each, trials[trial])]
        if at not in matches and sure:
            trial = max(sure, key=lambda trial: own[trial].weight)
            matches[at] = Match(trial, own[trial].by, again=True)
    return matches


def _add(
    matches: dict[int, Match], pairs: Sequence[tuple[int, int, str]], said: Sequence[Said],
    trials: Sequence[TrialRecord],
) -> None:  # fmt: skip
    """Pair a row with a trial that is free, unless the row names the commit of another one."""
    taken = {each.trial for each in matches.values()}
    for at, trial, by in pairs:
        if trial not in taken and may_be(said[at].commit, trials[trial].commit):
            matches[at] = Match(trial, (by,))
            taken.add(trial)


def _is_sure(said: Said, evidence: Evidence, trial: TrialRecord) -> bool:
    """Whether a row surely means this trial: it has its commit, or a value with all its figures."""
    if "commit" in evidence.by:
        return True
    tells = said.number is not None and figures(said.number) >= FIGURES_THAT_TELL
    return tells and "value" in evidence.by and may_be(said.commit, trial.commit)


def _between(
    matches: Mapping[int, Match], said: Sequence[Said], trials: Sequence[TrialRecord]
) -> list[tuple[int, int, str]]:
    """Rows between two rows with a trial, and which of the free trials between those they mean."""
    taken = {each.trial for each in matches.values()}
    pairs: list[tuple[int, int, str]] = []
    before, run = -1, list[int]()
    for at in range(len(said) + 1):
        if at < len(said) and at not in matches:
            if said[at].number is not None or said[at].crashed:
                run.append(at)
            continue
        end = matches[at].trial if at < len(said) else len(trials)
        free = [trial for trial in range(before + 1, end) if trial not in taken] if run else []
        if len(run) == len(free):
            pairs += [(row, trial, "order") for row, trial in zip(run, free, strict=True)]
        else:
            by_number = {trials[trial].trial: trial for trial in free}
            numbered = ((row, said[row].experiment) for row in run)
            pairs += [
                (row, by_number[number], "number")
                for row, number in numbered
                if number is not None and number in by_number
            ]
        before, run = end, []
    return pairs


def _failures(
    matches: Mapping[int, Match], said: Sequence[Said], failed: Sequence[int]
) -> list[tuple[int, int, str]]:
    """Rows of crashes and failed trials that have no partner yet, in the order of both."""
    taken = {each.trial for each in matches.values()}
    rows = (at for at, each in enumerate(said) if each.crashed and at not in matches)
    free = (trial for trial in failed if trial not in taken)
    return [(at, trial, "crash") for at, trial in zip(rows, free, strict=False)]
