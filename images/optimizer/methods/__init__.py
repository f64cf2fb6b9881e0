"""The table of methods that use a model: a new one is a module and an entry in `METHODS`.

docs/optimisers.md explains each, with its source and its prompt. Two of them are more than a method
that proposes settings: `llm-code` searches whole texts (texts.py), and `llm-space` proposes a space
before its study is opened (opening.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_config import ModelConfig
from optuna.samplers import CmaEsSampler
from samplers import SAMPLERS
from samplers.as_published import cmaes_of_automl
from samplers.entry import Entry
from samplers.ready_made import cmaes

from methods.centaur import CMAES, Centaur
from methods.llambo import Llambo
from methods.llambo_optuna import LlamboOptuna
from methods.llm_knobs import LlmKnobs
from methods.llm_space import SamplerAlone
from methods.terms import AUTOML_2026, RANDOM, Method, Search
from methods.warm import Warm

TPE = "tpe"


class MethodError(ValueError):
    """The method cannot be used as it is asked for; the text says why."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        make: the method, of what does not change, the config and the inner sampler's name; None
            where whole texts are searched.
        inner: the sampler that it works with by default; "" for none.
        any_inner: whether another one may be named.
        asked_once: all its requests are made for trial 1.
    """

    make: Callable[[Search, ModelConfig, str], Method] | None
    inner: str = ""
    any_inner: bool = False
    asked_once: bool = False

    def sampler(self, config: ModelConfig) -> str:
        """The name of the sampler that draws what the method leaves to it.

        Raises:
            MethodError: the method works with no such sampler.
        """
        named = config.inner or self.inner
        if named != self.inner and not self.any_inner:
            works = f"with {self.inner} alone" if self.inner else "without a sampler"
            raise MethodError(f"{config.method} works {works}, so {named} cannot be its sampler")
        if named and named not in SAMPLERS:
            raise MethodError(f"no sampler {named!r}; known: {', '.join(SAMPLERS)}")
        return named or RANDOM


def _centaur(search: Search, config: ModelConfig, _inner: str) -> Method:
    return Centaur(search, config.ratio, _cmaes_of(config))


def _cmaes_of(config: ModelConfig) -> Callable[[int, int], CmaEsSampler]:
    """CMA-ES as Centaur works with it; that of the study is told failures, too."""
    return cmaes_of_automl if config.as_published == AUTOML_2026 else cmaes


METHODS: dict[str, Row] = {
    "llm-knobs": Row(lambda search, _config, _inner: LlmKnobs(search)),
    "llm-code": Row(None),
    "llambo": Row(lambda search, _config, _inner: Llambo(search)),
    "llambo-optuna": Row(lambda search, _config, _inner: LlamboOptuna(search)),
    "centaur": Row(_centaur, CMAES),
    "llm-space": Row(lambda _search, _config, inner: SamplerAlone(inner), TPE, any_inner=True),
    "warm": Row(
        lambda search, config, inner: Warm(search, inner, config.first),
        TPE,
        any_inner=True,
        asked_once=True,
    ),
}


def row_of(config: ModelConfig) -> Row:
    """The method's row.

    Raises:
        MethodError: there is no such method.
    """
    if config.method not in METHODS:
        raise MethodError(f"no method {config.method!r}; known: {', '.join(METHODS)}")
    return METHODS[config.method]


def entry_of(config: ModelConfig) -> Entry | None:
    """The inner sampler where the method chooses more than its name; None: that of the table."""
    return Entry(_cmaes_of(config)) if config.method == "centaur" else None
