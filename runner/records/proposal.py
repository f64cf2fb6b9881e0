"""Who proposed a trial of a baseline that uses a model, and what became of the model's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

# Words beside the names of samplers; images/optimizer/methods/terms.py has the same.
DEFAULT, MODEL, WARM, FALLBACK, UNKNOWN = "default", "model", "warm", "fallback", "unknown"
ORDER = (DEFAULT, WARM, "", MODEL, FALLBACK, UNKNOWN)  # "" is the place of samplers


class Proposal(BaseModel):
    """The provenance of a trial.

    Args:
        by: default (trial 0), model, warm (a model's, before the sampler searches), the name of a
            sampler, fallback (the model gave nothing usable), or unknown.
        requests: the gateway's names of the requests that it came from, as far as the gateway
            settled such.
        usd: what those of them cost that no earlier trial came from, by the gateway's records.
        tokens: their tokens, cached ones too.
        changed: knob → what was done to the model's word, and why, if that is to be said.
        repairs: what was mended before the answer could be read.
        duplicate: an earlier trial had this very setting.
        why: why it is a fallback, else empty.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    by: str
    requests: tuple[str, ...] = ()
    usd: float = 0.0
    tokens: int = 0
    changed: dict[str, str] = {}
    repairs: tuple[str, ...] = ()
    duplicate: bool = False
    why: str = ""


def counts(proposals: Iterable[Proposal | None]) -> dict[str, int]:
    """Source → how many trials it proposed, in the order in which people read them."""
    found = Counter(one.by for one in proposals if one is not None)
    return dict(sorted(found.items(), key=lambda pair: (_place(pair[0]), pair[0])))


def in_words(found: dict[str, int]) -> str:
    """The same for a person: `default 1, cmaes 14, model 6, fallback 1`; "" for none."""
    return ", ".join(f"{source} {count}" for source, count in found.items())


def _place(source: str) -> int:
    return ORDER.index(source) if source in ORDER else ORDER.index("")
