"""What the optimizer is told about its model: the table `language_model` of its `config`.

The runner builds it and PID 1 of the optimizer's image reads it (`read_config`). Standard library
only, and no import of the other files here: this file is copied into every image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

GAVE_UP = "gave up: "
# Of a proposal, as the runner keeps it: what is longer is cut there, and what is more is left out.
MAX_NAME_CHARS = 64  # of a knob, or of a request
MAX_CHANGE_CHARS = 200  # of what was changed or mended
MAX_REPAIRS = 32


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def fault(self, value: float) -> str:
        """What is wrong with a value; empty if nothing is."""
        return "" if self.low <= value <= self.high else f"must be {self.low:g} to {self.high:g}"


Share = Annotated[float, Between(0, 1)]
Provider = Literal["anthropic", "openai", "google"]


@dataclass(frozen=True)
class ModelConfig:
    """A model, and the method that proposes trials with it.

    Attributes:
        method: llm-knobs, llm-code, llambo, llambo-optuna, centaur, llm-space or warm.
        provider: whose API the gateway speaks; openai stands for any server that is compatible.
        model: the model's name there.
        token: what the gateway takes in place of a key.
        metric: the name of what the task measures.
        task: the task's name.
        trial_seconds: the training time of one trial.
        machine: what trials train on, in words.
        inner: the sampler that it works with (centaur, llm-space, warm); "" for none.
        ratio: the share of the trials at which the model may override the sampler (centaur).
        first: how many trials a model proposes before the sampler searches (warm).
        as_published: the study whose behaviour is wanted where it differs ("automl-2026"); "" for
            ours.
        prompts: the templates by name, the files of setup_prompts/optimisers/ without `.md`.
        train_py_gz: the task's train.py, as `pack_text` makes it, where the method reads it.
    """

    method: str
    provider: Provider
    model: str
    token: str = field(repr=False)
    metric: str
    task: str
    trial_seconds: float
    machine: str = ""
    inner: str = ""
    ratio: Share = 0.3
    first: Annotated[int, Between(1, 1000)] = 5
    as_published: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    train_py_gz: str = field(default="", repr=False)
