"""What a rehearsed agent tries, in which order: a list of experiments from a seed.

The first ones make sure that a rehearsal of six trials sees everything that a run can see: a
baseline, a change that helps, one that crashes, one that hurts. After them comes a seeded choice.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORDS = ("baseline", "improve", "crash", "worsen", "explore")
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
    """

    hypothesis: str
    category: str
    knob: str
    change: str = ""


BASELINE = Experiment("the code as it came, to compare with", "other", "")
BROKEN = Experiment("an extra projection before the knobs", "architecture", CRASH)
WORSE = (
    Experiment(
        "a far smaller matrix rate trains more evenly", "hyperparameter", "MATRIX_LR", "old * 0.02"
    ),
    Experiment(
        "one more halving of every rate is safer", "hyperparameter", "EMBEDDING_LR", "old * 0.005"
    ),
)
BETTER = (
    Experiment(
        "smaller batches give more steps in the time",
        "hyperparameter",
        "TOTAL_BATCH_SIZE",
        "old // 2",
    ),
)
FURTHER = (
    Experiment(
        "a larger matrix rate learns faster in so short a time",
        "optimizer",
        "MATRIX_LR",
        "old * 1.5",
    ),
    Experiment("a smaller matrix rate wastes fewer steps", "optimizer", "MATRIX_LR", "old * 0.7"),
    Experiment("embeddings stand a larger rate", "hyperparameter", "EMBEDDING_LR", "old * 1.5"),
    Experiment("embeddings want a smaller rate", "hyperparameter", "EMBEDDING_LR", "old * 0.7"),
    Experiment("the head wants a larger rate", "hyperparameter", "UNEMBEDDING_LR", "old * 2"),
    Experiment(
        "a longer warm-down settles better", "schedule", "WARMDOWN_RATIO", "min(0.9, old + 0.2)"
    ),
    Experiment(
        "a rest of the rate at the end keeps learning", "schedule", "FINAL_LR_FRAC", "old + 0.05"
    ),
    Experiment("less decay in so few steps", "hyperparameter", "WEIGHT_DECAY", "old * 0.5"),
    Experiment("scalars may move faster", "hyperparameter", "SCALAR_LR", "old * 1.5"),
)


def checked(words: Iterable[str]) -> tuple[str, ...]:
    """The words of a plan; `DEFAULT_PLAN` for none.

    Raises:
        ValueError: a word that no plan has.
    """
    plan = tuple(words) or DEFAULT_PLAN
    if unknown := [word for word in plan if word not in WORDS]:
        raise ValueError(f"a rehearsal's plan has no {unknown[0]!r}; known: {', '.join(WORDS)}")
    return plan


def experiments(seed: int, plan: tuple[str, ...] = DEFAULT_PLAN) -> Iterator[Experiment]:
    """The experiments of `plan` and then, without end, seeded ones; the same for the same seed.

    Args:
        seed: the replicate.
        plan: words out of `WORDS`, as `checked`.
    """
    rng = random.Random(f"rehearsal {seed}")
    further = _without_end(rng)
    first = {"baseline": (BASELINE,), "improve": BETTER, "crash": (BROKEN,), "worsen": WORSE}
    for word in plan:
        yield rng.choice(first[word]) if word in first else next(further)
    yield from further


def _without_end(rng: random.Random) -> Iterator[Experiment]:
    """All further experiments in a seeded order, and again in another one, for ever."""
    for _ in itertools.count():
        yield from rng.sample(FURTHER, len(FURTHER))
