"""Report "many seeds": are the contestants' final values different, compared seed by seed?

The way of the automl study: the best value of each run, paired by seed, in the exact one-sided
Wilcoxon signed-rank test. A run counts if it used at least 99 % of its budget, and two contestants
are compared if they have three seeds in common. Ours are Holm's correction, the smallest p that is
possible, intervals and effect sizes. docs/analysis/seeds.md has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from runner import samplers
from runner.analysis.report import Context, Finding, Report, Table
from runner.analysis.seeds import figures
from runner.analysis.seeds.finals import Finals, finals
from runner.analysis.statistics.bootstrap import Interval, interval
from runner.analysis.statistics.paired import FEWEST_PAIRS, Paired, holm, paired_less

LEVEL = 0.05  # a p of at most this is called evidence
SHOWN = 12  # contestants in a figure, in the matrix and in the findings
QUICK = 100  # resamples where the interval is not shown


@dataclass(frozen=True)
class Against:
    """All contestants against one of them.

    Attributes:
        reference: the one.
        why: why it was chosen, a clause.
        asks_rows: True if the test asks whether a row is better than the reference; False if it
            asks whether the reference is better than the row.
        rows: contestant → the comparison, corrected by Holm over all rows that have a p.
    """

    reference: str
    why: str
    asks_rows: bool
    rows: dict[str, Paired]

    @property
    def tested(self) -> int:
        """How many of the rows have a p."""
        return sum(row.p is not None for row in self.rows.values())


def report(context: Context) -> Report:
    """The final values by seed, compared with a reference and with each other."""
    found = finals(context)
    against = compared(context, found)
    tables = [_values_table(context, found)]
    drawn = []
    if against is not None:
        tables.append(_against_table(context, found, against))
        tables += _matrix(context, found)
        intervals = {name: _own(context, against, pair) for name, pair in against.rows.items()}
        drawn += figures.draw(context, found.values, intervals, against.reference)
    verified = finals(context, "verified")
    if verified.values.notna().to_numpy().any():
        tables.append(_values_table(context, verified, "verified"))
    left_out = tuple(reason for reasons in found.left_out.values() for reason in reasons)
    return Report(
        "seeds",
        "Many seeds",
        tuple(tables),
        tuple(drawn),
        tuple(_findings(context, found, against)),
        left_out,
    )


def reference(context: Context, values: pd.DataFrame) -> tuple[str, str, bool] | None:
    """Whom the others are compared with, why, and whether they are asked to be better than it.

    It is the baseline with the best mean, because the question is whether anybody beats it. If no
    contestant is known as a baseline, it is the contestant with the best mean, and the question is
    whether it beats the others. None if there are fewer than two contestants with values.
    """
    counts = values.notna().sum(axis="columns")
    counts = counts[counts > 0]
    if len(counts) < 2:
        return None
    enough = [str(name) for name in counts.index[counts >= FEWEST_PAIRS]] or list(counts.index)
    runs = context.frames.runs
    baselines = {str(name) for name in runs.loc[runs["kind"] == "baseline", "contestant"]}
    known = {name.casefold() for name in samplers.load()}
    ours = [name for name in enough if name in baselines or name.casefold() in known]
    if ours:
        return ours[0], "it is the baseline with the best mean", True
    return enough[0], "it has the best mean, and no contestant is known as a baseline", False


def compared(
    context: Context, found: Finals, chosen: tuple[str, str, bool] | None = None
) -> Against | None:
    """Every contestant against the reference, paired by seed, with Holm's correction.

    Args:
        context: the runs.
        found: their final values.
        chosen: as `reference` gives it, which is asked where there is none.

    Returns:
        None if there are fewer than two contestants with values.
    """
    chosen = chosen or reference(context, found.values)
    if chosen is None:
        return None
    name, why, asks_rows = chosen
    signed = context.sign * found.values
    others = [str(other) for other in signed.index if other != name]
    rows = []
    for other in others:
        first, second = (other, name) if asks_rows else (name, other)
        rows.append(_pair(context, signed, first, second, context.settings.resamples))
    return Against(name, why, asks_rows, dict(zip(others, holm(rows), strict=True)))


def _pair(
    context: Context, signed: pd.DataFrame, first: str, second: str, resamples: int
) -> Paired:
    return paired_less(
        signed.loc[first], signed.loc[second], resamples=resamples, seed=context.settings.seed
    )


def _values_table(context: Context, found: Finals, kind: str = "measured") -> Table:
    """A row a contestant: the mean of its final values, and how they scatter."""
    rows = []
    for name in found.values.index:
        values = found.of(name).to_numpy()
        settings = context.settings
        sure = interval(values, resamples=settings.resamples, seed=settings.seed)
        rows.append(
            {
                "contestant": name, "seeds": values.size,
                "mean": values.mean() if values.size else np.nan,
                "sd": values.std() if values.size > 1 else np.nan,
                "95 % low": sure.low if sure else np.nan,
                "95 % high": sure.high if sure else np.nan,
                "best": context.sign * (context.sign * values).min() if values.size else np.nan,
                "worst": context.sign * (context.sign * values).max() if values.size else np.nan,
                "runs left out": "; ".join(found.left_out.get(name, [])),
            }
        )  # fmt: skip
    name = "seeds" if kind == "measured" else f"seeds-{kind}"
    title = f"Final {context.label}, {kind}, by seed"
    notes = (
        "sd is that of the values at hand (ddof 0), as the automl study prints it.",
        "The interval is a percentile bootstrap of the mean; with few seeds it is too narrow.",
        *found.notes,
    )
    return Table(name, title, pd.DataFrame(rows), notes)


def _against_table(context: Context, found: Finals, against: Against) -> Table:
    """A row a contestant: its difference from the reference, and the test."""
    rows = []
    for name, pair in against.rows.items():
        low, gap, high = difference(context, against, pair)
        lost = [*found.left_out.get(name, []), *found.left_out.get(against.reference, [])]
        rows.append(
            {
                "contestant": name, "common seeds": pair.n, "difference": gap,
                "95 % low": low, "95 % high": high,
                "seeds better": pair.wins if against.asks_rows else pair.losses,
                "W+": _or_nan(pair.w_plus), "p": _or_nan(pair.p), "p (Holm)": _or_nan(pair.holm),
                "smallest p possible": _or_nan(pair.smallest),
                "rank-biserial": _or_nan(pair.rank_biserial), "dz": _or_nan(pair.cohens_dz),
                "difference / noise sd": gap / context.noise_sd if context.noise_sd else np.nan,
                "why no test": "; ".join([pair.why, *lost]) if pair.why else "",
            }
        )  # fmt: skip
    asked = "the row" if against.asks_rows else against.reference
    notes = (
        f"Compared with {against.reference}: {against.why}.",
        f"difference = the row − {against.reference}; {context.better} values are better.",
        f"p asks whether {asked} is better: exact one-sided Wilcoxon signed-rank test by seed.",
        f"Holm's correction is over the {against.tested} rows that have a p.",
        "rank-biserial is 1 if what p asks holds with every seed, and −1 if with none.",
        *found.notes,
    )
    return Table(
        "seeds-paired", f"Paired by seed with {against.reference}", pd.DataFrame(rows), notes
    )


def difference(context: Context, against: Against, pair: Paired) -> tuple[float, float, float]:
    """Row minus reference in the metric's own unit: interval's low end, mean, and high end."""
    sign = context.sign * (1 if against.asks_rows else -1)
    gap, sure = sign * _or_nan(pair.mean_difference), _own(context, against, pair)
    return (sure.low, gap, sure.high) if sure else (np.nan, gap, np.nan)


def _own(context: Context, against: Against, pair: Paired) -> Interval | None:
    """The interval of row minus reference in the metric's own unit."""
    if pair.interval is None or context.sign * (1 if against.asks_rows else -1) > 0:
        return pair.interval
    return replace(pair.interval, low=-pair.interval.high, high=-pair.interval.low)


def _matrix(context: Context, found: Finals) -> list[Table]:
    """The p of every contestant (row) against every other one (column)."""
    counts = found.values.notna().sum(axis="columns")
    names = [str(name) for name in counts.index[counts >= FEWEST_PAIRS][:SHOWN]]
    if len(names) < 2:
        return []
    signed = context.sign * found.values
    pairs = {
        (row, column): _pair(context, signed, row, column, QUICK)
        for row in names
        for column in names
        if row != column
    }
    corrected = holm(list(pairs.values()))
    tested = [one for one in corrected if one.holm is not None]
    kept = sum(one.holm is not None and one.holm <= LEVEL for one in tested)
    table = pd.DataFrame({"contestant": names})
    for column in names:
        cells = [pairs[row, column].p if row != column else None for row in names]
        table[f"better than {column}"] = pd.Series(cells, dtype="float64")
    notes = [
        "Each cell: one-sided p that the row is better than the column, not corrected.",
        f"After Holm's correction over all {len(tested)} cells, {kept} are at most {LEVEL}.",
    ]
    if len(counts) > len(names):
        said = f"Shown are {len(names)} of {len(counts)} contestants: the best with enough seeds."
        notes.append(said)
    return [Table("seeds-matrix", "Who is better than whom", table, tuple(notes))]


def _findings(context: Context, found: Finals, against: Against | None) -> list[Finding]:
    known = int(found.values.notna().any(axis="columns").sum())
    if against is None:
        text = f"cannot be told: who is better, as {known} contestants have a final value"
        return [Finding(text + "; two are needed.", "seeds", known, told=False)]
    tested = [name for name, pair in against.rows.items() if pair.p is not None]
    untested = [name for name in against.rows if name not in tested]
    findings = [_tested(context, against, name) for name in tested[:SHOWN]]
    if (rest := len(tested) - SHOWN) > 0:
        text = f"The table has the comparisons of {rest} further contestants."
        findings.append(Finding(text, "seeds-paired", rest))
    if untested:
        findings.append(_untested(against, untested))
    return findings


def _tested(context: Context, against: Against, name: str) -> Finding:
    """What a comparison says, in a sentence."""
    pair, other = against.rows[name], against.reference
    low, gap, high = difference(context, against, pair)
    better, worse = (name, other) if against.asks_rows else (other, name)
    held = "is better than" if (pair.holm or 0) <= LEVEL else "is not shown to be better than"
    spread = f" (95 % interval {low:.3g} to {high:.3g})" if pair.interval else ""
    noise = f", {abs(gap) / context.noise_sd:.1f} σ of the seed noise" if context.noise_sd else ""
    text = (
        f"{better} {held} {worse}: over {pair.n} common seeds {name} differs from {other} by "
        f"{gap:+.4g}{spread}{noise}; one-sided p = {pair.p:.3g}, {pair.holm:.3g} after Holm's "
        f"correction over {against.tested} tests; {pair.smallest:.3g} is the least possible."
    )
    return Finding(text, "seeds-paired", pair.n)


def _untested(against: Against, names: list[str]) -> Finding:
    """The comparisons that cannot be made, in one sentence."""
    most = max(against.rows[name].n for name in names)
    shown = ", ".join(names[:SHOWN]) + (" and others" if len(names) > SHOWN else "")
    why = against.rows[names[0]].why
    if len(names) > 1:
        why = f'the test needs {FEWEST_PAIRS} common seeds that differ; see "why no test"'
    text = f"cannot be told: whether {against.reference} or {shown} is better: {why}."
    return Finding(text, "seeds-paired", most, told=False)


def _or_nan(number: float | None) -> float:
    return np.nan if number is None else float(number)
