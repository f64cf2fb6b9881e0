"""What the gateway is told in `start`: validated once, frozen, and never printed with a secret.

The key arrives here and nowhere else. `SecretStr` keeps it out of every repr, and
`hide_input_in_errors` keeps a rejected value out of the message that says why it was rejected.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

Provider = Literal["anthropic", "openai", "google"]


class SettingsError(ValueError):
    """`start.config` cannot be worked with; the text is safe to print."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Caps(_Table):
    """What a run may spend; None is no cap."""

    usd: Decimal | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    requests: int | None = Field(default=None, ge=0)


class PriceOverride(_Table):
    """US dollars per million tokens, for models that genai-prices does not know."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached_read: Decimal | None = Field(default=None, ge=0)
    cache_write_5m: Decimal | None = Field(default=None, ge=0)
    cache_write_1h: Decimal | None = Field(default=None, ge=0)


class Limits(_Table):
    """Bounds on what the sandbox may ask of the gateway, and the gateway of a provider."""

    concurrency: int = Field(default=32, ge=1)
    requests_per_minute: int = Field(default=600, ge=1)
    body_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    queue_seconds: float = Field(default=30, ge=0)
    retry_seconds: float = Field(default=150, ge=0)
    backoff_seconds: float = Field(default=0.25, gt=0)
    silence_seconds: float = Field(default=600, gt=0)


class Settings(_Table):
    """The whole of `start.config`."""

    provider: Provider
    base_url: str
    api_key: SecretStr
    token: SecretStr
    models: tuple[str, ...] = Field(min_length=1)
    prices: dict[str, PriceOverride] = {}
    caps: Caps = Caps()
    allow_unpriced: bool = False
    rehearsed: bool = False
    record: bool = False
    deadline_seconds: float = Field(gt=0)
    limits: Limits = Limits()

    @field_validator("base_url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        if not url.startswith(("https://", "http://", "unix:///")):
            raise ValueError("must begin with https://, http:// or unix:///")
        return url.rstrip("/")

    @field_validator("api_key", "token")
    @classmethod
    def _sendable(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be printable ASCII without blanks, and not empty")
        return secret


def read_settings(config: dict[str, Any]) -> Settings:
    """The settings in a `start` message.

    Raises:
        SettingsError: a field is missing, unknown or of a wrong kind; no value is quoted.
    """
    try:
        return Settings.model_validate(config)
    except ValidationError as error:
        parts = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise SettingsError("; ".join(parts)) from None
