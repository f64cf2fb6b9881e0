"""The user's own prices of models, from `runner/prices.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from runner.errors import UserError
from runner.spec import read_table
from runner.wire.config_reader import ConfigError, read_config
from runner.wire.start_config import PriceOverride


@cache
def prices() -> dict[str, PriceOverride]:
    """The user's own prices by model.

    Raises:
        UserError: a price in it makes no sense.
    """
    table = read_table(Path(__file__).with_name("prices.toml"))
    return {model: read_price(model, fields) for model, fields in table.items()}


def read_price(model: str, fields: Mapping[str, Any]) -> PriceOverride:
    """The price of a model as a table of `runner/prices.toml` gives it.

    Raises:
        UserError: a field is unknown, missing or no price.
    """
    try:
        return read_config(PriceOverride, fields)
    except ConfigError as error:
        raise UserError(
            f"reading the price of {model} in runner/prices.toml: {error}",
            hint="the top of that file shows an example",
        ) from error
