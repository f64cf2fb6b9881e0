"""What a result says of a run, beyond its numbers."""

from __future__ import annotations

from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.run.result import lost_in_words


def test_what_was_lost_is_a_problem_of_the_run(run_dir: RunDir) -> None:
    """A trial and a transcript that nobody can read any more are named; nothing else is."""
    journal = Journal(run_dir)
    journal.write("trial.queued", trial=6, request="r-6")
    journal.write("trial.lost", trial=7, request="r-7", reason="its order.json is broken")
    journal.write("transcript.lost", turn=3)
    assert lost_in_words(journal.events()) == [
        "trial 7: lost when the runner died: its order.json is broken",
        "transcript.jsonl: what turn 3 printed is lost, because it was cut",
    ]
