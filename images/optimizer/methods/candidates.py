"""One trial of LLAMBO: candidates from a model, and the choice between them.

The model proposes settings that are to reach a target. Those outside of the space and those that
were tried are dropped, and it is asked again. What is then missing is drawn at random. A method
scores them, with the same model; the best one is the trial's.

Source: Liu et al. 2024, "Large Language Models to Enhance Bayesian Optimization", on the sampling
of candidate points; llambo/acquisition_function.py of tennisonliu/LLAMBO.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.terms import Model, Prompt
from samplers.grid import key_of
from space import Knob, active

from methods.batches import Replies, UnusableError, ask_all, counted
from methods.context import fill, ranked, shown_best, shown_results
from methods.settings import (
    CLAMPED,
    DEFAULTED,
    Setting,
    is_duplicate,
    random_settings,
    read_setting,
    setting_schema,
)
from methods.terms import FALLBACK, MODEL, RANDOM, Past, Proposal, Search

ALPHA, THEIR_ALPHA = 0.2, -0.2  # above 0: better than the best (see `target_of`)
FIRST = 5  # trials before the model is asked, with trial 0
CANDIDATES, LEAST = 10, 5  # asked for in a round; fewer are not enough to choose from
ASK_AGAIN = 3  # rounds
TEMPERATURE, MAX_TOKENS = 0.8, 2048  # the second is the study's
FLAT = 0.1  # of the best value, upstream's: what stands for a range where all values are equal
Score = tuple[float, ...]  # the higher the better; later members count where earlier ones are equal


@dataclass(frozen=True)
class Shown:
    """A search as its model sees it.

    Attributes:
        search: what does not change; its space may lack knobs that the model does not choose.
        past: the trials so far, oldest first.
    """

    search: Search
    past: tuple[Past, ...]

    @property
    def values(self) -> list[float]:
        """What was measured, the best one first."""
        return [one.value for one in ranked(self.search, self.past) if one.value is not None]

    def prompt(self, name: str, **more: object) -> str:
        """The template of that name, filled in."""
        results, best = shown_results(self.search, self.past), shown_best(self.search, self.past)
        return fill(self.search, name, results=results, best=best, **more)


@dataclass(frozen=True)
class Candidates:
    """What there is to choose from.

    Attributes:
        settings: the model's first, then those drawn at random; no two are alike.
        drawn: how many of them were drawn at random.
        replies: the account of the requests.
    """

    settings: tuple[Setting, ...]
    drawn: int
    replies: Replies


Scored = tuple[Sequence[Score | None], Replies]
Scores = Callable[[Shown, Candidates, Model], Scored]


def propose_best(shown: Shown, number: int, alpha: float, model: Model, scores: Scores) -> Proposal:
    """The candidate of this trial with the highest score.

    Args:
        shown: the search as the model sees it, with one measured value at least.
        number: the trial's.
        alpha: how much better than the best the target is, as a share of the range of the values.
        model: what is asked.
        scores: asks the model about each candidate; None where it says nothing of use of one.

    Raises:
        OutOfBudgetError: the run may not ask its model any more.
    """
    target = target_of(shown.values, alpha, minimize=shown.search.minimize)
    candidates = find_candidates(shown, number, target, model)
    nothing = [None] * len(candidates.settings), Replies()
    reached = candidates.replies.answered > 0
    scored, replies = scores(shown, candidates, model) if reached else nothing
    return _chosen(candidates, scored, replies, shown.past)


def target_of(values: Sequence[float], alpha: float, *, minimize: bool) -> float:
    """The value that candidates are to reach.

    With the range R between the best and the worst of the values it is `best − alpha·R` where lower
    is better and `best + alpha·R` where higher is better. So an alpha above 0 asks for better than
    the best, whatever the direction; one below 0 for a value that has been reached. Where all
    values are above 0, alpha is halved until the target is too: a loss has no value below 0.

    Args:
        values: what was measured, one value at least.
        alpha: a share of the range.
        minimize: whether lower values are better.

    Source: Liu et al. 2024 (s' = s_min − α(s_max − s_min), for minimisation), and
        llambo/acquisition_function.py of tennisonliu/LLAMBO for maximisation and equal values.
        A comment there recommends −0.2; its authors' own searches have 0.1.
    """
    low, high = min(values), max(values)
    best = low if minimize else high
    size = (high - low) or FLAT * abs(best)
    toward = -1.0 if minimize else 1.0
    while low > 0 and best + toward * alpha * size <= 0:
        alpha /= 2
    return best + toward * alpha * size


def find_candidates(shown: Shown, number: int, target: float, model: Model) -> Candidates:
    """At most ten settings that are new and within the space, and at least five.

    A space with fewer settings left has fewer. A model that answers no request of a round is not
    asked again.

    Args:
        shown: the search as the model sees it.
        number: the trial's.
        target: the value that they are to reach.
        model: what is asked.

    Raises:
        OutOfBudgetError: the run may not ask its model any more.
    """
    search, past = shown.search, shown.past
    text = shown.prompt("candidates", target=f"{target:.6g}")
    schema = setting_schema(search.space)
    prompts = [Prompt("candidates", text, MAX_TOKENS, TEMPERATURE, schema)] * CANDIDATES
    found: list[Setting] = []
    account = Replies()
    for _ in range(1 + ASK_AGAIN):
        said, replies = ask_all(model, prompts, partial(_inside, search.space))
        proposed = [*found, *(setting for setting in said if setting is not None)]
        found = _distinct(proposed, past)
        repeated = ("candidates: repeated",) * (len(proposed) - len(found))
        account += replies + Replies(repairs=repeated)
        if len(found) >= LEAST or not replies.answered:
            break
    found = found[:CANDIDATES]
    drawn = [Setting(knobs) for knobs in random_settings(search.space, search.seed, number, LEAST)]
    padded = _distinct([*found, *drawn], past)[: max(LEAST, len(found))] or drawn[:1]
    return Candidates(tuple(padded), len(padded) - len(found), account)


def random_proposal(search: Search, number: int, past: Sequence[Past]) -> Proposal:
    """A random setting, which is planned and no fallback: the sampler `random` has the same one."""
    knobs = random_settings(search.space, search.seed, number)[0]
    return Proposal(by=RANDOM, knobs=knobs, duplicate=is_duplicate(knobs, past))


def shown_setting(knobs: Mapping[str, Any]) -> str:
    """A setting as one line of JSON."""
    return json.dumps(knobs)


def _chosen(
    candidates: Candidates, scores: Sequence[Score | None], replies: Replies, past: Sequence[Past]
) -> Proposal:
    """The candidate with the highest score; of equals, the first.

    It is a fallback where it was drawn at random, and where no candidate has a score: then the
    first is run, which nobody has chosen.

    Args:
        candidates: what there is to choose from.
        scores: of each; None where the model gave no prediction of it.
        replies: the account of the predictions.
        past: the trials so far.
    """
    scored = [place for place, score in enumerate(scores) if score is not None]
    place = max(scored, key=lambda one: scores[one] or (), default=0)
    account, setting = candidates.replies + replies, candidates.settings[place]
    models = len(candidates.settings) - candidates.drawn
    why = ""
    if not scored:
        why = f"of {replies.asked} predictions none was usable; the first candidate is run"
    if place >= models:
        why = (
            f"of {candidates.replies.asked} answers {models} gave a new setting of the space; "
            "this one was drawn at random"
        )
    if why and account.reason:
        why += f"; the first that was of no use: {account.reason}"
    return Proposal(
        by=FALLBACK if why else MODEL,
        knobs=setting.knobs,
        requests=account.requests,
        changed=setting.changed,
        repairs=counted(account.repairs),
        duplicate=is_duplicate(setting.knobs, past),
        why=why,
    )


def _inside(space: tuple[Knob, ...], said: Mapping[str, Any]) -> Setting:
    """The setting that an object says. What it says of inactive knobs is of no account.

    Raises:
        UnusableError: a value is outside of its range, or is missing.
    """
    setting = read_setting(said, space)
    alive = active(space, setting.knobs)
    done = {how for name, how in setting.changed.items() if name in alive}
    if CLAMPED in done:
        raise UnusableError("out of range")
    if DEFAULTED in done:
        raise UnusableError("incomplete")
    return setting


def _distinct(settings: Sequence[Setting], past: Sequence[Past]) -> list[Setting]:
    """Those that are new, each once."""
    had = {key_of(one.knobs) for one in past}
    found: list[Setting] = []
    for setting in settings:
        key = key_of(setting.knobs)
        if key not in had:
            had.add(key)
            found.append(setting)
    return found
