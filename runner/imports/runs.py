"""Whose run each foreign trial belongs to: by contestant, seed, task, run and metric."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.claims.number import read_number
from runner.imports.asked import Asked
from runner.imports.fields import moment_of
from runner.imports.table import ForeignTable
from runner.records.imported import ForeignMetric, ImportedRun, ImportedTrial

CONTESTANTS = ("contestant", "agent", "agent_id", "agent_name", "competitor", "team", "worker",
               "worker_id")  # fmt: skip
METHODS = ("method", "algorithm", "algo", "sampler", "searcher", "system", "model", "model_name",
           "llm")  # fmt: skip
SEEDS = ("seed", "random_seed", "rng_seed", "run_seed", "train_seed", "training_seed", "replicate",
         "replica", "repeat", "rep")  # fmt: skip
TASKS = ("task", "task_name", "dataset", "benchmark", "environment", "env")
RUNS = ("run", "run_id", "run_name", "study", "study_name", "sweep", "sweep_id")
OF_A_SEARCH = ("experiment", "commit", "status")  # columns that a search has
WHOLE = 0.9  # share of the rows that must have a cell in a column that tells runs apart
MARKUP = " *`"  # around a name in Markdown
LONGEST = 60  # characters of a run's id
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Key:
    """What tells a run from others.

    Args:
        contestant: whose it is; empty where no column says it.
        seed: the replicate, as written; empty where no column says it.
        task: what was worked on; empty where no column says it.
        run: as the source calls it; empty where no column says it.
        metric: what was measured; it need not be its name.
    """

    contestant: str
    seed: str
    task: str
    run: str
    metric: str


@dataclass(frozen=True)
class KeyColumns:
    """The columns that tell runs apart; empty where there are none.

    Args:
        contestant: those that name the contestant together.
        seed: that of the seed.
        task: that of the task.
        run: that of the run.
    """

    contestant: tuple[str, ...] = ()
    seed: str = ""
    task: str = ""
    run: str = ""

    @property
    def all(self) -> set[str]:
        """All of them."""
        return {*self.contestant, self.seed, self.task, self.run} - {""}

    def key(self, cells: Mapping[str, str], metric: str) -> Key:
        """What tells a row's run from others."""
        names = [cells.get(name, "").strip(MARKUP) for name in self.contestant]
        return Key(
            " ".join(name for name in names if name.strip("-–— ")),
            cells.get(self.seed, ""),
            cells.get(self.task, ""),
            cells.get(self.run, ""),
            metric,
        )


def key_columns(table: ForeignTable, value_column: str, *, one_search: bool) -> KeyColumns:
    """The columns that tell runs apart.

    Args:
        table: the rows.
        value_column: that of the metric, which is none of them.
        one_search: whether rows say what was kept and what was not. They are then one search, in
            which a method or a seed is a setting that was tried.
    """
    named = {*SEEDS, *CONTESTANTS, *METHODS, *TASKS, *RUNS}
    least = WHOLE * len(table.rows)
    whole = {
        name: cells
        for name, cells in table.filled.items()
        if name in named and name != value_column and len(cells) >= least
    }
    seeds = [name for name in SEEDS if name in whole and _are_seeds(whole[name])]
    seed = seeds[0] if seeds and (not one_search or len(set(whole[seeds[0]])) == 1) else ""
    known = CONTESTANTS if one_search else (*CONTESTANTS, *METHODS)
    # A list of finals has one row of a contestant, and no word on how a search went.
    is_search = any(role in table.roles for role in OF_A_SEARCH) or _has_moments(table)
    finals = not is_search and not one_search
    names = [name for name in known
             if name in whole and (seed or finals or _repeats(whole[name]))]  # fmt: skip
    tasks = [name for name in TASKS if name in whole and (seed or _repeats(whole[name]))]
    runs = [name for name in RUNS if name in whole and _repeats(whole[name])]
    several = [name for name in names if len(set(whole[name])) > 1] or names[:1]
    return KeyColumns(
        tuple(sorted(several, key=known.index)),
        seed,
        tasks[0] if tasks else "",
        runs[0] if runs and not one_search else "",
    )


def _has_moments(table: ForeignTable) -> bool:
    return any(map(moment_of, table.filled.get(table.roles.get("timestamp", ""), ())))


def _repeats(cells: Sequence[str]) -> bool:
    """Whether a column has each of its names many times, as that of a contestant has."""
    return len(set(cells)) * 2 <= len(cells)


def _are_seeds(cells: Sequence[str]) -> bool:
    numbers = [read_number(cell) for cell in cells if cell]
    return all(number is not None and number.value.is_integer() for number in numbers)


def gather(
    rows: Sequence[tuple[Key, ImportedTrial]],
    metrics: Mapping[str, ForeignMetric],
    asked: Asked,
    name: str,
) -> tuple[list[ImportedRun], list[ImportedTrial], list[str]]:
    """The runs, their trials in the order of the source, and what was assumed.

    Args:
        rows: each trial, and what tells its run from others.
        metrics: what was measured, by `Key.metric`.
        asked: what a person says.
        name: whose results these are where nobody says it.
    """
    keys = list(dict.fromkeys(key for key, _ in rows)) or [Key("", "", "", "", next(iter(metrics)))]
    replicates: Counter[tuple[str, str, str]] = Counter()
    taken: Counter[str] = Counter()
    runs: dict[Key, ImportedRun] = {}
    for key in keys:
        contestant = key.contestant or asked.contestant or name
        task = key.task or asked.task
        place = (contestant, task, key.metric)
        number = read_number(key.seed)
        seed = replicates[place] if number is None else int(number.value)
        replicates[place] += 1
        runs[key] = ImportedRun(
            run=_run_id(key.run or contestant, seed, taken),
            contestant=contestant,
            seed=seed,
            task=task,
            metric=metrics[key.metric],
        )
    trials: list[ImportedTrial] = []
    numbers: Counter[Key] = Counter()
    for key, trial in rows:
        numbers[key] += 1
        trials.append(trial.model_copy(update={"run": runs[key].run, "trial": numbers[key]}))
    return list(runs.values()), trials, _assumed(keys, asked, name)


def _run_id(name: str, seed: int, taken: Counter[str]) -> str:
    base = f"{_UNSAFE.sub('-', name).strip('-.')[:LONGEST] or 'run'}-s{seed}"
    taken[base] += 1
    if taken[base] == 1:
        return base
    number = f"-{taken[base]}"
    return _run_id(f"{name[: LONGEST - len(number)]}{number}", seed, taken)


def _assumed(keys: Sequence[Key], asked: Asked, name: str) -> list[str]:
    said = []
    if not asked.contestant and not all(key.contestant for key in keys):
        said.append(f"the contestant is called {name!r}: no column says whose results these are")
    if not all(key.seed for key in keys):
        alike = Counter((key.contestant, key.task, key.metric) for key in keys)
        several = any(count > 1 for count in alike.values())
        said.append(
            "seeds count the runs of a contestant: no column says them"
            if several
            else "the seed is 0: no column says it"
        )
    return said
