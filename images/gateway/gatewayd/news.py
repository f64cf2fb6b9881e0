"""What the gateway has to tell the runner; `voice.py` puts it into messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class News(ABC):
    """Takes what happened, in order. No method blocks or raises."""

    @abstractmethod
    def usage(self, record: dict[str, Any]) -> None:
        """A request was settled; the record is a line of `usage.jsonl`."""

    @abstractmethod
    def denied(self, reason: str, detail: str) -> None:
        """A request was refused."""

    @abstractmethod
    def cap_reached(self, budget: str, detail: str) -> None:
        """No further request fits a budget: usd, tokens or requests."""

    @abstractmethod
    def outage(self, began: float, ended: float, reason: str) -> None:
        """The provider was out of reach between two moments (unix seconds)."""

    @abstractmethod
    def problem(self, during: str, message: str) -> None:
        """Something went wrong that the journal should know."""
