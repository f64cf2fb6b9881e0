"""What a rehearsed agent tries, in which order: a list of experiments from a seed.

The first ones make sure that a rehearsal of six trials sees everything that a run can see: a
baseline, a change that helps, one that crashes, one that hurts. After them comes a seeded choice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from .hardships import HARDSHIPS
from .proposing.answers import MIXED, QUALITIES

EXPERIMENTS = ("baseline", "improve", "crash", "worsen", "explore")
UNCOUNTED = "uncounted"  # the provider's token count fails, whoever asks for it
LIE, HIDE = "lie", "hide"  # the next experiment is logged with a false value, or not at all
WORDS = (*EXPERIMENTS, *HARDSHIPS, UNCOUNTED, LIE, HIDE, *QUALITIES)
DEFAULT_PLAN = ("baseline", "improve", "crash", "worsen")
CRASH = "crash"


@dataclass(frozen=True)
class Experiment:
    """One change to train.py.

    Args:
        hypothesis: what the agent hopes for.
        category: as in experiments.csv.
        knob: the constant to change; empty for the baseline, `crash` for a line that raises.
        change: the new value as a Python expression of the one found there, `old`.
        report: `lie` or `hide` when experiments.csv is not to tell of it as it was.
    """

    hypothesis: str
    category: str
    knob: str
    change: str = ""
    report: str = ""


BASELINE = Experiment("the code as it came, to compare with", "other", "")
BROKEN = Experiment("an extra projection before the knobs", "architecture", CRASH)
# A head that hardly moves predicts next to nothing, however few or many steps a trial makes; a
# smaller batch makes more of them. So both hold on a busy machine too.
WORSE = (
    Experiment("a quiet head settles", "hyperparameter", "UNEMBEDDING_LR", "old * 0.01"),
    Experiment("the body should learn first", "hyperparameter", "UNEMBEDDING_LR", "old * 0.005"),
)
# The surest first: in a few seconds of training, a smaller model takes far more steps. Measured on
# pystdlib, 5 s on two quiet cores: val_bpb 2.33 as it comes, 2.02 with half the depth.
BETTER = (
    Experiment("a shallower model takes more steps", "architecture", "DEPTH", "max(1, old // 2)"),
    Experiment("a narrower model takes more steps", "architecture", "ASPECT_RATIO", "old // 2"),
)
FURTHER = (
    Experiment("a larger matrix rate learns faster", "optimizer", "MATRIX_LR", "old * 1.5"),
    Experiment("a smaller matrix rate wastes fewer steps", "optimizer", "MATRIX_LR", "old * 0.7"),
    Experiment("embeddings stand a larger rate", "hyperparameter", "EMBEDDING_LR", "old * 1.5"),
    Experiment("embeddings want a smaller rate", "hyperparameter", "EMBEDDING_LR", "old * 0.7"),
    Experiment("the head wants a larger rate", "hyperparameter", "UNEMBEDDING_LR", "old * 2"),
    Experiment("a longer warm-down settles", "schedule", "WARMDOWN_RATIO", "min(0.9, old + 0.2)"),
    Experiment("some rate left at the end learns on", "schedule", "FINAL_LR_FRAC", "old + 0.05"),
    Experiment("less decay in so few steps", "hyperparameter", "WEIGHT_DECAY", "old * 0.5"),
    Experiment("scalars may move faster", "hyperparameter", "SCALAR_LR", "old * 1.5"),
)


def checked_plan(words: Iterable[str]) -> tuple[str, ...]:
    """The words of a plan, checked; `DEFAULT_PLAN` when there are none.

    Raises:
        ValueError: a word that is not in `WORDS`.
    """
    plan = tuple(words) or DEFAULT_PLAN
    if unknown := [word for word in plan if word not in WORDS]:
        raise ValueError(f"a rehearsal's plan has no {unknown[0]!r}; known: {', '.join(WORDS)}")
    return plan


def quality(plan: Iterable[str]) -> str:
    """How good the answers to an optimiser's prompts are: the last of `QUALITIES` in a plan."""
    return next((word for word in reversed(list(plan)) if word in QUALITIES), MIXED)


def experiments(
    seed: int, plan: tuple[str, ...], improved: Callable[[], bool]
) -> Iterator[Experiment | str]:
    """The experiments and hardships of `plan` and then, without end, seeded experiments.

    The same for the same seed.

    Args:
        seed: the replicate.
        plan: words out of `WORDS`, as `checked_plan` returns them.
        improved: whether anything but the baseline was kept so far; as long as it was not (a busy
            machine may hide the gain), changes that surely help go before all others.
    """
    rng = random.Random(f"rehearsal {seed}")
    better, further = _without_end(rng, BETTER), _without_end(rng, FURTHER)
    first = {"baseline": (BASELINE,), "improve": BETTER[:1], "crash": (BROKEN,), "worsen": WORSE}
    report = ""
    for word in plan:
        if word in HARDSHIPS:
            yield word
        elif word in (LIE, HIDE):
            report = word
        elif word != UNCOUNTED and word not in QUALITIES:
            experiment = rng.choice(first[word]) if word in first else next(further)
            yield replace(experiment, report=report)
            report = ""
    while True:
        yield next(further) if improved() else next(better)


def _without_end(rng: random.Random, choice: tuple[Experiment, ...]) -> Iterator[Experiment]:
    """All of a choice in a seeded order, and again in another one, for ever."""
    while True:
        yield from rng.sample(choice, len(choice))
