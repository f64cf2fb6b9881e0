"""Makes a `Proposer` of what was asked of a baseline with a model, and names its contestant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from string import Template

from runner import spec
from runner.agents import MODEL_NAME
from runner.agents.models import PROVIDERS, first_model, provider_of_agents
from runner.errors import HostError, UserError, unknown_name
from runner.options.asked import RunOptions
from runner.options.model import is_sold_by
from runner.records.layout import ROOT
from runner.samplers import OF_SOME, Method, find_inner, load_methods
from runner.spec import PromptText, Proposer
from runner.wire.model_config import Provider

PROMPTS = ROOT / "setup_prompts" / "optimisers"
STUDIES = {"automl-2026": "automl"}  # AS_PUBLISHED → what it adds to a contestant's name
MOST_FIRST = 1000
MOST_CONTESTANT_CHARS = 40  # of a run id, so that a seed of six digits has room as a rule
HASH_CHARS = 4
OF_MODELS = (
    "MODEL", "PROVIDER", "BASE_URL", "RECORD", "ALLOW_UNPRICED", "ORPHAN_MINUTES", "INNER", "RATIO",
    "FIRST", "AS_PUBLISHED",
)  # fmt: skip


def is_method(name: str) -> bool:
    """Whether SAMPLER names an optimiser that uses a model."""
    return name in load_methods()


def check_without_model(name: str, asked: RunOptions) -> None:
    """Refuse options of a model to a sampler that uses none.

    REHEARSAL is none of them: a loop over contestants may set it for all.

    Raises:
        UserError: one of them was given.
    """
    given = _given(asked, OF_MODELS)
    if given:
        raise UserError(
            f"setting {given[0]} of {name}: it is a sampler without a model",
            hint=f"leave {given[0]} out, or take one with a model: {', '.join(load_methods())}",
        )


def proposer_of(name: str, asked: RunOptions) -> Proposer:
    """How the model takes part in the run that was asked for.

    Raises:
        UserError: an option that the method does not have, a bad value, or no model.
        HostError: a prompt that the method needs is missing.
    """
    method = load_methods()[name]
    _check_taken(method, asked)
    _check_numbers(asked)
    if asked.as_published is not None and asked.as_published not in STUDIES:
        raise unknown_name("study of AS_PUBLISHED", asked.as_published, STUDIES)
    provider, model = _model(name, asked)
    inner = find_inner(method, asked.inner)
    return Proposer(
        method=name,
        provider=provider,
        model=model,
        inner="" if inner is None else inner.name,
        ratio=spec.RATIO if asked.ratio is None else asked.ratio,
        first=spec.FIRST if asked.first is None else asked.first,
        as_published=asked.as_published or "",
        prompts=read_prompts(method.prompts),
    )


def asks_to_the_end(proposer: Proposer) -> bool:
    """Whether its model is asked again and again, however long the run is."""
    if "RATIO" in load_methods()[proposer.method].takes:
        return proposer.ratio > 0
    return not proposer.inner


def read_prompts(names: Iterable[str], folder: Path | None = None) -> dict[str, PromptText]:
    """The templates of these names, with their hashes.

    Args:
        names: of files, without `.md`.
        folder: where they are, if not in setup_prompts/optimisers/.

    Raises:
        HostError: a file is missing, is not UTF-8, or is no template.
    """
    return {name: _read_prompt((folder or PROMPTS) / f"{name}.md") for name in names}


def contestant_of(proposer: Proposer, pruner: str, base_url: str | None = None) -> str:
    """The contestant's name: two that differ in what their trials depend on have different names.

    A model's name that is cut or changed for it, or does not say by itself who answers, ends in
    some digits of a hash of all that says it. The whole has at most `MOST_CONTESTANT_CHARS`, unless
    nothing but the digits is left of the model's name.
    """
    method = load_methods()[proposer.method]
    before = [
        proposer.method,
        *([proposer.inner] if proposer.inner != method.inner else []),
        *([f"r{proposer.ratio:g}"] if proposer.ratio != spec.RATIO else []),
        *([f"f{proposer.first}"] if proposer.first != spec.FIRST else []),
    ]
    after = [
        *([STUDIES[proposer.as_published]] if proposer.as_published else []),
        *([pruner] if pruner != "none" else []),
    ]
    taken = sum(len(part) + 1 for part in (*before, *after))
    model = _short(proposer, base_url, MOST_CONTESTANT_CHARS - taken)
    return "-".join((*before, model, *after))


def _short(proposer: Proposer, base_url: str | None, room: int) -> str:
    """The model's name as a part of a run id, within `room` characters; or a few of its hash."""
    model, provider = proposer.model, proposer.provider
    name = re.sub(r"[^a-z0-9.]+", "-", model.rpartition("/")[2].lower()).strip("-.")
    says_all = name == model and base_url is None and provider == _seller_of(model)
    if says_all and len(name) <= room:
        return name
    whole = "\n".join((provider, model, base_url or ""))
    digits = hashlib.sha256(whole.encode()).hexdigest()[:HASH_CHARS]
    start = name[: max(0, room - HASH_CHARS - 1)].rstrip("-.")
    return f"{start}-{digits}" if start else digits


def _read_prompt(path: Path) -> PromptText:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(
            f"reading the prompt {path}: {getattr(error, 'strerror', None) or error}",
            hint="restore it with `git checkout`",
        ) from error
    if not text.strip() or not Template(text).is_valid():
        raise HostError(
            f"reading the prompt {path}: it is no template",
            hint="setup_prompts/README.md says what a prompt may hold; a dollar sign is $$",
        )
    return PromptText(sha256=hashlib.sha256(text.encode()).hexdigest(), text=text)


def _check_taken(method: Method, asked: RunOptions) -> None:
    for option in _given(asked, OF_SOME):
        if option not in method.takes:
            others = [one.name for one in load_methods().values() if option in one.takes]
            raise UserError(
                f"setting {option} of {method.name}: it has no such option",
                hint=f"leave it out; {option} is for {', '.join(others)}",
            )
    if asked.storage is not None or asked.study is not None:
        raise UserError(
            f"sharing a study: {method.name} keeps what its model answered with its own trials",
            hint="leave out STORAGE and STUDY; for a study's published rules set AS_PUBLISHED",
        )


def _check_numbers(asked: RunOptions) -> None:
    if asked.ratio is not None and not 0 <= asked.ratio <= 1:
        raise UserError(
            f"setting the share of trials that the model may override: RATIO is {asked.ratio:g}",
            hint="give it a share from 0 to 1, such as RATIO=0.3",
        )
    if asked.first is not None and not 1 <= asked.first <= MOST_FIRST:
        raise UserError(
            f"setting how many trials the model names first: FIRST is {asked.first}",
            hint=f"give it a number from 1 to {MOST_FIRST}, such as FIRST=5",
        )


def _model(name: str, asked: RunOptions) -> tuple[Provider, str]:
    """The provider and the model that were asked for.

    Raises:
        UserError: there is no model, its name is none, or its provider is not known.
    """
    provider = None if asked.provider is None else _known_provider(asked.provider)
    if asked.model is None:
        if asked.rehearsal:
            return first_model(provider)
        raise UserError(
            f"choosing the model of {name}: there is none",
            hint="set MODEL, such as MODEL=claude-opus-4-6, or REHEARSAL=1 for a scripted one",
        )
    if not re.fullmatch(MODEL_NAME, asked.model):
        raise UserError(
            f"choosing the model of {name}: {asked.model!r} is not the name of a model",
            hint="MODEL is the provider's own name of it, such as MODEL=claude-opus-4-6",
        )
    return provider or _provider_of(asked), asked.model


def _known_provider(asked: str) -> Provider:
    for known in PROVIDERS:
        if asked == known:
            return known
    raise unknown_name("provider", asked, PROVIDERS)


def _provider_of(asked: RunOptions) -> Provider:
    """Whose API a model is asked by: any server of the user's own is compatible with OpenAI's."""
    model = asked.model or ""
    if asked.base_url is not None:
        return "openai"
    found = _seller_of(model)
    if found is None:
        raise UserError(
            f"choosing the provider of {model}: no price list names one",
            hint=f"set PROVIDER to {', '.join(PROVIDERS)}, or BASE_URL for a server of your own",
        )
    return found


def _seller_of(model: str) -> Provider | None:
    """The provider that follows from a model's name.

    Some models have a price at several providers; the first in the order of `PROVIDERS` is taken.
    """
    sold = (one for one in PROVIDERS if is_sold_by(one, model))
    return provider_of_agents(model) or next(sold, None)


def _given(asked: RunOptions, names: Iterable[str]) -> list[str]:
    """Those of these options that are not as without them, as a person writes them."""
    default = RunOptions()
    return [n for n in names if getattr(asked, n.lower()) != getattr(default, n.lower())]
