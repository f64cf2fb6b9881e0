"""What a reader must know before believing the figures of a comparison; it stands on each page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from runner.analysis.comparison import Remark, Section
from runner.analysis.output.cells import shown
from runner.analysis.report import FULL_BUDGET, Context
from runner.analysis.statistics.noise import gap_in_noise
from runner.records.imported import IMPORT_FILE, Imported
from runner.records.layout import RunDir
from runner.records.schema import SPACE
from runner.results.conditions import differences, setup_of, shares_a_study
from runner.results.files import read_bounded

CLEAR_SIGMAS = 2.0  # a smaller gap of two values is marked
NAMED = 6  # runs or reasons that a sentence names; of more it gives the number
# What runs should have in common, where their spec says it: path within spec.json → words.
CONDITIONS = {
    ("versions", "machine"): "machines",
    ("gpu",): "GPUs",
    ("versions", "engine_kind"): "kinds of engines",
    ("versions", "runtime"): "runtimes",
    ("versions", "data"): "versions of the data",
    ("versions", "images", "trainer"): "images of the trainer",
}


def remarks(context: Context, sections: Iterable[Section]) -> tuple[Remark, ...]:
    """All remarks on a comparison, the serious ones first.

    Args:
        context: its runs.
        sections: its reports, which say what they left out.
    """
    found = [
        *_numbers(context),
        *_whose_values(context),
        *_imports(context),
        *_conditions(context),
        *_endings(context),
        *_unpriced(context),
        *_noise(context),
        *_corrections(sections),
        *_left_out(sections),
    ]
    return tuple(sorted(found, key=lambda remark: not remark.serious))


def _numbers(context: Context) -> Iterator[Remark]:
    runs, trials = context.frames.runs, context.frames.trials
    measured = int(trials["value"].notna().sum())
    yield Remark(
        f"{_count(len(runs), 'run')} of {_count(len(context.contestants), 'contestant')}, with "
        f"{_count(len(trials), 'trial')}, of which {measured} "
        f"{'has' if measured == 1 else 'have'} a value."
    )
    seeds = runs.groupby("contestant")["seed"].nunique()
    least, most = int(seeds.min()), int(seeds.max())
    each = f"{least}" if least == most else f"between {least} and {most}"
    yield Remark(f"Seeds of a contestant (n): {each}.")
    single = int((seeds == 1).sum())
    if single:
        yield Remark(
            f"{single} of {_count(len(seeds), 'contestant')} ran with one seed only: what "
            "another seed would have given is not known, and no test can tell such contestants "
            "apart.",
            serious=True,
        )
    doubled = runs[runs.duplicated(["contestant", "seed"], keep=False)]
    if len(doubled):
        yield Remark(
            f"Several runs have the same contestant and seed: {_named(doubled['run'])}.",
            serious=True,
        )


def _whose_values(context: Context) -> Iterator[Remark]:
    runs = context.frames.runs
    rehearsed = runs[runs["rehearsed"].fillna(False)]
    if len(rehearsed):
        yield Remark(
            f"{len(rehearsed)} of {_count(len(runs), 'run')} rehearsed: a scripted model took "
            "the provider's place. Their values say nothing about the model that they are named "
            f"after, and their dollars were not spent: {_named(rehearsed['run'])}.",
            serious=True,
        )
    unsafe = runs[runs["unsafe"].fillna(False)]
    if len(unsafe):
        yield Remark(
            f"{len(unsafe)} of {_count(len(runs), 'run')} went on although their lock was not "
            "shown to hold (UNSAFE=1), so their values may owe something to what is outside of "
            f"it: {_named(unsafe['run'])}.",
            serious=True,
        )
    own = runs[~runs["judged"].fillna(False) & (runs["kind"] != "imported")]
    if len(own):
        yield Remark(
            f"The values of {_count(len(own), 'run')} are unjudged: the trials themselves "
            f"printed them: {_named(own['run'])}.",
            serious=True,
        )
    verified = int(runs["verified"].notna().sum())
    yield Remark(
        "A best value is the best of many measurements, and so better than the text's mean. "
        f"A referee has run the best text again in {verified} of {_count(len(runs), 'run')}."
    )


def _imports(context: Context) -> Iterator[Remark]:
    runs = context.frames.runs
    for path in runs.loc[runs["kind"] == "imported", "path"].unique():
        try:
            imported = Imported.model_validate_json((Path(path) / IMPORT_FILE).read_bytes())
        except (OSError, ValidationError):
            continue
        left = [each for each in imported.left_out if each.row]
        text = (
            f"Imported from {imported.source} ({imported.format}, {_count(imported.rows, 'row')}, "
            f"{len(left)} left out): nobody here measured these values, or held the conditions "
            "equal."
        )
        yield Remark(text, serious=True)
        yield from (Remark(f"{imported.name}: assumed: {each}") for each in imported.assumed)
        reasons = pd.Series([each.reason for each in left]).value_counts()
        yield from (
            Remark(f"{imported.name}: {_count(int(n), 'row')} left out: {reason}.")
            for reason, n in reasons.head(NAMED).items()
        )


def _conditions(context: Context) -> Iterator[Remark]:
    runs = context.frames.runs
    seconds = sorted(runs["trial_seconds"].dropna().unique())
    if len(seconds) > 1:
        listed = ", ".join(f"{value:g}" for value in seconds[:NAMED])
        yield Remark(f"The training time of a trial differs: {listed} seconds.", serious=True)
    budgets = runs.loc[runs["kind"] != "imported", "budget"].unique()
    if len(budgets) > 1:
        listed = "; ".join(sorted(map(_budget, budgets))[:NAMED])
        yield Remark(f"The budgets differ: {listed}.", serious=True)
    specs = [_spec(Path(path)) for path in runs.loc[runs["kind"] != "imported", "path"]]
    for place, words in CONDITIONS.items():
        values = {json.dumps(value) for spec in specs if (value := _at(spec, place)) is not None}
        if len(values) > 1:
            yield Remark(f"The runs had {len(values)} {words}.", serious=True)
    setups = [setup_of(spec) for spec in specs]
    for each in differences(setups):
        yield Remark(f"The runs differ in {each}.", serious=True)
    if sharing := sum(map(shares_a_study, setups)):
        yield Remark(
            f"{_count(sharing, 'run')} took part in a shared study: trials of others guided the "
            "search, so values of one study do not stand alone.",
            serious=True,
        )
    disturbed = int(context.frames.trials["disturbed"].fillna(False).sum())
    if disturbed:
        yield Remark(
            f"Other load on the machine slowed {_count(disturbed, 'trial')}.", serious=True
        )


def _endings(context: Context) -> Iterator[Remark]:
    runs = context.frames.runs
    share, complete = runs["budget_share"], runs["ended_by"].fillna("") == SPACE
    unfinished = runs[(share < FULL_BUDGET) & (runs["kind"] != "imported") & ~complete]
    if len(unfinished):
        yield Remark(
            f"{_count(len(unfinished), 'run')} used less than {FULL_BUDGET:.0%} of each budget: "
            f"{_named(unfinished['run'])}.",
            serious=True,
        )
    if complete.any():
        yield Remark(
            f"{_count(int(complete.sum()), 'run')} tried every setting of the search space before "
            f"a budget was spent: {_named(runs.loc[complete, 'run'])}."
        )
    open_ended = runs[share.isna() & (runs["kind"] != "imported")]
    if len(open_ended):
        yield Remark(
            f"Of {_count(len(open_ended), 'run')} it is not known how much of a budget was used: "
            f"{_named(open_ended['run'])}."
        )
    empty = runs[runs["best"].isna()]
    if len(empty):
        yield Remark(
            f"{_count(len(empty), 'run')} measured nothing: {_named(empty['run'])}.", serious=True
        )
    troubled = runs[runs["problems"].fillna(0) > 0]
    if len(troubled):
        yield Remark(
            f"{_count(len(troubled), 'run')} had problems, which `make collect` lists: "
            f"{_named(troubled['run'])}."
        )


def _unpriced(context: Context) -> Iterator[Remark]:
    if unpriced := context.unpriced:
        yield Remark(
            f"{_count(len(unpriced), 'run')} asked a model whose price is not known. These "
            "requests count as 0 dollars wherever dollars are shown, and the runs are left out of "
            f"value against dollars: {_named(unpriced)}.",
            serious=True,
        )


def _noise(context: Context) -> Iterator[Remark]:
    sd = context.noise_sd
    if sd is None:
        foreign = (context.frames.runs["kind"] == "imported").all()
        how = "." if foreign else ": `make noise` measures it."
        yield Remark(
            f"The noise floor of the task is not known, so a small difference may be luck{how}",
            serious=True,
        )
        return
    yield Remark(f"Seed noise of the unchanged train.py: σ = {sd:.4g}.")
    best = (context.frames.runs["best"] * context.sign).groupby(
        context.frames.runs["contestant"]
    ).min().dropna().sort_values()  # fmt: skip
    if len(best) > 1:
        gap = float(best.iloc[1] - best.iloc[0])
        against = gap_in_noise(gap, sd)
        yield Remark(
            f"The best values of {shown(best.index[0])} and {shown(best.index[1])} differ by "
            f"{gap:.4g}: {against.sigmas:.1f} σ of the seed noise (z = {against.z:.1f}, as both "
            "values have noise).",
            serious=against.sigmas < CLEAR_SIGMAS,
        )


def _corrections(sections: Iterable[Section]) -> Iterator[Remark]:
    findings = sum(len(section.findings) for section in sections)
    yield Remark(
        "Where a table tests several contestants, its notes name the correction. Nothing is "
        f"corrected across tables: among {_count(findings, 'finding')}, some small p-values "
        "are to be expected by chance."
    )


def _left_out(sections: Iterable[Section]) -> Iterator[Remark]:
    for section in sections:
        yield from (Remark(f"{section.title}: left out: {each}") for each in section.left_out)


def _spec(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(read_bounded(RunDir(path).spec) or b"{}")
    except (OSError, ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _at(body: Any, place: Sequence[str]) -> Any:
    for name in place:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _budget(text: str) -> str:
    amounts = json.loads(text)
    return ", ".join(f"{amount:g} {name}" for name, amount in amounts.items()) or "none known"


def _named(names: Iterable[Any]) -> str:
    """The first names, and how many more there are."""
    listed = [shown(name) for name in names]
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
