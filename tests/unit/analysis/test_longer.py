"""The best texts, trained for longer: means, gaps and what can be told of them."""

from __future__ import annotations

import pytest

from runner.analysis.longer import report
from runner.analysis.report import Context
from tests.unit.analysis.tables import tables

Values = dict[str, dict[float, list[float | None]]]


def context(values: Values, direction: str = "minimize") -> Context:
    """A comparison of runs: contestant → times → a value for each training seed."""
    runs = [
        {"run": f"{name}-s1", "contestant": name, "metric": "val_bpb", "unit": "",
         "direction": direction, "best": number}
        for number, name in enumerate(values)
    ]  # fmt: skip
    retests = [
        {"run": f"{name}-s1", "trial": 1, "times": times, "seed": seed, "value": value,
         "status": "crash" if value is None else "ok"}
        for name, own in values.items()
        for times, found in own.items()
        for seed, value in enumerate(found)
    ]  # fmt: skip
    frames = tables(runs, retests=retests)
    return Context("a task", frames, dict.fromkeys(values, "#0072b2"))


def test_gaps_are_those_of_the_means() -> None:
    """Means of 1.1 and 1.6: a gap of 0.5, which no resample closes."""
    values: Values = {"gpt": {2.0: [1.0, 1.2, 1.0, 1.2]}, "tpe": {2.0: [1.5, 1.7, 1.5, 1.7]}}
    found = report(context(values))
    rows = found.tables[0].rows
    assert list(rows["contestant"]) == ["gpt", "tpe"]
    assert list(rows["mean"]) == pytest.approx([1.1, 1.6])
    assert rows["sd"].iloc[0] == pytest.approx(0.1155, abs=1e-4)
    assert list(rows["gap"]) == pytest.approx([0.0, 0.5])
    assert 0.3 <= rows["gap, low"].iloc[1] < 0.5 < rows["gap, high"].iloc[1] <= 0.7
    [finding] = found.findings
    assert finding.told
    assert "gpt are ahead of those of tpe by 0.5000" in finding.text
    assert finding.n == 8


def test_more_is_better_of_a_maximised_metric() -> None:
    """The greater mean leads."""
    found = report(context({"gpt": {2.0: [1.0]}, "tpe": {2.0: [3.0]}}, "maximize"))
    assert list(found.tables[0].rows["contestant"]) == ["tpe", "gpt"]
    assert list(found.tables[0].rows["gap"]) == [0.0, 2.0]


def test_a_lead_can_change_with_the_time() -> None:
    """Each training time has a leader of its own, and the figure has a line for each contestant."""
    found = report(context({"gpt": {2.0: [1.0], 8.0: [0.9]}, "tpe": {2.0: [1.1], 8.0: [0.8]}}))
    texts = [finding.text for finding in found.findings]
    assert "gpt are ahead of those of tpe" in texts[0]
    assert "tpe are ahead of those of gpt" in texts[1]
    [figure] = found.figures
    [axes] = figure.drawn.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "8"]
    legend = axes.get_legend()
    assert legend is not None
    assert [label.get_text() for label in legend.get_texts()] == ["gpt", "tpe"]


def test_two_trainings_a_side_tell_nothing_of_luck() -> None:
    """Two against two do not overlap by chance once in three times, whatever the interval says."""
    found = report(context({"gpt": {2.0: [1.0, 1.2]}, "tpe": {2.0: [1.5, 1.7]}}))
    assert found.tables[0].rows["gap, low"].iloc[1] > 0
    [finding] = found.findings
    assert not finding.told
    assert "cannot be told" in finding.text


def test_one_training_tells_nothing_of_luck() -> None:
    """The gap is shown and no interval; the sentence says that it cannot be told."""
    found = report(context({"gpt": {2.0: [1.0]}, "tpe": {2.0: [1.5]}}))
    assert found.tables[0].rows["gap, low"].isna().all()
    [finding] = found.findings
    assert not finding.told
    assert "cannot be told" in finding.text


def test_an_interval_with_zero_is_no_lead() -> None:
    """Values that lie across each other."""
    values: Values = {"gpt": {2.0: [1.0, 2.0, 1.0, 2.0]}, "tpe": {2.0: [1.1, 2.1, 1.1, 2.1]}}
    found = report(context(values))
    [finding] = found.findings
    assert not finding.told
    assert "includes no difference" in finding.text


def test_without_longer_trainings_that_is_said() -> None:
    """No table, no figure, one sentence."""
    found = report(context({"gpt": {}, "tpe": {}}))
    assert found.tables == ()
    assert found.figures == ()
    assert "cannot be told" in found.findings[0].text


def test_a_training_that_failed_is_left_out_and_named() -> None:
    """Its status stands among what was left out; the others count."""
    found = report(context({"gpt": {2.0: [None, 1.0]}, "tpe": {2.0: [1.5]}}))
    assert list(found.tables[0].rows["n"]) == [1, 1]
    assert found.left_out == ("gpt-s1: its best text at 2 times its training time ended as crash",)


def test_one_contestant_and_hostile_names_are_no_trouble() -> None:
    """A name is text, in the table and in the figure."""
    found = report(context({"<script>$x$": {2.0: [1.0, 1.1], 4.0: [1.0]}}))
    assert found.findings == ()
    assert list(found.tables[0].rows["contestant"]) == ["<script>$x$"] * 2
    assert found.figures[0].text.startswith("At 4 times")
