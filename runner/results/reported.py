"""The part of `summary.md` on how true the agents' own reports are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.claims.fidelity import VERDICTS, Fidelity, Finding
from runner.metrics import Metric
from runner.results.markdown import harmless, table_line
from runner.results.reading import Run
from runner.results.rows import value_shown

FINDINGS_SHOWN = 10  # of a run; `fidelity.csv` has all
COLUMNS = ("run", "rows", *VERDICTS, "best claimed", "best measured")
EXPLANATION = (
    "Each row of an agent's own log, matched with the ledger by commit, time, value and order. "
    "*Confirmed* has the value that was measured; *rounded* has fewer digits of it; *differs* has "
    "another one; *invented* fits no trial; *unreported* is a trial without a row."
)


def reported(runs: Sequence[Run]) -> Iterator[str]:
    """A table with a line for each agent's run, and what is not true of its report."""
    told = [(run, run.fidelity) for run in runs if run.fidelity is not None]
    if not told:
        return
    yield from ("## What the agents reported", "", EXPLANATION, "")
    yield table_line(COLUMNS)
    yield table_line(["---"] * len(COLUMNS))
    for run, fidelity in told:
        counts = (str(fidelity.count(verdict)) for verdict in VERDICTS)
        best = (value_shown(run.metric, value) for value in (run.claimed_value, run.best_value))
        yield table_line([harmless(run.run_id), str(fidelity.rows), *counts, *best])
    yield ""
    lines = [line for run, fidelity in told for line in _untrue(run, fidelity)]
    if lines:
        yield from (*lines, "")


def _untrue(run: Run, fidelity: Fidelity) -> Iterator[str]:
    name = harmless(run.run_id)
    for finding in fidelity.untrue[:FINDINGS_SHOWN]:
        yield f"- {name}, {harmless(_words(finding, run.metric))}"
    if (more := len(fidelity.untrue) - FINDINGS_SHOWN) > 0:
        yield f"- {name}: {more} more in `fidelity.csv`"
    if fidelity.left_out:
        yield f"- {name}: {fidelity.left_out} more rows were not looked at"


def _words(finding: Finding, metric: Metric) -> str:
    claimed = "a failure" if finding.claimed is None else metric.shown(finding.claimed)
    measured = (
        "failed" if finding.measured is None else f"measured {metric.shown(finding.measured)}"
    )
    if finding.verdict == "unreported":
        return f"trial {finding.trial}: {measured} ({finding.status}), and has no row"
    if finding.verdict == "invented":
        return f"row {finding.row}: claims {claimed}, and fits no trial"
    off = ""
    if finding.difference is not None:
        better = "better" if metric.gain(finding.difference, 0.0) > 0 else "worse"
        off = f", {metric.shown(abs(finding.difference))} {better} than measured"
    return (
        f"row {finding.row}: claims {claimed}{off}; trial {finding.trial} {measured} "
        f"(matched by {finding.by})"
    )
