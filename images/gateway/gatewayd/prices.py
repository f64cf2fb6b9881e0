"""Dollars for tokens: genai-prices, with the run's own table for what it does not know."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider, TieredPrices

from .settings import PriceOverride, Settings
from .tokens import Tokens

NOTHING = Decimal(0)
MILLION = 1_000_000


class UnpricedError(ValueError):
    """A model of the run has no price, and the run did not say that it may."""


class Prices:
    """The prices of one run's models.

    Args:
        settings: provider, models, overrides and whether a model may go without a price.

    Raises:
        UnpricedError: a model has no price and `allow_unpriced` is false.
    """

    def __init__(self, settings: Settings) -> None:
        self._models: dict[str, tuple[Provider, ModelInfo] | None] = {}
        self._rates: dict[str, _Rates | None] = {}
        for name in settings.models:
            override = settings.prices.get(name)
            found = _overridden(name, override) if override else _known(settings.provider, name)
            if found is None and not settings.allow_unpriced:
                raise UnpricedError(f"no price is known for model {name}")
            self._models[name] = found
            self._rates[name] = _Rates(found[1].get_prices(datetime.now(UTC))) if found else None

    @property
    def unpriced(self) -> list[str]:
        """The models whose requests cost nothing here because their price is not known."""
        return [name for name, found in self._models.items() if found is None]

    def cost_usd(self, model: str, tokens: Tokens) -> Decimal:
        """What `tokens` of a model of the run cost, in US dollars."""
        found = self._models[model]
        if found is None:
            return NOTHING
        provider, listed = found
        return listed.calc_price(_usage(tokens), provider).total_price

    def worst_usd(self, model: str, prompt: int, output: int, cache_writes: str) -> Decimal:
        """The most that a request of these sizes can cost, in US dollars.

        Args:
            model: one of the run's models.
            prompt: tokens of the prompt, at most.
            output: tokens generated, at most.
            cache_writes: longest cache that it may write to: "", "5m" or "1h".
        """
        rates = self._rates[model]
        if rates is None:
            return NOTHING
        return (
            rates.prompt(prompt, cache_writes) * prompt + rates.output(prompt) * output
        ) / MILLION

    def affordable_output(
        self, model: str, prompt: int, cache_writes: str, usd: Decimal, most: int
    ) -> int:
        """The largest output that `usd` pays for beside its prompt, at most `most`; 0 for none."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self.worst_usd(model, prompt, middle, cache_writes) <= usd:
                low = middle
            else:
                high = middle - 1
        return low


class _Rates:
    """A model's dearest rates, in US dollars per million tokens, for pricing worst cases quickly.

    genai-prices prices a request in a tenth of a millisecond; that is too long before the first
    byte. A test holds that these rates never come out below its own.
    """

    def __init__(self, price: ModelPrice) -> None:
        given = {"": price.input_mtok, "5m": price.cache_write_mtok}
        given["1h"] = price.cache_write_1h_mtok or price.cache_write_mtok
        self._prompt = {kind: _tiers(rate) for kind, rate in given.items()}
        self._output = _tiers(price.output_mtok)

    def prompt(self, tokens: int, cache_writes: str) -> Decimal:
        """The dearest rate of a prompt of so many tokens that may write to a cache."""
        kinds = {"": ("",), "5m": ("", "5m"), "1h": ("", "5m", "1h")}[cache_writes]
        return max(_rate(self._prompt[kind], tokens) for kind in kinds)

    def output(self, prompt: int) -> Decimal:
        """The rate of output behind a prompt of so many tokens."""
        return _rate(self._output, prompt)


def _tiers(price: Decimal | TieredPrices | None) -> list[tuple[int, Decimal]]:
    """Rates with the prompt length from which each holds."""
    if price is None:
        return [(0, NOTHING)]
    if isinstance(price, TieredPrices):
        return [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)]
    return [(0, price)]


def _rate(tiers: list[tuple[int, Decimal]], prompt: int) -> Decimal:
    """The dearest rate up to this length; a shorter prompt may be what the provider counts."""
    return max(rate for start, rate in tiers if start <= prompt)


def _known(provider: str, name: str) -> tuple[Provider, ModelInfo] | None:
    try:
        return get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None


def _overridden(name: str, price: PriceOverride) -> tuple[Provider, ModelInfo]:
    def or_input(rate: Decimal | None) -> Decimal:
        return price.input if rate is None else rate

    rates = ModelPrice(
        input_mtok=price.input,
        output_mtok=price.output,
        cache_read_mtok=or_input(price.cached_read),
        cache_write_mtok=or_input(price.cache_write_5m),
        cache_write_1h_mtok=or_input(price.cache_write_1h),
    )
    model = ModelInfo(id=name, match=ClauseEquals(equals=name), prices=rates)
    return Provider(id="override", name="override", api_pattern="", models=[model]), model


def _usage(tokens: Tokens) -> Usage:
    writes = tokens.cache_write_5m + tokens.cache_write_1h
    counts: dict[str, int] = {"input_tokens": tokens.prompt, "output_tokens": tokens.output}
    if tokens.cached_read:
        counts["cache_read_tokens"] = tokens.cached_read
    if writes:
        counts["cache_write_tokens"] = writes
    if tokens.cache_write_1h:
        counts["cache_write_1h_tokens"] = tokens.cache_write_1h
    return Usage(**counts)
