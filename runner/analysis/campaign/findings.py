"""The findings of the report "campaign", each with its number and n."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from runner.analysis.campaign.duplicates import Noise
from runner.analysis.campaign.factors import ARCHITECTURE, Campaign
from runner.analysis.campaign.progress import Shape
from runner.analysis.campaign.spread import Entropy, Specialisation, Together
from runner.analysis.campaign.variance import Explained
from runner.analysis.report import Context, Finding

ALPHA = 0.05
VARIANCE, GROWTH, INNOVATION = "campaign-variance", "campaign-growth", "campaign-innovation"
SPREAD, DUPLICATES = "campaign-spread", "campaign-duplicates"
AGREEING = 2.0  # AIC; less than that favours no shape (Burnham and Anderson)


def _untold(what: str, why: str, source: str, n: int = 0) -> Finding:
    return Finding(f"cannot be told: {what}; {why}.", source, n, told=False)


def p_text(p: float) -> str:
    """A p-value for a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def variance(campaign: Campaign, found: list[Explained], table: pd.DataFrame) -> Iterator[Finding]:
    """What the architecture explains, and which factor explains most."""
    holm = dict(zip(table["factor"], table["p by Holm"], strict=True))
    by_name = {one.factor: one for one in found}
    if ARCHITECTURE in by_name:
        yield _explained(by_name[ARCHITECTURE], holm[ARCHITECTURE])
    else:
        why = "no knob that shapes the model takes two values"
        if not campaign.knobs:
            why = "no settings are known"
        yield _untold("how much of the variance the architecture explains", why, VARIANCE)
    most = next((one for one in found if one.anova.f is not None), None)
    if most and most.factor != ARCHITECTURE:
        yield _explained(most, holm[most.factor])


def _explained(one: Explained, holm: float) -> Finding:
    found = one.anova
    what = f"how much of the variance of the values {one.factor} explains"
    if found.f is None or found.eta_squared is None or found.omega_squared is None:
        return _untold(what, found.why, VARIANCE, found.n)
    even = ""
    if one.even and one.even.eta_squared is not None:
        even = (
            f" With {one.even.n} trials, as many of each group, η² is {one.even.eta_squared:.2f}."
        )
    share = (
        f"{found.n} values in {found.groups} groups of ten or more; η² = {found.eta_squared:.2f}, "
        f"ω² = {found.omega_squared:.2f}, 95 % bootstrap interval {one.low:.2f} to "
        f"{one.high:.2f}; F({found.df_between}, {found.df_within}) = "
        f"{found.f:.4g}; permutation {p_text(holm)} by Holm"
    )
    if holm < ALPHA:
        text = (
            f"{one.factor} explains {found.omega_squared:.0%} of the variance of the values, all "
            f"other settings and the noise the rest ({share}).{even}"
        )
    else:
        text = f"No difference between the groups of {one.factor} is seen ({share})."
    return Finding(text, VARIANCE, found.n)


def growth(whole: Shape) -> Iterator[Finding]:
    """Which shape the best so far has, and whether that says more than a random order would."""
    what = "by which law the best of the campaign grows"
    law = whole.growth.of("power law")
    if law is None:
        yield _untold(what, whole.growth.why, GROWTH, whole.growth.n)
        return
    first, second, *_ = whole.growth.fits
    random = ""
    if whole.shuffled is not None:
        random = f"; the same values in random orders give R² = {whole.shuffled:.2f} on average"
    held = f" ({' and '.join(law.at_bounds)} at a bound)" if law.at_bounds else ""
    fitted = (
        f"R² = {law.r_squared:.2f}, c = {law.parameters['c']:.3g}{held}, 95 % bootstrap interval "
        f"{whole.c_low:.3g} to {whole.c_high:.3g}{random}"
    )
    if second.aic - first.aic < AGREEING:
        why = f"{first.shape} and {second.shape} differ by {second.aic - first.aic:.1f} in AIC"
        yield _untold(what, f"{why} (power law: {fitted})", GROWTH, law.n)
        return
    yield Finding(
        f"Of three shapes, the {first.shape} fits the best so far best, by "
        f"{second.aic - first.aic:.1f} in AIC over the {second.shape} (power law: {fitted}).",
        GROWTH,
        law.n,
    )


def innovation(table: pd.DataFrame) -> Iterator[Finding]:
    """Who finds new bests more often than a random order of the same values would."""
    tested = table[table["p by Holm"].notna()]
    if tested.empty:
        yield _untold("whether a search learns", "no contestant has three values", INNOVATION)
        return
    learning = tested[tested["p by Holm"] < ALPHA]
    for row in learning.to_dict("records"):
        yield Finding(
            f"{row['contestant']} finds more new bests than a random order of its values would: "
            f"{row['new bests']} against {row['expected in random order']:.1f} expected "
            f"({p_text(row['p by Holm'])} by Holm over {len(tested)} contestants); a new best "
            f"comes in {row['innovation rate']:.1%} of its trials.",
            INNOVATION,
            int(row["values"]),
        )
    if len(learning) < len(tested):
        others = tested[tested["p by Holm"] >= ALPHA]
        shown = ", ".join(map(str, others["contestant"][:5]))
        more = f" and {len(others) - 5} more" * (len(others) > 5)
        yield Finding(
            f"For {shown}{more}, the number of new bests is no higher than a random order of the "
            f"same values gives (least p by Holm {others['p by Holm'].min():.3f}).",
            INNOVATION,
            int(others["values"].sum()),
        )


def spread(campaign: Campaign, found: Entropy | None) -> Iterator[Finding]:
    """Whether the search narrows, and whether it does so in cycles."""
    if found is None:
        yield _untold("how widely the campaign searches", "nothing says what was tried", SPREAD)
        return
    n = int(campaign.factors[str(campaign.choice)].notna().sum())
    if found.windows.why or found.decline is None:
        why = found.windows.why or "too few windows"
        yield _untold(f"how the entropy of {campaign.choice} goes", why, SPREAD, n)
        return
    line = found.decline
    way = "falls" if line.bits_per_e > 0 else "rises"
    if found.decline_p >= ALPHA:
        way = "does not change beyond chance,"
    yield Finding(
        f"The entropy of {campaign.choice} over windows of {found.windows.window} trials {way} "
        f"from {found.windows.bits[0]:.2f} to {found.windows.bits[-1]:.2f} bits (H₀ − k ln t with "
        f"k = {line.bits_per_e:.2f} bits, {p_text(found.decline_p)} against random orders, "
        f"R² = {line.r_squared:.2f}, {line.n} windows that overlap); a window of a random order "
        f"has {found.random_bits:.2f} bits.",
        SPREAD,
        n,
    )
    if not found.peaks:
        text = "No cycles of widening and narrowing are seen: no peak of 0.1 bits or more."
    elif found.peaks_p < ALPHA and len(found.peaks) > 1:
        text = (
            f"The search widens and narrows in cycles: {len(found.peaks)} peaks of 0.1 bits or "
            f"more, together higher than those of random orders ({p_text(found.peaks_p)})."
        )
    else:
        text = (
            "No cycles of widening and narrowing are seen: a cycle has two peaks of 0.1 bits or "
            f"more; here are {len(found.peaks)} ({p_text(found.peaks_p)} against random orders)."
        )
    yield Finding(text, SPREAD, n)


def specialisation(found: Specialisation, both: Together | None) -> Iterator[Finding]:
    """Whether contestants choose differently, and whether new bests come with it."""
    what = "whether the contestants specialise"
    if found.why or found.quarters is None:
        yield _untold(what, found.why, SPREAD, found.n)
        return
    seen = (
        f"{found.bits:.2f} bits of divergence on average over pairs, {found.random:.2f} if dealt "
        f"at random, {p_text(found.p)}"
    )
    if found.p < ALPHA:
        first, last = found.quarters[0], found.quarters[-1]
        text = (
            f"The {len(found.names)} contestants choose differently ({seen}; {first:.2f} bits in "
            f"the first quarter of their trials, {last:.2f} in the last)."
        )
    else:
        text = f"The {len(found.names)} contestants do not choose differently ({seen})."
    yield Finding(text, SPREAD, found.n)
    if both is None or both.apart.p is None:
        why = "too few windows of 100 trials hold ten choices of two contestants"
        yield _untold("whether new bests come where contestants differ", why, SPREAD)
        return
    statistic = both.apart.statistic or 0.0
    way = "more often" if statistic > 0 else "less often"
    said = f"New bests come {way} where contestants differ"
    if both.apart.p >= ALPHA:
        said = "New bests are not seen to come more or less often where contestants differ"
    yield Finding(
        f"{said} (a correlation over time, no cause; Spearman's ρ = {statistic:+.2f} over "
        f"{both.apart.n} windows apart, permutation {p_text(both.apart.p)}; "
        f"{both.overlapping:+.2f} over {len(both.windows)} windows that overlap).",
        SPREAD,
        both.apart.n,
    )


def duplicates(context: Context, table: pd.DataFrame, noise: Noise | None) -> Iterator[Finding]:
    """How many trials were repeats, and what they say of the noise."""
    known, within = int(table["known trials"].sum()), int(table["repeats within a run"].sum())
    if not known:
        yield _untold(
            "how many trials repeat one", "neither texts nor settings are known", DUPLICATES
        )
        return
    yield Finding(
        f"{within} of {known} trials ({within / known:.1%}) repeat an earlier one of their run.",
        DUPLICATES,
        known,
    )
    if noise is None:
        why = "no two equal trials have a value"
        yield _untold("how far the values of equal trials are apart", why, DUPLICATES)
        return
    floor = "" if context.noise_sd is None else f"; the task's noise is {context.noise_sd:.4g}"
    yield Finding(
        f"Values of equal trials have a standard deviation of {noise.sd:.3g} {context.metric} "
        f"(95 % interval {noise.low:.3g} to {noise.high:.3g}, {noise.degrees} degrees of "
        f"freedom{floor}). They share the training seed where the task sets it, so this is no "
        "noise of seeds.",
        DUPLICATES,
        noise.n,
    )
