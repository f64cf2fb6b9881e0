"""Which contestants may begin before the lock is proved."""

from __future__ import annotations

from dataclasses import replace

from runner import options
from runner.options import RunOptions
from runner.records.layout import RunDir
from runner.run.lives import begins_early
from runner.spec import Budget
from tests.unit.run.test_container_plan import context_of


def test_only_an_agent_that_has_written_nothing_begins_early(run_dir: RunDir) -> None:
    """A resumed one has, and so may one whose runner was killed after the proof."""
    asked = RunOptions(rehearsal=True)
    made = context_of(options.agent_run("gpt", asked, Budget(trials=1), {}), run_dir)
    made.journal.write("run.started")
    assert begins_early(made)
    assert not begins_early(replace(made, resumed=True))
    made.journal.write("containment.proved", probes=1, slow_probes=0)
    assert not begins_early(made)


def test_no_baseline_begins_early(run_dir: RunDir) -> None:
    """Its sampler may be a stranger's, and needs no model."""
    spec = options.baseline_run("random", RunOptions(), Budget(trials=1), {})
    assert not begins_early(context_of(spec, run_dir))
