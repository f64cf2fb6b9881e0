"""The table of methods that use a model: a new one is a module and an entry in `METHODS`.

docs/optimisers.md explains each, with its source and its prompt. Two of them are more than a method
that proposes settings: `llm-code` searches whole texts (texts.py), and `llm-space` proposes a space
before its study is opened (opening.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_config import ModelConfig
from samplers import SAMPLERS
from samplers.as_published import cmaes_of_automl
from samplers.entry import Entry
from samplers.ready_made import cmaes

from methods.centaur import CMAES, Centaur
from methods.llm_knobs import LlmKnobs
from methods.llm_space import SamplerAlone
from methods.terms import AUTOML_2026, Method, Search
from methods.warm import Warm

RANDOM, TPE = "random", "tpe"


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


def _llm_knobs(search: Search, config: ModelConfig, inner: str) -> Method:
    del config, inner
    return LlmKnobs(search)


def _llambo(search: Search, config: ModelConfig, inner: str) -> Method:
    del config, inner
    from methods.llambo import Llambo

    return Llambo(search)


def _llambo_optuna(search: Search, config: ModelConfig, inner: str) -> Method:
    del config, inner
    from methods.llambo_optuna import LlamboOptuna

    return LlamboOptuna(search)


def _centaur(search: Search, config: ModelConfig, inner: str) -> Method:
    del inner
    theirs = search.as_published == AUTOML_2026
    return Centaur(search, config.ratio, cmaes_of_automl if theirs else cmaes)


def _warm(search: Search, config: ModelConfig, inner: str) -> Method:
    return Warm(search, inner, config.first)


def _llm_space(search: Search, config: ModelConfig, inner: str) -> Method:
    del search, config
    return SamplerAlone(inner)


METHODS: dict[str, Row] = {
    "llm-knobs": Row(_llm_knobs),
    "llm-code": Row(None),
    "llambo": Row(_llambo),
    "llambo-optuna": Row(_llambo_optuna),
    "centaur": Row(_centaur, CMAES),
    "llm-space": Row(_llm_space, TPE, any_inner=True),
    "warm": Row(_warm, TPE, any_inner=True, asked_once=True),
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
    """The inner sampler where it is none of the table, because a study's behaviour is wanted."""
    theirs = config.method == "centaur" and config.as_published == AUTOML_2026
    return Entry(cmaes_of_automl) if theirs else None
