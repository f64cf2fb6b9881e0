"""Checks what was asked of a run's model: its server, its price, its key."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import genai_prices
from pydantic import SecretStr

from runner import spec
from runner.agents import RunModel
from runner.errors import UserError
from runner.options.asked import RunOptions
from runner.prices import prices
from runner.wire.model_config import Provider

REHEARSAL_KEY = "rehearsal-key-worth-nothing"
BASE_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:(?P<port>\d{1,5}))?(/[\w.~%!$&'()*+,;=:/-]*)?"
)
LAST_PORT = 65535


def model_fields(asked: RunOptions, model: RunModel, env: Mapping[str, str]) -> dict[str, object]:
    """The fields of a spec that say how a model is reached, once nothing is wrong with them.

    Raises:
        UserError: a bad address, a model without a price, or no key.
    """
    if asked.base_url is not None:
        check_base_url(asked.base_url, model)
    if not asked.allow_unpriced:
        check_prices(model)
    own_server = asked.base_url is not None
    key = REHEARSAL_KEY if asked.rehearsal else key_of(model, env, own_server=own_server)
    return {
        "rehearsed": asked.rehearsal,
        "record": asked.record,
        "base_url": asked.base_url,
        "allow_unpriced": asked.allow_unpriced,
        "orphan_minutes": orphan_minutes(asked),
        "api_key": SecretStr(key),
    }


def orphan_minutes(asked: RunOptions) -> float:
    if not 0 < asked.orphan_minutes < math.inf:
        raise UserError(
            "setting how long a model may be asked without its runner: ORPHAN_MINUTES is "
            f"{asked.orphan_minutes:g}",
            hint=f"give it minutes above 0, such as {spec.ORPHAN_MINUTES:g}",
        )
    return asked.orphan_minutes


def check_base_url(url: str, model: RunModel) -> None:
    """Refuse a BASE_URL that is not the address of a server, or that holds a secret.

    Raises:
        UserError: it is anything but `http(s)://host[:port][/path]`.
    """
    names = " or ".join(model.key_variables)
    if "@" in url:  # not repeated: what stands before it is a password
        raise UserError(
            "setting BASE_URL: it holds a user name or a password, which the records would show",
            hint=f"leave out what stands before the @, and put the key into {names}",
        )
    found = BASE_URL.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 80) <= LAST_PORT:
        raise UserError(
            f"setting BASE_URL: {url.partition('?')[0]!r} is not the address of a server",
            hint="write it as http://192.0.2.1:8000/v1 or https://llm.example.org, without ? and "
            f"#; the key goes into {names}",
        )


def check_prices(model: RunModel) -> None:
    """Refuse a model whose cost in dollars could not be counted.

    Raises:
        UserError: neither genai-prices nor `runner/prices.toml` has a price for it.
    """
    if not is_priced(model):
        raise UserError(
            f"pricing model {model.model}: no price is known, so no dollar budget could hold",
            hint="add it to runner/prices.toml, or set ALLOW_UNPRICED=1",
        )


def is_priced(model: RunModel) -> bool:
    """Whether genai-prices or `runner/prices.toml` has a price for the model."""
    return model.model in prices() or is_sold_by(model.provider, model.model)


def is_sold_by(provider: Provider, model: str) -> bool:
    """Whether genai-prices knows the model's price at a provider."""
    once = genai_prices.Usage(input_tokens=1, output_tokens=1)
    try:
        genai_prices.calc_price(once, model, provider_id=provider)
    except LookupError:
        return False
    return True


def key_of(model: RunModel, env: Mapping[str, str], *, own_server: bool) -> str:
    """The user's key. It goes into a `SecretStr` and is never printed."""
    for variable in model.key_variables:
        if value := env.get(variable, "").strip():
            return value
    if own_server:
        return "no-key"
    names = " or ".join(model.key_variables)
    raise UserError(
        f"starting {model.asked_by}: there is no {names}",
        hint=f"put {names}=… into the environment or into the file .env in this folder; "
        "or set REHEARSAL=1 to run everything with a scripted model",
    )
