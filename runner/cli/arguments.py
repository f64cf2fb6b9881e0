"""The options that `run` and `baseline` share, and how a budget is made of them."""

from __future__ import annotations

from typing import Annotated

import typer

from runner import spec
from runner.spec import Budget

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of the run, such as gpt-s1.")]
Seed = Annotated[
    int, typer.Option(help="The replicate: it seeds the sampler and is part of the run's id.")
]
Hours = Annotated[
    str,
    typer.Option(
        help="Hours by the clock, or none; waiting and outages do not count.", metavar="FLOAT"
    ),
]
TrainHours = Annotated[float | None, typer.Option(help="Hours of training, over all trials.")]
Trials = Annotated[int | None, typer.Option(help="Number of trials.")]
Usd = Annotated[float | None, typer.Option(help="US dollars for model requests.")]
Tokens = Annotated[int | None, typer.Option(help="Tokens of model requests, cached ones too.")]
TotalUsd = Annotated[
    float | None, typer.Option(help="US dollars for the model and for devices together.")
]
ComputeUsd = Annotated[
    float | None,
    typer.Option("--compute-usd-per-hour", help="What an hour of one device costs, in US dollars."),
]
TaskName = Annotated[str, typer.Option(help="pystdlib, text, tinystories, …: see trainer/tasks.")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", help="Your own text, for TASK=text: a file or a folder (docs/texts.md)."
    ),
]
TrialSeconds = Annotated[float | None, typer.Option(help="Training seconds of one trial.")]
Gpu = Annotated[str | None, typer.Option(help="The GPU for trials, by the engine's number for it.")]
Gpus = Annotated[
    str | None,
    typer.Option(help="Several GPUs, such as 0,1: each trial takes whichever is free first."),
]
CpuSets = Annotated[
    int,
    typer.Option(help="Divide the cores into so many equal sets; each trial trains on one."),
]
RuntimeName = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="What makes the containers of contestant, trials and judge, such as runsc (gVisor).",
    ),
]
Workers = Annotated[int, typer.Option(help="How many trials the optimiser runs at a time.")]
AskAhead = Annotated[
    bool | None,
    typer.Option(
        help="Choose one more setting while trials train; by default with several workers."
    ),
]
SpaceFile = Annotated[
    str | None,
    typer.Option(
        "--space", help="Your own search space, a TOML file: see `bakeoff space`.", metavar="FILE"
    ),
]
VerifyTexts = Annotated[
    str, typer.Option("--verify", help="What the referee runs again: best, kept or none.")
]
VerifyNow = Annotated[
    str, typer.Option("--verify", help="What the referee runs again: best or kept.")
]
VerifySeeds = Annotated[
    int, typer.Option("--verify-seeds", min=1, help="Held-out training seeds of the referee.")
]
RetryDisturbed = Annotated[
    bool,
    typer.Option(
        "--retry-disturbed", help="Run a trial again, free, if other load slowed it; once."
    ),
]
PrunerName = Annotated[
    str,
    typer.Option(
        "--pruner", help="Which trials end early: none, median, percentile, hyperband or wilcoxon."
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="A PostgreSQL database that holds the study, as postgresql://user@host:port/database; "
        "its password is STORAGE_PASSWORD in the environment or in .env."
    ),
]
Study = Annotated[
    str | None, typer.Option(help="The study there that runs share; by default the run's id.")
]
Model = Annotated[str | None, typer.Option(help="A model other than the agent's own.")]
Rehearsal = Annotated[
    bool,
    typer.Option(
        help="A scripted model: no key, no money. An optimiser without a model is the same with it."
    ),
]
Record = Annotated[bool, typer.Option(help="Keep every request and response.")]
BaseUrl = Annotated[str | None, typer.Option(help="Another server of the same API.")]
Unsafe = Annotated[
    bool,
    typer.Option(
        "--unsafe", help="Go on if a probe of the run's lock fails; it is called unsafe then."
    ),
]
AllowUnpriced = Annotated[bool, typer.Option(help="Run a model that has no known price.")]
OrphanMinutes = Annotated[
    float, typer.Option(help="Minutes without a sign of its runner until no model is asked.")
]
OptimisersModel = Annotated[
    str | None, typer.Option("--model", help="The model of an optimiser that uses one.")
]
ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider",
        help="Whose API it has: anthropic, openai or google; by default found by its name.",
    ),
]
Inner = Annotated[
    str | None, typer.Option(help="The sampler within llm-space and warm, such as tpe.")
]
Ratio = Annotated[
    float | None, typer.Option(help="The share of trials that centaur's model may override.")
]
First = Annotated[int | None, typer.Option(help="How many trials the model of warm names first.")]
AsPublished = Annotated[
    str | None,
    typer.Option(help="Behave as a study's own code did: automl-2026.", metavar="STUDY"),
]
DEFAULT_HOURS = "8"
NO_BOUND = "none"


def budget(
    hours: str,
    train_hours: float | None,
    trials: int | None,
    usd: float | None,
    tokens: int | None,
    total_usd: float | None,
    compute_usd_per_hour: float | None,
) -> Budget:
    """The budget of the options; `none` hours set no bound on the clock.

    Raises:
        UserError: a value is not above 0, or nothing bounds the run.
    """
    wall = None if hours.strip().lower() == NO_BOUND else hours
    return spec.budget(
        hours=wall, train_hours=train_hours, trials=trials, usd=usd, tokens=tokens,
        total_usd=total_usd, compute_usd_per_hour=compute_usd_per_hour,
    )  # fmt: skip
