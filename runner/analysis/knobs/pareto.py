"""Value against dollars: which runs no other run beats in both."""

from __future__ import annotations

import numpy as np
import pandas as pd

from runner.analysis.report import Context
from runner.analysis.search.effort import device_seconds, dollars, prices


def costs(context: Context) -> pd.DataFrame:
    """A row a run that has a value and a known cost, the cheapest first.

    A run of a model without a price has no known cost. A source that says nothing of a model has
    that of training alone, if an hour of it has a price.

    Returns:
        `run`, `contestant`, `dollars` (model and training, US dollars), `value` (the best), and
        `front`: whether no other run is better and costs as little, or as good and cheaper.
    """
    runs = context.frames.runs
    table = pd.DataFrame(
        {
            "run": runs["run"],
            "contestant": runs["contestant"],
            "dollars": dollars(runs["usd"], device_seconds(runs), prices(context, runs["run"])),
            "value": runs["best"],
        }
    ).dropna(subset=["dollars", "value"])
    table = table[~table["run"].isin(context.unpriced)]
    table["signed"] = context.sign * table["value"]
    pair = ["dollars", "signed"]
    table = table.sort_values([*pair, "run"], kind="stable")
    distinct = table[pair].drop_duplicates()
    # In this order a run is beaten exactly if one before it is as good.
    distinct["front"] = distinct["signed"] < distinct["signed"].cummin().shift(fill_value=np.inf)
    return table.merge(distinct, on=pair, how="left").drop(columns="signed")
