"""H1 to H7 of the five-agent study as tests: effect, exact or permutation p, and n.

Each hypothesis says beforehand which way its effect goes. Where contestants are compared, a
contestant is one observation, whatever its number of experiments. p is two-sided, but for H7,
which is one-sided, and corrected by Holm over all tests of the page. Where no outcome could give
p ≤ .05, the verdict is "cannot be told". Baselines are left out: a sampler sets all constants at
once and chooses no kind of change.

Source: the hypotheses are those of the five-agent study, of which only results are published; what
is tested and how is ours. docs/analysis/strategy.md has each test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.spatial import distance

from runner.analysis.report import Settings
from runner.analysis.statistics import permutation
from runner.analysis.statistics.correction import holm
from runner.analysis.strategy import measures, stratified
from runner.analysis.strategy.categories import HYPERPARAMETER, OTHER

ALPHA = 0.05
FEWEST_CONTESTANTS = 4  # ours: three points give no two-sided p under 1/3
OF_A_RUN = 0.1  # ours: a discovery is at least this share of a run's whole gain, without a noise
NOISES = 2 * math.sqrt(2)  # or so many sd of a training: 2 sd of the difference of two trainings
WIDE = "-1m"  # how a contestant's name ends whose context window is the larger one of a pair
ROUNDING = 1e-9
# Orders that H7 draws: pairs of runs times orders take no more than about a second.
FEWEST_ORDERS, MOST_COMPARED = 999, 50_000_000


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis and what the runs say of it.

    Attributes:
        name: such as "H1".
        claim: what it says.
        effect_name: what the effect measures.
        effect: in its own unit; None where it does not exist.
        expected: the sign of the effect that the claim says, 1 or -1; 0 without a direction.
        n: observations of the test.
        of: what they are.
        p: two-sided; None where there is no test.
        smallest: the least p that these observations can give; None if it is not known.
        why: why there is no test; empty where there is one.
        holm: p corrected for all tests of the page.
    """

    name: str
    claim: str
    effect_name: str
    effect: float | None
    expected: int
    n: int
    of: str
    p: float | None = None
    smallest: float | None = None
    why: str = ""
    holm: float | None = None

    @property
    def told(self) -> bool:
        """Whether the test could have said yes."""
        return self.p is not None and (self.smallest or 0.0) <= ALPHA + ROUNDING

    @property
    def verdict(self) -> str:
        """Supported, against it, not shown, or cannot be told."""
        if self.p is None:
            return f"cannot be told: {self.why}"
        if not self.told:
            return f"cannot be told: {self.n} {self.of} give no p under {self.smallest:.3g}"
        if (self.p if self.holm is None else self.holm) > ALPHA + ROUNDING:
            return "not shown"
        return "against it" if self.expected * (self.effect or 0.0) < 0 else "supported"


def tested(
    experiments: pd.DataFrame,
    runs: pd.DataFrame,
    contestants: pd.DataFrame,
    sign: int,
    noise_sd: float | None,
    settings: Settings,
) -> list[Hypothesis]:
    """All hypotheses, tested on agents and imported runs, with Holm's correction.

    Args:
        experiments: as `experiments.experiments` gives them.
        runs: as `measures.per_run` gives them.
        contestants: as `measures.per_contestant` gives them.
        sign: 1 where less is better, -1 where more is.
        noise_sd: of a training of the pristine train.py, where it is known.
        settings: resamples and seed.
    """
    own, of, everyone = (
        table[table["kind"] != "baseline"] for table in (experiments, runs, contestants)
    )
    found = _Tests(own, of, everyone, sign, settings)
    every = [*found.of_contestants(), *found.of_windows(), *found.of_runs(noise_sd)]
    return _corrected(sorted(every, key=lambda one: one.name))


def discoveries(experiments: pd.DataFrame, noise_sd: float | None) -> pd.Series:
    """Whether each experiment is a discovery.

    That is a new best whose gain is at least 2√2 standard deviations of the task's noise, or, where
    the noise is not known, a tenth of all that its run gained.
    """
    gain = experiments["gain"].fillna(0.0)
    if noise_sd:
        return gain >= NOISES * noise_sd
    whole = gain.groupby(experiments["run"]).transform("sum")
    return (gain > 0) & (gain >= OF_A_RUN * whole)


def windows(contestants: list[str]) -> list[tuple[str, str]]:
    """Pairs of contestants that differ in their context window alone: the narrow one first."""
    return [(name[: -len(WIDE)], name) for name in contestants
            if name.endswith(WIDE) and name[: -len(WIDE)] in contestants]  # fmt: skip


@dataclass(frozen=True)
class _Tests:
    """What the tests work on."""

    experiments: pd.DataFrame
    runs: pd.DataFrame
    contestants: pd.DataFrame
    sign: int
    settings: Settings

    def of_contestants(self) -> Iterator[Hypothesis]:
        """H1, H2 and H4: a measure against the best value."""
        yield self._with_best(
            "H1", "a contestant that tries more kinds of changes finds a better value", "breadth"
        )
        yield self._with_best(
            "H2", "one that changes its kind of change after a failure finds a better value",
            "pivot_rate",
        )  # fmt: skip
        yield self._after_a_pivot()
        yield self._with_best(
            "H4", "one of whose experiments more are kept finds a better value", "success"
        )
        yield self._success_differs()

    def of_windows(self) -> Iterator[Hypothesis]:
        """H3: a larger context window against a smaller one of the same model."""
        claim = "with a larger context window the same model {}"
        pairs = windows([str(name) for name in self.contestants.index])
        for measure, words in (
            ("repeat_rate", "repeats fewer changes"), ("plateau", "is stuck for less long"),
        ):  # fmt: skip
            if not pairs:
                why = f"no contestant is there with and without {WIDE}"
                yield Hypothesis("H3", claim.format(words), measure, None, -1, 0, "runs", why=why)
            for narrow, wide in pairs:
                of = self.runs.set_index("contestant")[measure]
                found = permutation.mean_difference(
                    of[[wide]], of[[narrow]], resamples=self.settings.resamples,
                    seed=self.settings.seed,
                )  # fmt: skip
                yield Hypothesis(
                    "H3", f"{claim.format(words)} ({wide} against {narrow})",
                    f"difference of {measure}", found.statistic, -1, found.n, "runs", found.p,
                    found.smallest, found.why,
                )  # fmt: skip

    def of_runs(self, noise_sd: float | None) -> Iterator[Hypothesis]:
        """H5, H6 and H7: what happens within runs."""
        yield self._late_small_steps()
        yield self._discoveries(noise_sd)
        yield self._profiles()

    def _with_best(self, name: str, claim: str, measure: str) -> Hypothesis:
        both = self.contestants[[measure, "best"]].dropna()
        n, effect_name = len(both), f"Pearson's r of {measure} and the best value"
        if n < FEWEST_CONTESTANTS:
            why = f"the test takes {FEWEST_CONTESTANTS} contestants with both, and there are {n}"
            return Hypothesis(name, claim, effect_name, None, -self.sign, n, "contestants", why=why)
        found = permutation.correlation(
            both[measure], both["best"], resamples=self.settings.resamples, seed=self.settings.seed
        )
        return Hypothesis(
            name, claim, effect_name, found.statistic, -self.sign, n, "contestants", found.p,
            found.smallest, found.why,
        )  # fmt: skip

    def _after_a_pivot(self) -> Hypothesis:
        """H2 within runs: after a failure, is another kind of change kept more often?"""
        tables = []
        for _, own in self.experiments.groupby("run", sort=False):
            following = measures.after_failure(own)
            tables.append(_two_shares(following["kept"], following["pivot"]))
        found = stratified.share_difference(tables)
        return Hypothesis(
            "H2", "after a failure, another kind of change is kept more often than the same kind",
            "difference of the shares kept", found.effect, 1, found.n, "experiments", found.p,
            found.smallest, found.why,
        )  # fmt: skip

    def _success_differs(self) -> Hypothesis:
        counts = self.contestants[["kept", "experiments"]].to_numpy(dtype=np.int64)
        table = np.column_stack([counts[:, 0], counts[:, 1] - counts[:, 0]])
        return self._differ("H4", "contestants differ in how many experiments are kept", table)

    def _differ(self, name: str, claim: str, table: npt.NDArray[np.int64]) -> Hypothesis:
        found = stratified.homogeneity(table, self.settings.resamples, self.settings.seed)
        return Hypothesis(
            name, f"{claim} (in these runs)", "Cramér's V", found.effect, 0, found.n,
            "experiments", found.p, found.smallest, found.why,
        )  # fmt: skip

    def _late_small_steps(self) -> Hypothesis:
        """H5: the share of small steps in a run's last third less that in its first."""
        gaps = self.runs["small_more"].dropna().to_numpy(dtype=np.float64)
        claim = "small steps are more frequent in the last third of a run than in the first"
        made = ("H5", claim, "mean difference of the shares of small steps")
        moved = int((gaps != 0).sum())
        effect = float(gaps.mean()) if len(gaps) else None
        if moved < 2:
            why = f"the test takes 2 runs whose thirds differ, and there are {moved}"
            return Hypothesis(*made, effect, 1, len(gaps), "runs", why=why)
        found = stats.permutation_test(
            (gaps,), np.mean, permutation_type="samples", vectorized=True,
            n_resamples=self.settings.resamples, rng=np.random.default_rng(self.settings.seed),
        )  # fmt: skip
        smallest = 2.0 ** (1 - moved)
        return Hypothesis(*made, effect, 1, len(gaps), "runs", float(found.pvalue), smallest)

    def _discoveries(self, noise_sd: float | None) -> Hypothesis:
        """H6: are discoveries more frequent among changes of the code than among numbers?"""
        labelled = self.experiments[~self.experiments["primary"].isin(["", OTHER])]
        found = discoveries(self.experiments, noise_sd).loc[labelled.index]
        structural = labelled["primary"] != HYPERPARAMETER
        runs = [group.index for _, group in labelled.groupby("run", sort=False)]
        compared = stratified.share_difference(
            _two_shares(found.loc[own], structural.loc[own]) for own in runs
        )
        return Hypothesis(
            "H6", "discoveries are more frequent among other changes than among hyperparameters",
            "difference of the shares of discoveries", compared.effect, 1, compared.n,
            "experiments", compared.p, compared.smallest, compared.why,
        )  # fmt: skip

    def _profiles(self) -> Hypothesis:
        """H7: are runs of one contestant more alike in their categories than those of two?"""
        claim = "runs of one contestant share their categories more than runs of two contestants"
        made = ("H7", claim, "Jensen-Shannon divergence between less within contestants, bits")
        labelled = self.experiments[self.experiments["primary"] != ""]
        counts = pd.crosstab(labelled["run"], labelled["primary"])
        owners = self.runs.set_index("run")["contestant"].reindex(counts.index)
        sizes = owners.value_counts().tolist()
        if len(sizes) < 2 or max(sizes) < 2:
            why = "the test takes two contestants, one of them with two runs"
            return Hypothesis(*made, None, 1, len(owners), "runs", why=why)
        effect, p = _apart(
            counts.to_numpy(dtype=np.float64), pd.factorize(owners)[0], self.settings
        )
        return Hypothesis(*made, effect, 1, len(owners), "runs", p, 1 / _divisions(sizes))


def _two_shares(success: pd.Series, first: pd.Series) -> tuple[int, int, int, int]:
    """Successes and tries of the first side, then those of the second."""
    one, other = success[first.astype(bool)], success[~first.astype(bool)]
    return int(one.sum()), len(one), int(other.sum()), len(other)


def _apart(
    counts: npt.NDArray[np.float64], owners: npt.NDArray[np.int64], settings: Settings
) -> tuple[float, float]:
    """Mean divergence between groups less that within, and how often a random division has more.

    Args:
        counts: of shape [runs, categories].
        owners: the group of each run.
        settings: resamples and seed.
    """
    rows, columns = np.array(list(combinations(range(len(owners)), 2))).T
    far = distance.jensenshannon(counts[rows], counts[columns], base=2, axis=1) ** 2
    rng = np.random.default_rng(settings.seed)
    resamples = min(settings.resamples, max(FEWEST_ORDERS, MOST_COMPARED // len(rows)))

    def gap(order: npt.NDArray[np.int64]) -> float:
        same = order[rows] == order[columns]
        return float(far[~same].mean() - far[same].mean())

    seen = gap(owners)
    drawn = np.array([gap(rng.permutation(owners)) for _ in range(resamples)])
    return seen, (int((drawn >= seen - ROUNDING).sum()) + 1) / (resamples + 1)


def _divisions(sizes: list[int]) -> float:
    """In how many ways runs can be divided into groups of these sizes; groups have no names."""
    logs = math.lgamma(sum(sizes) + 1) - sum(math.lgamma(size + 1) for size in sizes)
    logs -= sum(math.lgamma(sizes.count(size) + 1) for size in set(sizes))
    return math.exp(min(logs, 700.0))


def _corrected(found: list[Hypothesis]) -> list[Hypothesis]:
    """Holm's correction over the tests that could have said yes."""
    told = [one for one in found if one.told]
    if not told:
        return found
    corrected = iter(holm(one.p for one in told if one.p is not None))
    return [replace(one, holm=float(next(corrected))) if one.told else one for one in found]
