"""How widely a campaign searches, and how far its contestants' choices are apart.

A choice is what a trial tried: its architecture, or, where the architecture does not vary, all its
settings, or the agent's own category.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import signal

from runner.analysis.campaign.factors import Campaign
from runner.analysis.report import Context
from runner.analysis.statistics.arrays import Array
from runner.analysis.statistics.curves import personal_bests
from runner.analysis.statistics.information import (
    Decline,
    Windows,
    codes_of,
    decline,
    mean_jensen_shannon,
    peaks,
    windowed_entropy,
)
from runner.analysis.statistics.permutation import Permuted, rank_correlation

Codes = npt.NDArray[np.int64]  # choices as numbers: equal ones are equal

STUDYS_LEAST = 400  # choices that fill two of the campaign study's windows
LEAST_CHOICES = 40  # for windows of our own, of a quarter of the choices
LEAST_OF_ONE = 10  # choices of a contestant whose shares are told
MOST = 12  # contestants that are compared pair by pair
ORDERS = 199  # random ones, so that p can be .005
QUARTERS, POINTS = 4, 20
WINDOW, STEP = 100, 25  # trials, of the study's correlation of specialisation and innovation
LEAST_WINDOWS = 5  # apart from each other, for a test


@dataclass(frozen=True)
class Entropy:
    """The entropy of the choices over windows of the campaign.

    Attributes:
        windows: the entropy of each window.
        decline: H₀ − k·ln t through them, if there are enough.
        decline_p: the share of random orders whose k is as far from 0; NaN where there is no test.
        peaks: the numbers of the windows at a peak.
        peaks_p: the share of random orders whose peaks are together as high over their valleys
            (prominence); NaN where there is no peak.
        random_bits: the mean entropy of a window where the same choices come in a random order.
    """

    windows: Windows
    decline: Decline | None = None
    decline_p: float = np.nan
    peaks: tuple[int, ...] = ()
    peaks_p: float = np.nan
    random_bits: float = np.nan


def entropy(context: Context, campaign: Campaign) -> Entropy | None:
    """The entropy of what the trials tried; None where nothing says what they did."""
    if campaign.choice is None:
        return None
    choices = codes_of(campaign.factors[campaign.choice].dropna())
    n = len(choices)
    window = step = None
    if n < STUDYS_LEAST:
        window, step = max(LEAST_CHOICES // 4, n // 4), max(1, n // 16)
    windows = windowed_entropy(choices, window=window, step=step)
    if n < LEAST_CHOICES:
        why = f"{n} choices are known; windows need {LEAST_CHOICES}"
        windows = Windows(np.zeros(0, np.int64), np.zeros(0), windows.window, why)
        return Entropy(windows)
    random = np.random.default_rng(context.settings.seed)
    orders = (random.permutation(choices) for _ in range(ORDERS))
    shuffled = [windowed_entropy(order, window=window, step=step) for order in orders]
    found, line = tuple(int(at) for at in peaks(windows)), decline(windows)
    as_high = sum(_height(one) >= _height(windows) for one in shuffled)
    lines = [decline(one) for one in shuffled]
    slopes = [abs(one.bits_per_e) for one in lines if one]
    as_steep = sum(slope >= abs(line.bits_per_e) for slope in slopes) if line else 0
    return Entropy(
        windows,
        line,
        (as_steep + 1) / (ORDERS + 1) if line else np.nan,
        found,
        (as_high + 1) / (ORDERS + 1) if found else np.nan,
        float(np.mean([one.bits.mean() for one in shuffled])),
    )


def _height(windows: Windows) -> float:
    """The prominence of all peaks together, in bits."""
    return float(signal.peak_prominences(windows.bits, peaks(windows))[0].sum())


@dataclass(frozen=True)
class Specialisation:
    """How far the contestants' choices are apart: the mean divergence of their pairs, in bits.

    Attributes:
        names: the contestants that are compared.
        n: their choices together.
        shares: of each contestant's own choices, from 0 to 1.
        cumulative: the divergence of all choices up to these shares.
        quarters: the divergence in each quarter of each contestant's choices.
        random: its mean where the same choices are dealt to the contestants at random.
        p: the share of such deals with as much divergence, over all choices.
        why: why there is none; empty where there is one.
    """

    names: tuple[str, ...] = ()
    n: int = 0
    shares: Array | None = None
    cumulative: Array | None = None
    quarters: Array | None = None
    random: float = np.nan
    p: float = np.nan
    why: str = ""

    @property
    def bits(self) -> float:
        """The divergence over all choices."""
        return np.nan if self.cumulative is None else float(self.cumulative[-1])


def specialisation(context: Context, campaign: Campaign) -> Specialisation:
    """The divergence between contestants, against the same choices dealt at random."""
    made = choices_by_contestant(context, campaign)
    if len(made) < 2:
        told = f"{LEAST_OF_ONE} known choices"
        return Specialisation(why=f"fewer than two contestants have {told}")
    names = tuple(made)
    shares = np.arange(1, POINTS + 1) / POINTS
    cumulative = [_mean_divergence(made, _until(share)) for share in shares]
    quarters = [_mean_divergence(made, _quarter(number)) for number in range(QUARTERS)]
    drawn = _dealt_at_random(made, context.settings.seed)
    as_far = int((drawn >= cumulative[-1] - 1e-12).sum())
    return Specialisation(
        names, sum(map(len, made.values())), shares, np.array(cumulative), np.array(quarters),
        float(drawn.mean()), (as_far + 1) / (ORDERS + 1),
    )  # fmt: skip


def choices_by_contestant(context: Context, campaign: Campaign) -> dict[str, Codes]:
    """The best contestants with ten known choices or more, and what each chose, in order."""
    if campaign.choice is None:
        return {}
    levels = campaign.factors[campaign.choice].dropna()
    codes = pd.Series(codes_of(levels), index=levels.index)
    made = {str(name): own.to_numpy() for name, own in codes.groupby(campaign.trials["contestant"])}
    enough = [name for name in context.contestants if len(made.get(name, ())) >= LEAST_OF_ONE]
    return {name: made[name] for name in enough[:MOST]}


def _until(share: float) -> Callable[[Codes], Codes]:
    return lambda own: own[: max(1, round(share * len(own)))]


def _quarter(number: int) -> Callable[[Codes], Codes]:
    def cut(own: Codes) -> Codes:
        ends = [round(len(own) * end / QUARTERS) for end in (number, number + 1)]
        return own[ends[0] : ends[1]]

    return cut


def _mean_divergence(
    made: Mapping[str, Codes], cut: Callable[[Codes], Codes] = lambda own: own
) -> float:
    return mean_jensen_shannon([cut(own) for own in made.values()])


def _dealt_at_random(made: Mapping[str, Codes], seed: int) -> Array:
    random = np.random.default_rng(seed)
    together = np.concatenate(list(made.values()))
    ends = np.cumsum([len(own) for own in made.values()])[:-1]
    deals = (np.split(random.permutation(together), ends) for _ in range(ORDERS))
    return np.array([mean_jensen_shannon(deal) for deal in deals])


@dataclass(frozen=True)
class Together:
    """Specialisation and innovation in windows of the campaign.

    Attributes:
        windows: a row a window: its end, the divergence in it, and the new bests a trial.
        overlapping: Spearman's ρ over all windows, as the study has it.
        apart: ρ and its p over windows that share no trial.
    """

    windows: pd.DataFrame
    overlapping: float
    apart: Permuted


def together(context: Context, campaign: Campaign) -> Together | None:
    """Whether new bests come where contestants differ; None where it cannot be told.

    Source: the campaign study: Spearman's ρ over windows of 100 trials, a step of 25.
    """
    made = choices_by_contestant(context, campaign)
    if campaign.choice is None or len(made) < 2:
        return None
    trials = campaign.trials
    levels, best = campaign.factors[campaign.choice], personal_bests(trials["cost"])
    codes = np.where(levels.notna(), codes_of(levels), -1)
    whose = trials["contestant"].to_numpy()
    rows = []
    for end in range(WINDOW, len(trials) + 1, STEP):
        at = slice(end - WINDOW, end)
        within = (codes[at][(whose[at] == name) & (codes[at] >= 0)] for name in made)
        own = [part for part in within if len(part) >= LEAST_OF_ONE]
        rows.append({"end": end, "divergence": mean_jensen_shannon(own), "rate": best[at].mean()})
    frame = pd.DataFrame(rows, columns=["end", "divergence", "rate"]).dropna()
    apart = frame[frame["end"] % WINDOW == 0]
    if len(apart) < LEAST_WINDOWS:
        return None
    settings: Any = {"resamples": context.settings.resamples, "seed": context.settings.seed}
    whole = rank_correlation(frame["divergence"], frame["rate"], resamples=1)
    tested = rank_correlation(apart["divergence"], apart["rate"], **settings)
    return Together(frame, np.nan if whole.statistic is None else whole.statistic, tested)
