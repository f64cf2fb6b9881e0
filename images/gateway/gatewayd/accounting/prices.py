"""US dollars for tokens: the rates of genai-prices, and the run's own table for unknown models.

The cost of a request is calculated here, because genai-prices takes 0.2 to 0.4 ms to do it. A test
holds that both agree for every model of the three providers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider, TieredPrices

from ..dialects.tokens import Tokens
from ..settings import PriceOverride, Settings

Rate = Decimal | TieredPrices | None
NOTHING = Decimal(0)
MILLION = 1_000_000
# The price of writing to a cache, as a multiple of plain input, where an override does not say it:
# Anthropic's multiples for five minutes and for an hour. The first is OpenAI's as well.
CACHE_WRITE_5M, CACHE_WRITE_1H = Decimal("1.25"), Decimal(2)
# The context window assumed where it is unknown: no model of the three providers has a larger one.
LARGEST_WINDOW_TOKENS = 2_097_152


class UnpricedError(ValueError):
    """A model of the run has no price, and the run does not allow unpriced models."""


class Prices:
    """The prices of one run's models.

    Args:
        settings: provider, models, price overrides, and whether a model may be unpriced.

    Raises:
        UnpricedError: a model has no price and `allow_unpriced` is false.
    """

    def __init__(self, settings: Settings) -> None:
        self._models: dict[str, tuple[Provider, ModelInfo] | None] = {}
        self._rates: dict[str, _HighestRates | None] = {}
        self._exact: dict[str, tuple[ModelPrice, _ExactRates]] = {}
        for name in settings.models:
            override = settings.prices.get(name)
            found = _overridden(name, override) if override else _known(settings.provider, name)
            if found is None and not settings.allow_unpriced:
                raise UnpricedError(f"no price is known for model {name}")
            self._models[name] = found
            self._rates[name] = (
                _HighestRates(found[1].get_prices(datetime.now(UTC))) if found else None
            )

    @property
    def unpriced(self) -> list[str]:
        """The models whose requests are charged nothing, because their price is not known."""
        return [name for name, found in self._models.items() if found is None]

    def window(self, model: str) -> int:
        """The context window of one of the run's models, in tokens."""
        found = self._models[model]
        return (found[1].context_window if found else None) or LARGEST_WINDOW_TOKENS

    def cost_usd(self, model: str, tokens: Tokens) -> Decimal:
        """What `tokens` of one of the run's models cost, in US dollars."""
        found = self._models[model]
        if found is None:
            return NOTHING
        price = found[1].get_prices(datetime.now(UTC))  # some rates depend on the hour or the day
        cached = self._exact.get(model)
        if cached is None or cached[0] is not price:
            cached = self._exact[model] = (price, _ExactRates(price))
        return cached[1].cost_usd(tokens)

    def worst_usd(self, model: str, prompt: int, output: int, cache_writes: str) -> Decimal:
        """The most that a request of these sizes can cost, in US dollars.

        Args:
            model: one of the run's models.
            prompt: tokens of the prompt, at most.
            output: tokens generated, at most.
            cache_writes: the longest-lived cache that it may write to: "", "5m" or "1h".
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
        """The largest output, in tokens, that `usd` pays for after the prompt.

        Args:
            model: one of the run's models.
            prompt: tokens of the prompt, at most.
            cache_writes: as for `worst_usd`.
            usd: the US dollars that are left.
            most: the largest output that is asked for, in tokens.

        Returns:
            At most `most`; 0 where nothing is left.
        """
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self.worst_usd(model, prompt, middle, cache_writes) <= usd:
                low = middle
            else:
                high = middle - 1
        return low


class _HighestRates:
    """A model's highest rates, in US dollars per million tokens, for the price of worst cases.

    A test holds that a price by these rates is never below that of genai-prices.
    """

    def __init__(self, price: ModelPrice) -> None:
        given = {"": price.input_mtok, "5m": price.cache_write_mtok}
        given["1h"] = price.cache_write_1h_mtok or price.cache_write_mtok
        self._prompt = {kind: _tiers(rate) for kind, rate in given.items()}
        self._output = _tiers(price.output_mtok)

    def prompt(self, tokens: int, cache_writes: str) -> Decimal:
        """The highest rate of a prompt of so many tokens that may write to a cache."""
        kinds = {"": ("",), "5m": ("", "5m"), "1h": ("", "5m", "1h")}[cache_writes]
        return max(_highest_rate(self._prompt[kind], tokens) for kind in kinds)

    def output(self, prompt: int) -> Decimal:
        """The rate of the output after a prompt of so many tokens."""
        return _highest_rate(self._output, prompt)


class _ExactRates:
    """A model's rates by kind of token, for the cost of a settled request."""

    def __init__(self, price: ModelPrice) -> None:
        def known(rate: Rate, otherwise: Rate) -> Rate:
            return otherwise if rate is None else rate

        self._plain, self._output = price.input_mtok, price.output_mtok
        self._read = known(price.cache_read_mtok, self._plain)
        self._write = known(price.cache_write_mtok, self._plain)
        self._write_1h = known(price.cache_write_1h_mtok, self._write)

    def cost_usd(self, tokens: Tokens) -> Decimal:
        """What the tokens cost, in US dollars."""
        prompt = tokens.prompt
        counts = (
            (self._plain, tokens.input),
            (self._read, tokens.cached_read),
            (self._write, tokens.cache_write_5m),
            (self._write_1h, tokens.cache_write_1h),
            (self._output, tokens.output),
        )
        return sum((_rate_at(rate, prompt) * n for rate, n in counts if n), NOTHING) / MILLION


def _rate_at(price: Rate, prompt: int) -> Decimal:
    """The rate for a prompt of so many tokens: that of the last tier that it exceeds."""
    if not isinstance(price, TieredPrices):
        return price or NOTHING
    return next((one.price for one in reversed(price.tiers) if prompt > one.start), price.base)


def _tiers(price: Rate) -> list[tuple[int, Decimal]]:
    """Rates, each with the prompt length from which it applies."""
    if price is None:
        return [(0, NOTHING)]
    if isinstance(price, TieredPrices):
        return [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)]
    return [(0, price)]


def _highest_rate(tiers: list[tuple[int, Decimal]], prompt: int) -> Decimal:
    """The highest rate up to this length, because the provider may count a shorter prompt."""
    return max(rate for start, rate in tiers if start <= prompt)


def _known(provider: str, name: str) -> tuple[Provider, ModelInfo] | None:
    try:
        return get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None


def _overridden(name: str, price: PriceOverride) -> tuple[Provider, ModelInfo]:
    def rate(given: float | None, multiple: Decimal = Decimal(1)) -> Decimal:
        return Decimal(str(price.input)) * multiple if given is None else Decimal(str(given))

    rates = ModelPrice(
        input_mtok=rate(price.input),
        output_mtok=rate(price.output),
        cache_read_mtok=rate(price.cached_read),
        cache_write_mtok=rate(price.cache_write_5m, CACHE_WRITE_5M),
        cache_write_1h_mtok=rate(price.cache_write_1h, CACHE_WRITE_1H),
    )
    model = ModelInfo(id=name, match=ClauseEquals(equals=name), prices=rates)
    return Provider(id="override", name="override", api_pattern="", models=[model]), model
