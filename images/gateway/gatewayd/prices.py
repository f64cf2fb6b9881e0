"""Dollars for tokens: genai-prices, with the run's own table for what it does not know."""

from __future__ import annotations

from decimal import Decimal

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider

from .settings import PriceOverride, Settings
from .tokens import Tokens

NOTHING = Decimal(0)


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
        for name in settings.models:
            override = settings.prices.get(name)
            found = _overridden(name, override) if override else _known(settings.provider, name)
            if found is None and not settings.allow_unpriced:
                raise UnpricedError(f"no price is known for model {name}")
            self._models[name] = found

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
        guesses = [Tokens(input=prompt, output=output)]
        if cache_writes:
            guesses.append(Tokens(cache_write_5m=prompt, output=output))
        if cache_writes == "1h":
            guesses.append(Tokens(cache_write_1h=prompt, output=output))
        return max(self.cost_usd(model, guess) for guess in guesses)

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
