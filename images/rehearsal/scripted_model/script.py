"""What the scripted model does: the work that `program.md` describes, step by step.

The script is written as generators: `seen = yield Shell(...)` is one tool call and its output.
`session.py` replays them. Nothing here depends on the clock, or on chance beyond the seed: the
same seed and the same outputs give the same steps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Generator, Iterator
from contextlib import suppress

from . import commands
from .conversation import Observation, Say, Shell, Step
from .hardships import HARDSHIPS
from .notebook import Notebook
from .plan import CRASH, DEFAULT_PLAN, HIDE, Experiment, experiments
from .steps import TimeIsUp, TurnCut, Work, output, repeat_until_seen, take

_VAL_BPB = re.compile(r"val_bpb:?\s+([0-9]+\.[0-9]+)")
_EXIT_CODE = re.compile(r"trial exit code: (\d+)")
_CHANGED = re.compile(r"\bchanged: (.+)")
_ACCEPTED = re.compile(r"\btrial (\d+) accepted")
_COMMIT = re.compile(r"\bcommit:([0-9a-f]{7,40})")
_HEAD = re.compile(r"\bhead:([0-9a-f]{7,40})")
TRAINED, FAILED, SPENT = 0, 1, 4  # exit codes of `trial`; all others: there was no trial
NO_ANSWER = -1  # a shell that runs nothing
MOST_WAITS = 50


def work(seed: int, plan: tuple[str, ...] = DEFAULT_PLAN) -> Work:
    """The whole run of one rehearsed agent: research in turns until the time is up, then a report.

    Args:
        seed: the replicate; decides which knobs are tried and how long the turns are.
        plan: the first experiments, in the words of `plan.experiments`.
    """
    notebook = Notebook()
    todo, rng = experiments(seed, plan, notebook.improved), random.Random(f"turns {seed}")
    with suppress(TimeIsUp):
        yield from _research(notebook, todo, rng)
    with suppress(TimeIsUp):
        yield from _tidy(notebook)
    while True:
        with suppress(TimeIsUp):
            yield from _report(notebook, "The time is up; STATUS.md says what is best.")


def _research(notebook: Notebook, todo: Iterator[Experiment | str], rng: random.Random) -> Work:
    """Experiments in turns of two or three; the first turn ends with a question, as models do."""
    yield from _prepare(notebook)
    goodbye = "The first results are in experiments.csv. Shall I go on?"
    while True:
        for _ in range(rng.choice((2, 3))):
            yield from _persist(notebook, (yield from _next_experiment(todo)))
        yield from _report(notebook, goodbye)
        goodbye = "I will stop here for now; STATUS.md says where I am."


def _tidy(notebook: Notebook) -> Work:
    """Do what the end of the run may have cut off: log the last row, go back to the best commit."""
    for row in notebook.rows[-1:]:
        yield from repeat_until_seen(
            Shell(commands.append_row(row), "see that the last experiment is logged")
        )
    yield from repeat_until_seen(
        Shell(commands.go_back(notebook.kept_commit), "leave the best commit behind")
    )


def _prepare(notebook: Notebook) -> Work:
    yield from repeat_until_seen(Shell(commands.READ_PROGRAM, "read program.md"))
    yield from repeat_until_seen(Shell(commands.READ_CODE, "read train.py"))
    seen = yield from repeat_until_seen(
        Shell(commands.KEEP_LOGBOOK, "keep the logbook out of git's way")
    )
    notebook.kept_commit = _last(_HEAD, seen) or notebook.kept_commit


def _next_experiment(todo: Iterator[Experiment | str]) -> Generator[Step, Observation, Experiment]:
    """The next experiment, after the hardships that come before it in the plan."""
    for task in todo:
        if isinstance(task, Experiment):
            return task
        yield from HARDSHIPS[task]()
    raise TimeIsUp


def _persist(notebook: Notebook, experiment: Experiment) -> Work:
    """Do an experiment; begin it again when its turn was cut before there was a trial."""
    while True:
        try:
            yield from _experiment(notebook, experiment)
            return
        except TurnCut:
            yield from repeat_until_seen(
                Shell(commands.go_back(notebook.kept_commit), "find my place again")
            )


def _experiment(notebook: Notebook, experiment: Experiment) -> Work:
    """One experiment: change, commit, trial, keep or revert, log."""
    changed, commit = "none", notebook.kept_commit
    if experiment.knob:
        changed = yield from _change(experiment)
        if not changed:
            return
        message = f"{changed}: {experiment.hypothesis}"
        seen = yield from take(Shell(commands.commit(message), f"commit {changed}"))
        commit = _last(_COMMIT, seen) or "HEAD"
    code, val_bpb = yield from _trial(notebook, experiment)
    if code == SPENT:
        raise TimeIsUp
    if code in (TRAINED, FAILED):
        row = notebook.judge(experiment, changed, commit, val_bpb)
        purpose = f"log experiment {row['experiment']}: val_bpb {val_bpb or '-'}, {row['status']}"
        if experiment.report != HIDE:
            yield from repeat_until_seen(Shell(commands.append_row(row), purpose))
    if notebook.over:
        raise TimeIsUp
    if notebook.kept_commit != commit:
        yield from repeat_until_seen(
            Shell(commands.go_back(notebook.kept_commit), "back to the best commit")
        )


def _change(experiment: Experiment) -> Generator[Step, Observation, str]:
    """Edit train.py; what changed (`MATRIX_LR 0.04 -> 0.06`), or nothing when it could not."""
    if experiment.knob == CRASH:
        seen = yield from take(Shell(commands.break_code(), "edit train.py so that it breaks"))
    else:
        purpose = f"edit {experiment.knob}: {experiment.change} ({experiment.hypothesis})"
        seen = yield from take(
            Shell(commands.change_knob(experiment.knob, experiment.change), purpose)
        )
    return _last(_CHANGED, seen)


def _trial(
    notebook: Notebook, experiment: Experiment
) -> Generator[Step, Observation, tuple[int, str]]:
    """One trial: the exit code of `trial`, and val_bpb as it printed it (empty without one).

    When its end was not seen (a turn was cut, a shell timed out), `trial wait` is asked for it.

    Raises:
        TurnCut: the runner knows of no such trial; it has to be asked for again.
        TimeIsUp: the same, and the run is over.
    """
    command = commands.trial(experiment.hypothesis, experiment.category)
    seen = ""
    try:
        seen = yield from take(Shell(command, f"trial: {experiment.hypothesis}"))
    except TimeIsUp:
        notebook.over = True
    except TurnCut:
        pass
    number = int(_last(_ACCEPTED, seen) or notebook.trials + 1)
    code, val_bpb = yield from _settled(number, seen)
    if code in (TRAINED, FAILED):
        notebook.trials = number
    elif not seen:
        raise TimeIsUp if notebook.over else TurnCut
    return code, val_bpb


def _settled(number: int, seen: str) -> Generator[Step, Observation, tuple[int, str]]:
    """Exit code and val_bpb of a trial of which `seen` was printed so far; waits for its end."""
    for _ in range(MOST_WAITS):
        if _EXIT_CODE.search(seen):
            break
        seen = yield from repeat_until_seen(
            Shell(commands.trial_wait(number), f"wait for trial {number}")
        )
    code = int(_last(_EXIT_CODE, seen) or NO_ANSWER)
    return code, _last(_VAL_BPB, seen) if code == TRAINED else ""


def _report(notebook: Notebook, goodbye: str) -> Work:
    """Write STATUS.md and end the turn; goes on with the next prompt.

    Raises:
        TimeIsUp: the next prompt says so.
    """
    yield from repeat_until_seen(Shell(commands.write_status(notebook.status()), "write STATUS.md"))
    with suppress(TurnCut):
        output((yield Say(goodbye)))


def _last(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return str(found[-1]) if found else ""
