"""How a trial runs and is scored. The terms of a contestant's trials are the defaults."""

from __future__ import annotations

from dataclasses import dataclass

HAND_OUT_FOLDER = "/handout"  # in a trial that hands out its model


@dataclass(frozen=True)
class Terms:
    """What is asked of one trial beyond its text.

    Attributes:
        mode: how the judge scores it, as in `ScoreOpen`; so are the next two.
        splits: what is scored.
        hidden: how many hidden rows; 0 for the judge's own number.
        seed: another training seed than the task's; None for the task's.
        max_steps: the training ends after so many steps; None for no such bound.
        hand_out: the volume that the trained model is saved to; empty for none.
    """

    mode: str = "trial"
    splits: tuple[str, ...] = ("val",)
    hidden: int = 0
    seed: int | None = None
    max_steps: int | None = None
    hand_out: str = ""

    @property
    def is_check(self) -> bool:
        """Whether this is a check and no trial."""
        return self.mode == "check"


CONTESTANT = Terms()
CHECK_STEPS = 3
CHECK_SECONDS = 30.0  # beyond the allowance: what a check may take
CHECK = Terms(mode="check", max_steps=CHECK_STEPS)
