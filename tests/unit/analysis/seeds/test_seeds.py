"""The report "many seeds", against the automl study's published finals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runner.analysis import seeds
from runner.analysis.report import Context
from runner.analysis.seeds.finals import finals
from runner.analysis.seeds.overview import compared, reference
from tests.unit.analysis.made import Made, context

REFERENCE = "Karpathy Agent (Code) [Opus 4.6]"
FINALS = {
    "Centaur [Opus 4.6]": (0.972247, 0.97443, 0.974981, 0.972571, 0.971959, 0.974154, 0.974469,
                           0.975618),
    "Centaur [Opus 4.7]": (0.977262, 0.976314, 0.976612, 0.976418, 0.975301, 0.97722, 0.975201,
                           0.97334),
    "Centaur [Opus 4.8]": (0.974352, 0.975218, 0.976773, 0.972321, 0.973551, 0.976186, 0.973604,
                           0.976474),
    "Centaur [Sonnet 4.6]": (0.979908, 0.980489, 0.977554, 0.975113, 0.976864, 0.975991, 0.973896,
                             0.978484),
    "Karpathy Agent (14 HPs) [Opus 4.6]": (0.972945, 0.973347, 0.980529, 0.977546, 0.973907,
                                           0.973816, 0.973753, 0.973368),
    "Karpathy Agent (14 HPs) [Opus 4.7]": (0.974829, 0.979911, 0.971668, 0.976602, 0.972792,
                                           0.971706, 0.97257, 0.973012),
    "Karpathy Agent (14 HPs) [Opus 4.8]": (0.973239, 0.973568, 0.976566, 0.973606, 0.975114,
                                           0.978587, 0.978425, 0.972197),
    "Karpathy Agent (14 HPs) [Sonnet 4.6]": (0.975496, 0.975022, 0.979049, 0.977251, 0.975117,
                                             0.974104, 0.977259, 0.976705),
    REFERENCE: (0.977346, 0.973536, 0.980067, 0.970586, 0.975105, 0.980244, 0.976373, 0.970807),
    "Karpathy Agent (Code) [Opus 4.7]": (0.975058, 0.979835, 0.98084, 0.979067, 0.98043, 0.981351,
                                         0.97453, 0.977862),
    "Karpathy Agent (Code) [Opus 4.8]": (0.974833, 0.972963, 0.97178, 0.98185, 0.974594, 0.979912,
                                         0.976353, 0.979851),
    "Karpathy Agent (Code) [Sonnet 4.6]": (0.980454, 0.978507, 0.988443, 0.974452, 0.977988,
                                           0.973646, 0.970324, 0.973879),
}  # fmt: skip
# Mean and sd (ddof 0), then W+ and p against the reference by enumeration of all signs.
EXPECTED: dict[str, tuple[float, float, float | None, float | None]] = {
    "Centaur [Opus 4.6]": (0.973804, 0.001274, 9, 0.125),
    "Centaur [Opus 4.7]": (0.975958, 0.001221, 19, 0.578125),
    "Centaur [Opus 4.8]": (0.97481, 0.001505, 13, 0.2734375),
    "Centaur [Sonnet 4.6]": (0.977287, 0.002142, 26, 0.875),
    "Karpathy Agent (14 HPs) [Opus 4.6]": (0.974901, 0.002519, 14, 0.3203125),
    "Karpathy Agent (14 HPs) [Opus 4.7]": (0.974136, 0.002679, 12, 0.23046875),
    "Karpathy Agent (14 HPs) [Opus 4.8]": (0.975163, 0.002286, 17, 0.47265625),
    "Karpathy Agent (14 HPs) [Sonnet 4.6]": (0.97625, 0.001501, 21, 0.6796875),
    REFERENCE: (0.975508, 0.003495, None, None),
    "Karpathy Agent (Code) [Opus 4.7]": (0.978622, 0.002432, 29, 0.9453125),
    "Karpathy Agent (Code) [Opus 4.8]": (0.976517, 0.003404, 15, 0.37109375),
    "Karpathy Agent (Code) [Sonnet 4.6]": (0.977212, 0.005218, 23, 0.76953125),
}


def runs(name: str, values: Any, **more: Any) -> list[Made]:
    """A run for each value, with seeds from 0."""
    return [Made(name, [value], seed, **more) for seed, value in enumerate(values)]


@pytest.fixture(scope="module")
def automl() -> Context:
    """The finals of the twelve rows of the live page with a model, with eight seeds each."""
    made = [run for name, values in FINALS.items() for run in runs(name, values, kind="imported")]
    return context(*made)


def test_the_published_means_come_out(automl: Context) -> None:
    """Mean and sd with ddof 0 of all twelve rows are those of the live page."""
    table = seeds.report(automl).tables[0].rows.set_index("contestant")
    assert len(table) == len(EXPECTED)
    for name, (mean, sd, _, _) in EXPECTED.items():
        assert (table.loc[name, "mean"], table.loc[name, "sd"]) == pytest.approx(
            (mean, sd), abs=0.0000006
        )
    assert table["seeds"].unique().tolist() == [8]


def test_the_exact_p_of_all_rows_come_out(automl: Context) -> None:
    """Eleven one-sided p against one row are exact; after Holm's correction all are 1."""
    against = compared(automl, finals(automl), (REFERENCE, "it was asked for", True))
    assert against is not None
    assert len(against.rows) == against.tested == 11
    for name, pair in against.rows.items():
        assert (pair.w_plus, pair.p) == EXPECTED[name][2:]
        assert (pair.holm, pair.smallest) == (1, 0.00390625)


def test_nobody_known_as_a_baseline_makes_the_best_mean_the_reference(automl: Context) -> None:
    """The question then is whether the best mean is better than each other one."""
    chosen = reference(automl, finals(automl).values)
    assert chosen is not None
    assert (chosen[0], chosen[2]) == ("Centaur [Opus 4.6]", False)
    made = seeds.report(automl)
    table = next(table.rows for table in made.tables if table.name == "seeds-paired")
    row = table.set_index("contestant").loc["Centaur [Sonnet 4.6]"]
    assert row["difference"] == pytest.approx(0.977287 - 0.973804, abs=0.000001)
    assert row["p"] < 0.05 < row["p (Holm)"]
    assert row["95 % low"] < row["difference"] < row["95 % high"]


def test_the_best_baseline_is_the_reference() -> None:
    """Of two baselines that with the better mean is compared with, not the agent that beats it."""
    made = [
        *runs("gp", (2.0, 2.1, 2.2)),
        *runs("random", (3.0, 3.1, 3.2)),
        *runs("opus", (1.0, 1.2, 1.4), kind="agent"),
    ]
    both = context(*made)
    assert reference(both, finals(both).values) == (
        "gp", "it is the baseline with the best mean", True,
    )  # fmt: skip


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_three_seeds_cannot_show_a_difference(direction: str, sign: int) -> None:
    """Better with all three seeds gives p = .125, which is the least possible, and no claim."""
    gp = runs("gp", [sign * value for value in (2.0, 2.1, 2.3)], direction=direction)
    opus = runs("opus", [sign * 1.0] * 3, direction=direction, kind="agent")
    made = seeds.report(context(*gp, *opus))
    row = next(table.rows for table in made.tables if table.name == "seeds-paired").iloc[0]
    assert (row["p"], row["p (Holm)"], row["smallest p possible"]) == (0.125, 0.125, 0.125)
    assert (row["seeds better"], row["rank-biserial"], row["W+"]) == (3, 1, 0)
    assert row["difference"] == pytest.approx(sign * -3.4 / 3)
    assert "opus is not shown to be better than gp" in made.findings[0].text


def test_eight_seeds_can_show_a_difference() -> None:
    """Better with all eight seeds gives p = 1/256, and the sentence that it is better."""
    made = seeds.report(context(*runs("gp", np.linspace(2, 3, 8)),
                                *runs("opus", np.linspace(1, 1.5, 8), kind="agent")))  # fmt: skip
    assert "opus is better than gp: over 8 common seeds" in made.findings[0].text
    assert made.findings[0].n == 8
    assert "p = 0.00391" in made.findings[0].text


def test_a_run_with_budget_left_does_not_count() -> None:
    """Of three seeds one used 98 % of its budget: there is no test, and the row says why."""
    cut = Made("opus", [1.0], 2, kind="agent", run={"budget_share": 0.98})
    whole = runs("opus", (1.0, 1.1), kind="agent", run={"budget_share": 0.99})
    made = seeds.report(context(*runs("gp", (2.0, 2.1, 2.2)), *whole, cut))
    row = next(table.rows for table in made.tables if table.name == "seeds-paired").iloc[0]
    assert row["common seeds"] == 2
    assert np.isnan(row["p"])
    assert "2 common seeds; the test needs 3" in row["why no test"]
    assert "opus-s2 used 98.0% of its budget; 99% are needed" in row["why no test"]
    assert made.left_out == ("opus-s2 used 98.0% of its budget; 99% are needed",)


def test_a_run_that_goes_on_does_not_count() -> None:
    """A run of ours without a result has no final value yet; an import has no end to wait for."""
    going = {"ended_by": "no result yet", "budget_share": None}
    made = context(*runs("gp", (2.0,), run=going), *runs("x", (1.0,), kind="imported", run=going))
    assert finals(made).left_out == {"gp": ["gp-s0 has no result yet"]}
    assert finals(made).of("x").to_list() == [1.0]


def test_a_seed_counts_once() -> None:
    """Of two runs of a contestant with one seed the first by name counts, not the better one."""
    twice = [Made("gp", [2.0], 1, run={"run": "b"}), Made("gp", [3.0], 1, run={"run": "a"})]
    found = finals(context(*twice))
    assert found.of("gp").to_list() == [3.0]
    assert found.left_out == {"gp": ["b has the seed of a run that counts already"]}


def test_verified_values_have_a_table_of_their_own() -> None:
    """Where the referee has found values, their means stand beside the measured ones."""
    made = seeds.report(context(Made("gp", [1.0], 1, run={"verified": 1.5}), Made("gp", [1.2], 2)))
    table = next(table.rows for table in made.tables if table.name == "seeds-verified")
    assert (table["seeds"].iloc[0], table["mean"].iloc[0]) == (1, 1.5)
    assert table["runs left out"].iloc[0] == "gp-s2 has no verified value"


def test_the_noise_of_the_task_stands_beside_the_difference() -> None:
    """A difference of 1 at a noise of .5 is 2 σ, in the table and in the sentence."""
    noisy = {"noise_sd": 0.5}
    gp = runs("gp", (2.0, 2.1, 2.2), run=noisy)
    made = seeds.report(context(*gp, *runs("opus", (1.0, 1.1, 1.2), kind="agent", run=noisy)))
    row = next(table.rows for table in made.tables if table.name == "seeds-paired").iloc[0]
    assert row["difference / noise sd"] == pytest.approx(-2)
    assert "2.0 σ of the seed noise" in made.findings[0].text


def test_a_run_that_tried_every_setting_counts() -> None:
    """Its budget cannot be used up, and nothing could follow."""
    tried = runs("grid", (1.0, 1.1, 1.2), run={"budget_share": 0.1, "ended_by": "space"})
    made = seeds.report(context(*runs("gp", (2.0, 2.1, 2.2)), *tried))
    assert made.left_out == ()
