"""What the gateway is told in `start`, checked once and frozen.

The key arrives here and nowhere else. No `repr` of the settings shows it, and no error about them
quotes a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config_reader import ConfigError, read_config
from start_config import Caps, GatewayConfig, Limits, PriceOverride

__all__ = ["Caps", "ConfigError", "Limits", "PriceOverride", "Settings", "read_settings"]

SCHEMES = ("https://", "http://", "unix:///")


@dataclass(frozen=True)
class Settings(GatewayConfig):
    """`start.config`, checked further than its types and bounds.

    Raises:
        ConfigError: a value cannot be worked with.
    """

    def __post_init__(self) -> None:
        if not self.base_url.startswith(SCHEMES):
            raise ConfigError(f"base_url must begin with one of {', '.join(SCHEMES)}")
        for name in ("api_key", "token"):
            if not _is_sendable(getattr(self, name)):
                raise ConfigError(f"{name} must be printable ASCII without blanks, and not empty")
        if not self.models:
            raise ConfigError("models must name at least one model")


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings in a `start` message.

    Raises:
        ConfigError: a field is missing, unknown or of a wrong kind; no value is quoted.
    """
    return read_config(Settings, config)


def _is_sendable(secret: str) -> bool:
    """Whether a header can carry the secret."""
    return bool(secret) and secret.isascii() and secret.isprintable() and " " not in secret
