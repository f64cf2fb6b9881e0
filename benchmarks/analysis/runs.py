"""Makes run directories as a campaign would leave them, without running anything.

The records are those of runner/records/schema.py. Values come from a smooth function of the knobs
with noise; agents climb from their best text and sometimes change other code, and samplers draw
from the search space. The same seed makes the same files.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.records.layout import ROOT, RunDir
from runner.records.schema import Record, RunResult, Spent, TrialRecord, UsageRecord
from runner.spec import Knob
from runner.tasks import load_space, load_task
from trainer import constants

TRIALS, SEEDS = 10_469, 10  # of the 10,000-experiment study; runs of each contestant
AGENTS, SAMPLERS = ("opus", "gpt", "gemini"), ("random", "tpe", "cmaes")
TASK = "pystdlib"
FAILING = 0.08  # share of trials
SAME_KNOBS = 0.05  # share of an agent's trials that repeat its best text
OTHER_CODE = 0.3  # share of an agent's trials that change other code
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORIES = {"DEPTH": "architecture", "WINDOW_PATTERN": "architecture", "MATRIX_LR": "optimizer"}
CLAIMS = "experiment,timestamp,commit,hypothesis,category,change,val_bpb,delta,status"


@dataclass
class Made:
    """A trial and its text."""

    record: TrialRecord
    text: str


def make(folder: Path, trials: int = TRIALS, seeds: int = SEEDS, seed: int = 0) -> int:
    """Writes the run directories; returns how many.

    Args:
        folder: an empty one.
        trials: of all runs together.
        seeds: runs of each contestant.
        seed: of the random numbers.
    """
    names = [f"{name}-s{number}" for name in (*AGENTS, *SAMPLERS) for number in range(1, seeds + 1)]
    pristine = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    pristine = constants.rewrite(pristine, load_task(TASK).knobs)
    for at, name in enumerate(names):
        count = trials // len(names) + (at < trials % len(names))
        _Campaign(name, pristine, random.Random(f"{seed} {name}")).write(folder, count)
    return len(names)


class _Campaign:
    """One run."""

    def __init__(self, name: str, pristine: str, dice: random.Random) -> None:
        self.name, self.pristine, self.dice = name, pristine, dice
        self.contestant, _, self.seed = name.rpartition("-s")
        self.agent = self.contestant in AGENTS
        self.space = load_space(load_task(TASK))
        self.best: Made | None = None
        self.settings = {name: knob.default for name, knob in self.space.items()}
        self.edits = 0

    def write(self, folder: Path, count: int) -> None:
        run = RunDir(folder / self.name)
        run.artifacts.mkdir(parents=True)
        run.pristine.write_text(self.pristine, encoding="utf-8")
        made = list(self._trials(count))
        _lines(run.trials, [one.record for one in made])
        if self.agent:
            self._write_agents_files(run, made)
        result = self._result([one.record for one in made])
        spec = result.model_dump(mode="json") | {"trial_seconds": 60.0}
        run.spec.write_text(json.dumps(spec), encoding="utf-8")
        run.result.write_text(result.model_dump_json(), encoding="utf-8")

    def _write_agents_files(self, run: RunDir, made: list[Made]) -> None:
        rows, best = [CLAIMS], math.inf
        for one in made:
            trial = run.trial(one.record.trial)
            trial.mkdir(parents=True)
            (trial / "train.py").write_text(one.text, encoding="utf-8")
            value = one.record.value
            status = "crash" if value is None else "keep" if value < best else "revert"
            best = best if value is None else min(best, value)
            rows.append(_row(one.record, status))
        run.experiments.write_text("\n".join(rows) + "\n", encoding="utf-8")
        _lines(run.usage, [self._request(one.record, n) for one in made for n in range(3)])

    def _trials(self, count: int) -> Iterator[Made]:
        for number in range(1, count + 1):
            made = self._trial(number)
            value = made.record.value
            best = self.best.record.value if self.best else None
            if value is not None and (best is None or value < best):
                self.best = made
                self.settings = self.settings | {
                    name: new for name, (_, new) in made.record.knobs_changed.items()
                }
            yield made

    def _trial(self, number: int) -> Made:
        parent = self.best
        changed, other = self._change(number)
        knobs = self.settings | changed
        text = parent.text if parent else self.pristine
        for name, value in changed.items():
            text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value!r}", text)
        if other:
            self.edits += 1
            text += f"\n\ndef _idea_{self.edits}(x):\n    return x * {self.dice.random():.4f}\n"
        ends = BEGAN + timedelta(seconds=75 * number)
        failed = number > 1 and self.dice.random() < FAILING
        record = TrialRecord(
            trial=number, source="agent" if self.agent else "sampler", request=f"r{number}",
            status=self.dice.choice(("crash", "oom", "timeout")) if failed else "ok",
            value=None if failed else self._value(knobs, other),
            parent=parent.record.trial if parent else None,
            sha256=hashlib.sha256(text.encode()).hexdigest(), commit=f"{number:07x}",
            hypothesis=f"{', '.join(changed) or 'the code'} may matter",
            category=CATEGORIES.get(next(iter(changed), ""), "hyperparameter"),
            knobs={} if self.agent else knobs,
            knobs_changed={name: (self.settings[name], new) for name, new in changed.items()},
            other_changes=other, queued_at=_at(ends - timedelta(seconds=74)),
            started_at=_at(ends - timedelta(seconds=73)), ended_at=_at(ends), train_seconds=60.0,
            training_seconds=60.0, wall_seconds=73.0, judged=True,
        )  # fmt: skip
        return Made(record, text)

    def _change(self, number: int) -> tuple[dict[str, Any], bool]:
        """The knobs that a trial sets anew, and whether it changes other code."""
        if number == 1 or (self.agent and self.dice.random() < SAME_KNOBS):
            return {}, False
        names = list(self.space)
        if not self.agent:
            drawn = {name: self._draw(self.space[name]) for name in names}
            return {name: new for name, new in drawn.items() if new != self.settings[name]}, False
        chosen = self.dice.sample(names, self.dice.choice((1, 1, 2)))
        drawn = {name: self._draw(self.space[name]) for name in chosen}
        changed = {name: new for name, new in drawn.items() if new != self.settings[name]}
        return changed, self.dice.random() < OTHER_CODE

    def _draw(self, knob: Knob) -> Any:
        if knob.choices:
            return self.dice.choice(knob.choices)
        low, high = float(knob.low or 0), float(knob.high or 1)
        value = self.dice.uniform(low, high)
        if knob.log:
            value = math.exp(self.dice.uniform(math.log(low), math.log(high)))
        return round(value) if knob.type == "int" else round(value, 6)

    def _value(self, knobs: dict[str, Any], other: bool) -> float:
        """A bowl over the knobs, a step for each pattern, and the noise of training."""
        bowl = (float(knobs["DEPTH"]) - 3) ** 2 / 40 + math.log(knobs["MATRIX_LR"] / 0.06) ** 2 / 30
        pattern = 0.02 * len(str(knobs["WINDOW_PATTERN"]).replace("S", ""))
        return round(2 + bowl + pattern - 0.01 * other + self.dice.gauss(0, 0.01), 6)

    def _request(self, trial: TrialRecord, number: int) -> UsageRecord:
        return UsageRecord(
            at=trial.queued_at, request=f"{trial.trial}-{number}", provider="openai",
            model=self.contestant, status=200, input_tokens=9000, output_tokens=400, cost_usd=0.02,
        )  # fmt: skip

    def _result(self, trials: list[TrialRecord]) -> RunResult:
        seconds = 75.0 * len(trials)
        spent = Spent(
            wall_seconds=seconds, elapsed_seconds=seconds, train_seconds=60.0 * len(trials),
            trials=len(trials), usd=0.06 * len(trials) * self.agent,
        )  # fmt: skip
        return RunResult(
            run_id=self.name, contestant=self.contestant,
            kind="agent" if self.agent else "baseline", seed=int(self.seed), task=TASK,
            metric=load_task(TASK).metric, rehearsed=False, ended_by="trials", cause="budget",
            began_at=_at(BEGAN), ended_at=_at(BEGAN + timedelta(seconds=seconds)),
            budget={"trials": float(len(trials))}, spent=spent,
        )  # fmt: skip


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _row(trial: TrialRecord, status: str) -> str:
    """A row of an agent's experiments.csv."""
    value = "" if trial.value is None else f"{trial.value:.6f}"
    said = f'"{trial.hypothesis}"'
    cells = (trial.trial, trial.ended_at, trial.commit, said, trial.category, said, value, "")
    return ",".join(map(str, (*cells, status)))


def _lines(path: Path, records: Sequence[Record]) -> None:
    """Writes all records at once: an fsync a line would take longer than all the rest."""
    text = "".join(one.model_dump_json() + "\n" for one in records)
    path.write_text(text, encoding="utf-8")
