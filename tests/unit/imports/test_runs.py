"""Whose run a foreign trial belongs to."""

from __future__ import annotations

from runner.imports.asked import Asked
from tests.unit.imports.conftest import Read

FINALS = """method,model,seed,val_bpb
Agent (code),Small 1,0,0.9712
Agent (code),Small 1,1,0.9705
Agent (code),Large 2,0,0.9698
Agent (code),Large 2,1,0.9699
Random,-,0,0.9801
Random,-,1,0.9799
"""


def test_the_finals_of_a_study_are_a_run_each(read: Read) -> None:
    """Method and model name the contestant together; the seed is the source's."""
    imported, trials = read(FINALS, Asked(task="climb"), name="finals.csv")
    assert [(run.contestant, run.seed) for run in imported.runs] == [
        *(("Agent (code) Small 1", 0), ("Agent (code) Small 1", 1), ("Agent (code) Large 2", 0)),
        *(("Agent (code) Large 2", 1), ("Random", 0), ("Random", 1)),
    ]
    assert len({run.run for run in imported.runs}) == 6
    assert {run.task for run in imported.runs} == {"climb"}
    assert [trial.trial for trial in trials] == [1] * 6
    assert not any("seed" in each or "contestant" in each for each in imported.assumed)


def test_several_agents_in_one_log(read: Read) -> None:
    """Each one's trials are numbered by themselves, although the rows take turns."""
    rows = "".join(f"{at}\tagent{at % 2}\t{5 - at / 10}\tkeep\tx\n" for at in range(8))
    discarded = "8\tagent0\t9.5\tdiscard\tx\n"
    imported, trials = read(f"iteration\tagent\tscore\tstatus\tdescription\n{rows}{discarded}")
    assert [run.contestant for run in imported.runs] == ["agent0", "agent1"]
    assert [trial.trial for trial in trials] == [1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_a_model_that_a_search_tries_is_no_contestant(read: Read) -> None:
    """Where rows say what was kept and what was not, the method and the seed are settings."""
    rows = "".join(
        f"{at}\t{'xgb' if at % 2 else 'ridge'}\t{at}\t{5 - at / 10}\t"
        f"{'keep' if at % 3 else 'discard'}\n"
        for at in range(8)
    )
    imported, trials = read(f"iteration\tmodel\tseed\tloss\tstatus\n{rows}")
    assert len(imported.runs) == 1
    assert trials[1].other == {"iteration": "1", "model": "xgb", "seed": "1"}


def test_runs_without_seeds_are_counted(read: Read) -> None:
    """Two runs of nobody's are replicates of one contestant, and that is said."""
    rows = "".join(f"run-{at // 4},{at % 4},{5 - at / 10}\n" for at in range(8))
    imported, trials = read(f"run_id,iteration,val_loss\n{rows}", name="all.csv")
    assert [(run.contestant, run.seed) for run in imported.runs] == [("all", 0), ("all", 1)]
    assert [trial.trial for trial in trials] == [1, 2, 3, 4, 1, 2, 3, 4]
    assert any(each.startswith("seeds count the runs") for each in imported.assumed)


def test_names_that_differ_by_signs_alone_have_runs_of_their_own(read: Read) -> None:
    """A run's id has letters, digits, dots and hyphens, and is had once."""
    text = "method,seed,loss\na b,0,1.5\na/b,0,2.5\na-b,0,3.5\n"
    imported, trials = read(text, name="finals.csv")
    assert len({run.run for run in imported.runs}) == 3
    assert {trial.run for trial in trials} == {run.run for run in imported.runs}


def test_long_names_that_begin_alike_have_runs_of_their_own(read: Read) -> None:
    """What is cut off a name may be all that tells two runs apart."""
    long = "a contestant whose name is longer than an id of a run may be, "
    text = f'method,seed,loss\n"{long}one",0,1.5\n"{long}two",0,2.5\n'
    imported, _ = read(text, name="finals.csv")
    assert len({run.run for run in imported.runs}) == 2
