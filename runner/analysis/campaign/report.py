"""The report "campaign": its tables, figures and findings."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from runner.analysis.campaign import (
    duplicates,
    figures,
    findings,
    progress,
    spread,
    variance,
)
from runner.analysis.campaign.factors import MOST_KNOBS, Campaign, campaign
from runner.analysis.report import Context, Report, Table

NAME, TITLE = "campaign", "All runs as one campaign"


def report(context: Context) -> Report:
    """What the 10,000-experiment study reports, of the runs of one comparison.

    Source: the campaign study (arXiv 2603.15916): analysis of variance, power law of the best,
    entropy, Jensen–Shannon specialisation, innovation, repeats.
    """
    whole = campaign(context)
    explained = variance.explained(whole, context.settings)
    shapes = progress.shapes(context, whole)
    new_bests = progress.innovation(context, whole)
    entropy = spread.entropy(context, whole)
    apart = spread.specialisation(context, whole)
    both = spread.together(context, whole)
    same = duplicates.keys(context, whole)
    repeats = duplicates.table(context, whole, same)
    by_factor = variance.table(explained)
    pair = variance.two_factors(explained)
    drawn = (
        figures.variance(explained),
        figures.heatmap(context, whole, *pair) if pair else None,
        figures.growth(context, shapes[0]),
        figures.innovation(context, whole, new_bests),
        figures.entropy(entropy, str(whole.choice)) if entropy else None,
        figures.specialisation(apart),
        figures.windows(both) if both else None,
    )
    return Report(
        NAME,
        TITLE,
        tables=(
            _variance_table(by_factor),
            *_legend_table(whole),
            _growth_table(progress.shapes_table(shapes), shapes[0]),
            _innovation_table(new_bests),
            _spread_table(entropy, apart),
            _duplicates_table(repeats),
        ),
        figures=tuple(figure for figure in drawn if figure),
        findings=(
            *findings.variance(whole, explained, by_factor),
            *findings.growth(shapes[0]),
            *findings.innovation(new_bests),
            *findings.spread(whole, entropy),
            *findings.specialisation(apart, both),
            *findings.duplicates(context, repeats, duplicates.noise(whole, same)),
        ),
        left_out=tuple(_left_out(context, whole)),
    )


def _variance_table(rows: pd.DataFrame) -> Table:
    return Table(
        findings.VARIANCE,
        "One-way analysis of variance by factor",
        rows,
        (
            "Groups have ten trials with a value or more; failed trials have none.",
            "A number with more than 12 different values is divided into five ranges.",
            "η² grows with the number of groups by chance; ω² takes that off.",
            "Even groups: a random subsample with as many trials of each group.",
            "Contestants chose what they tried: a factor may stand for who tried it and when.",
        ),
    )


def _legend_table(whole: Campaign) -> Iterator[Table]:
    if not whole.legend.empty:
        yield Table(
            "campaign-architectures",
            "The architectures, by how often they were tried",
            whole.legend,
            (f"Knobs whose name says that they shape the model: {', '.join(whole.structural)}.",),
        )


def _growth_table(rows: pd.DataFrame, whole: progress.Shape) -> Table:
    random = "is not known" if whole.shuffled is None else f"is {whole.shuffled:.3f}"
    return Table(
        findings.GROWTH,
        "Shapes laid through the best so far",
        rows,
        (
            "A contestant's best is the mean over its runs, as far as the shortest goes.",
            f"Of a longer curve, {progress.POINTS} points at equal distances are fitted.",
            "Values outside 0 to 1 are scaled to it; a, b are in the scaled unit.",
            f"The mean R² of the power law over the same values in random orders {random}.",
        ),
    )


def _innovation_table(rows: pd.DataFrame) -> Table:
    return Table(
        findings.INNOVATION,
        "New bests, and those that a random order would have",
        rows,
        (
            "The first value of a run is no new best.",
            "p is one-sided: as many new bests or more, if the order were random.",
        ),
    )


def _spread_table(entropy: spread.Entropy | None, apart: spread.Specialisation) -> Table:
    """A row a window of the entropy, and a row a share or quarter of the divergence."""
    rows: list[dict[str, object]] = []
    if entropy:
        rows += [
            {"measure": "entropy", "of": f"window that ends at trial {end}", "bits": bits}
            for end, bits in zip(entropy.windows.ends, entropy.windows.bits, strict=True)
        ]
    if apart.shares is not None and apart.cumulative is not None and apart.quarters is not None:
        rows += [
            {"measure": "divergence", "of": f"first {share:.0%}", "bits": bits}
            for share, bits in zip(apart.shares, apart.cumulative, strict=True)
        ]
        rows += [
            {"measure": "divergence", "of": f"quarter {number}", "bits": bits}
            for number, bits in enumerate(apart.quarters, start=1)
        ]
    return Table(
        findings.SPREAD,
        "Entropy of the choices, and divergence between contestants",
        pd.DataFrame(rows, columns=["measure", "of", "bits"]),
        ("Divergence is the mean over pairs of contestants, at most the best 12.",),
    )


def _duplicates_table(rows: pd.DataFrame) -> Table:
    return Table(
        findings.DUPLICATES,
        "Trials that repeat another",
        rows,
        (
            "Equal are trials with the same text; where no text is known, with the same settings.",
            "All runs begin with the same text, so a trial of each is in another run too.",
        ),
    )


def _left_out(context: Context, whole: Campaign) -> Iterator[str]:
    failed = int((~whole.trials["known"]).sum())
    if failed:
        yield f"{failed} trials without a value are in no analysis of values."
    yield f"The order of the trials of all runs is that of {whole.ordered_by}."
    names = context.frames.knobs["knob"].nunique()
    if names > MOST_KNOBS:
        yield f"Of {names} knobs, the {MOST_KNOBS} that most trials have are factors."
