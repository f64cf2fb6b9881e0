"""Asks a model for a whole train.py, and says what is wrong with one that cannot be run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from methods.context import fill
from methods.terms import AUTOML_2026, Search
from models.answers import BadAnswerError, Code, read_code
from models.terms import Answer, NoAnswer, Prompt
from texts_journal import sha256

LEAST_TOKENS, MOST_TOKENS, TOKENS_AS_PUBLISHED = 16_384, 65_536, 8192
BYTES_PER_TOKEN = 2  # of code, at the least
TEMPERATURE = 0.7
AGAIN = """\

## The last answer
It could not be used: $why. Answer again, in the form that is described above.
"""
ONCE_MORE = "second answer"


class AskedByTrial(Protocol):
    """A model whose answers are kept for each trial: models/kept.py."""

    def for_trial(self, number: int) -> None: ...
    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]: ...


@dataclass(frozen=True)
class Draft:
    """A text that a model wrote, or why there is none.

    Attributes:
        text: the whole train.py; "" where no answer could be used.
        words: what the model says of it.
        requests: the gateway's names of all requests.
        repairs: what was mended before the text could be read.
        why: what was wrong with the last answer; "" for a text that can be run.
        said: the model gave an answer; False for a refusal or an outage.
    """

    text: str
    words: str = ""
    requests: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    why: str = ""
    said: bool = True


@dataclass(frozen=True)
class Base:
    """What a text is asked for with.

    Attributes:
        text: the best train.py.
        best: the best value, in words.
        results: the last trials, one a line.
    """

    text: str
    best: str
    results: str


def draft(search: Search, base: Base, fault: Callable[[str], str], model: AskedByTrial) -> Draft:
    """A text from the model, which has one more try if its first answer cannot be used.

    The study had one try, and took a text that was there before.

    Args:
        search: what does not change.
        base: what the model is shown.
        fault: what else is wrong with a text that parses; "" if nothing is.
        model: what is asked, for the trial that it was told of.

    Raises:
        OutOfBudgetError: the run may not ask its model any more.
    """
    prompt = _prompt(search, base)
    found = _read(model, prompt, fault)
    if not found.why or search.as_published == AUTOML_2026:
        return found
    again = AGAIN.replace("$why", found.why) if found.said else ""
    second = _read(model, replace(prompt, text=prompt.text + again), fault)
    return replace(
        second,
        requests=found.requests + second.requests,
        repairs=(ONCE_MORE, *second.repairs),
    )


def finished(text: str) -> str:
    """A text with one line end at its end, so that two that differ in nothing else are the same."""
    return text.rstrip() + "\n"


def _prompt(search: Search, base: Base) -> Prompt:
    fence = "```"
    while fence in base.text:
        fence += "`"
    text = fill(
        search,
        "code",
        best=base.best,
        results=base.results,
        train_py=base.text.rstrip("\n"),
        fence=f"{fence}python",
        closing_fence=fence,
    )
    return Prompt("code", text, _most_tokens(search, base.text), TEMPERATURE)


def _most_tokens(search: Search, text: str) -> int:
    """Enough for a text that is half as long again."""
    if search.as_published == AUTOML_2026:
        return TOKENS_AS_PUBLISHED
    wanted = len(text.encode()) * 3 // (2 * BYTES_PER_TOKEN)
    return min(max(LEAST_TOKENS, wanted), MOST_TOKENS)


def _read(model: AskedByTrial, prompt: Prompt, fault: Callable[[str], str]) -> Draft:
    [answer] = model.ask([prompt])
    requests = (answer.request,) if answer.request else ()
    if isinstance(answer, NoAnswer):
        return Draft("", requests=requests, why=f"there was no answer: {answer.reason}", said=False)
    try:
        code = read_code(answer.text)
    except BadAnswerError as error:
        cut = f"; it was cut at {prompt.max_tokens} tokens" if answer.cut else ""
        return Draft("", requests=requests, why=f"{error}{cut}")
    return _checked(code, requests, fault)


def _checked(code: Code, requests: tuple[str, ...], fault: Callable[[str], str]) -> Draft:
    text = finished(code.text)
    why = _syntax_fault(text) or fault(text)
    return Draft(text, code.description, requests, code.repairs, why)


def _syntax_fault(text: str) -> str:
    """What keeps a text from being parsed; "" if nothing does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes and comparisons, which run all the same
            ast.parse(text)
    except SyntaxError as error:
        return f"the file does not parse: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"the file does not parse: {error or type(error).__name__}"
    return ""


def known_text(known: Mapping[str, int], best: int, text: str) -> str:
    """Whether a text was run before, in words; "" if it was not.

    Args:
        known: SHA-256 of each text → its trial.
        best: the trial with the best train.py.
        text: the new one.
    """
    number = known.get(sha256(text))
    if number is None:
        return ""
    return (
        "the file is the best train.py without a change"
        if number == best
        else f"the file is that of trial {number} again"
    )
