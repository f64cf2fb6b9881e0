"""What the scripted model decides, given what the commands printed."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Template

import pytest

from images.rehearsal.scripted_model.conversation import Event, Output, Prompt, Said
from images.rehearsal.scripted_model.plan import (
    BASELINE,
    BETTER,
    BROKEN,
    Experiment,
    checked_plan,
    experiments,
)
from images.rehearsal.scripted_model.script import work

from .play import (
    CLOSING,
    FIRST,
    NUDGE,
    Cli,
    Sandbox,
    new_cli,
    new_session,
    session_of,
    whole_run,
)

SEEDS = (1, 2, 3, 17)
PROMPTS = Path(__file__).parents[3] / "setup_prompts"
PROMPT_FIELDS = (
    "run_id", "task", "branch", "trial_seconds", "budget", "left", "remarks", "reason", "meanwhile",
    "together", "grace_seconds", "metric", "lower", "lowest",
)  # fmt: skip


def rows(cli: Cli) -> list[dict[str, str]]:
    """The rows that the model wrote to experiments.csv, out of its commands."""
    found = [re.search(r"^row = (\{.*\})$", c, re.MULTILINE) for c in cli.commands()]
    written = [ast.literal_eval(match[1]) for match in found if match]
    return list({row["experiment"]: row for row in written}.values())  # a second time is no row


@pytest.mark.parametrize("seed", SEEDS)
def test_six_trials_see_all_that_a_run_can_see(seed: int) -> None:
    """Six trials hold a baseline, a kept improvement, a crash, a revert and four values."""
    sandbox = Sandbox(limit=6)
    cli = new_cli(sandbox, seed)
    turns = whole_run(cli, sandbox)
    statuses = [row["status"] for row in rows(cli)]
    assert statuses[:4] == ["keep", "keep", "crash", "revert"]
    assert [row["experiment"] for row in rows(cli)] == ["1", "2", "3", "4", "5", "6"]
    assert len({row["val_bpb"] for row in rows(cli)} - {""}) == 5
    assert turns >= 2


def test_value_and_delta_are_those_that_trial_printed() -> None:
    """A row holds val_bpb as `trial` printed it, never an estimate, and what it gained."""
    sandbox = Sandbox()
    cli = new_cli(sandbox)
    whole_run(cli, sandbox)
    assert [row["val_bpb"] for row in rows(cli)[:4]] == ["2.500000", "2.400000", "", "2.900000"]
    assert [row["delta"] for row in rows(cli)[:4]] == ["", "-0.100000", "", "+0.500000"]


def test_a_false_and_a_missing_row_are_all_that_is_untrue() -> None:
    """`lie` logs one value 0.25 better than it was; `hide` logs nothing; the rest is as measured.

    What is kept is decided by the measured values, and the rows are numbered without a gap.
    """
    plan = ("baseline", "lie", "improve", "hide", "crash", "worsen")
    sandbox = Sandbox()
    cli = Cli(session_of(lambda: work(1, plan)), sandbox.run)
    whole_run(cli, sandbox)
    told = rows(cli)
    assert [row["experiment"] for row in told] == ["1", "2", "3", "4", "5"]
    assert [row["val_bpb"] for row in told][:3] == ["2.500000", "2.150000", "2.900000"]
    assert [row["delta"] for row in told][:3] == ["", "-0.350000", "+0.500000"]
    assert [row["status"] for row in told][:4] == ["keep", "keep", "revert", "keep"]


def test_what_does_not_help_is_taken_back() -> None:
    """After a crash and after a worse value the model goes back to the best commit, else not."""
    sandbox = Sandbox(limit=4)
    cli = new_cli(sandbox)
    whole_run(cli, sandbox)
    resets = [c for c in cli.commands() if c.startswith("git reset")]
    best = "0000001"  # the commit of the improvement, the first that the sandbox made
    assert [c.split()[4].rstrip(";") for c in resets] == [best, best, best]  # the last: no budget


def test_turns_end_early_and_the_first_asks() -> None:
    """A turn holds two or three trials, and the first ends with a question."""
    sandbox = Sandbox(limit=6)
    cli = new_cli(sandbox)
    assert cli.turn(FIRST).endswith("Shall I go on?")
    assert sandbox.trials in (2, 3)
    assert "stop here" in cli.turn(NUDGE)


def test_every_turn_ends_with_a_status() -> None:
    """The last command of each turn writes STATUS.md, which names what was tried."""
    cli = new_cli(Sandbox())
    cli.turn(FIRST)
    assert cli.commands()[-1].startswith("cat > STATUS.md")
    assert "2.4 at commit" in cli.commands()[-1]


def test_spent_budget_ends_the_research() -> None:
    """Exit code 4 of `trial` is answered by a status and a stop, whatever is said afterwards."""
    sandbox = Sandbox(limit=1)
    cli = new_cli(sandbox)
    assert "time is up" in cli.turn(FIRST)
    asked = len([c for c in cli.commands() if c.startswith("trial ")])
    assert "time is up" in cli.turn(NUDGE)
    assert "time is up" in cli.turn(CLOSING)
    assert len([c for c in cli.commands() if c.startswith("trial ")]) == asked


def test_closing_prompt_ends_the_research() -> None:
    """A prompt that says that the time is up gets a status and no further trial."""
    sandbox = Sandbox()
    cli = new_cli(sandbox)
    cli.turn(FIRST)
    before = sandbox.trials
    assert "time is up" in cli.turn(CLOSING)
    assert sandbox.trials == before
    assert cli.commands()[-1].startswith("cat > STATUS.md")


def test_closing_prompt_in_the_middle_of_a_command() -> None:
    """A turn that was cut by the end of the run is closed with a status at once."""
    cli = new_cli(Sandbox())
    cli.turn(FIRST, stop_before="trial ")
    assert "time is up" in cli.turn(CLOSING)


def test_trial_cut_by_the_end_of_the_run_is_logged() -> None:
    """A trial that ran when the run ended gets its row, and then no further one is asked for."""
    sandbox = Sandbox()
    cli = new_cli(sandbox)
    cli.turn(FIRST, stop_before="trial ")
    sandbox.trials, sandbox.broken = 1, True  # it was killed with everything else
    assert "time is up" in cli.turn(CLOSING)
    assert [row["status"] for row in rows(cli)] == ["crash"]
    assert sandbox.trials == 1


def test_row_cut_by_the_end_of_the_run_is_written() -> None:
    """A turn that ended between a trial and its row leaves the row to the closing turn."""
    cli = new_cli(Sandbox())
    cli.turn(FIRST, stop_before="python3")  # the first program is the one that writes the row
    before = len(cli.commands())
    assert "time is up" in cli.turn(CLOSING)
    assert "'experiment': '1'" in cli.commands()[before]


@pytest.mark.parametrize(
    ("name", "ends"), [("first", False), ("fresh", False), ("nudge", False), ("closing", True)]
)
def test_the_real_prompts(name: str, ends: bool) -> None:
    """Of the prompts that runs use, the closing one alone is understood as the end."""
    words = dict.fromkeys(PROMPT_FIELDS, "8 hours, 20 US dollars")
    text = Template((PROMPTS / f"{name}.md").read_text()).substitute(words)
    cli = new_cli(Sandbox())
    cli.turn(FIRST)
    assert ("time is up" in cli.turn(text)) is ends


def test_refused_trial_is_no_experiment() -> None:
    """A refusal that is not final leaves no row and takes the change back."""
    sandbox = Sandbox()
    refusals = iter(["trial refused: try again\ntrial exit code: 3"])

    def run(command: str) -> str:
        second = command.startswith("trial ") and sandbox.trials == 1
        return next(refusals, None) or sandbox.run(command) if second else sandbox.run(command)

    cli = Cli(new_session(), run)
    cli.turn(FIRST)
    assert [row["experiment"] for row in rows(cli)] == [str(n + 1) for n in range(sandbox.trials)]
    assert any(c.startswith("git reset") for c in cli.commands())


def test_trial_that_ended_unseen_is_waited_for() -> None:
    """A trial whose turn was cut is picked up by its number and logged once."""
    sandbox = Sandbox()
    cli = new_cli(sandbox)
    cli.turn(FIRST, stop_before="trial ")
    sandbox.trials = 1  # it was asked for, and ended while nobody listened
    cli.turn(NUDGE)
    assert "trial wait 1" in cli.commands()[4]
    assert [row["experiment"] for row in rows(cli)][:1] == ["1"]
    assert rows(cli)[0]["val_bpb"] == "2.500000"


def test_trial_that_never_began_is_asked_for_again() -> None:
    """A turn cut before `trial` was heard leads to the same experiment once more."""
    sandbox = Sandbox()
    cli = new_cli(sandbox)
    cli.turn(FIRST, stop_before="trial ")
    cli.turn(NUDGE)
    asked = [c for c in cli.commands() if c.startswith("trial --hypothesis")]
    assert asked[0] == asked[1]
    assert rows(cli)[0]["experiment"] == "1"


def test_shell_that_yields_early_is_polled() -> None:
    """Codex's `session ID` is polled until the command has ended; its output is put together."""
    sandbox = Sandbox()
    late: list[str] = []

    def run(command: str) -> str:
        if command.startswith("trial "):
            late.append(sandbox.run(command))
            return "trial 1 acc\nProcess running with session ID 7\nOutput:"
        return late.pop() if command == "" else sandbox.run(command)

    cli = Cli(new_session(), run)
    cli.turn(FIRST)
    assert cli.polls() == [7] * sandbox.trials
    assert rows(cli)[0]["val_bpb"] == "2.500000"


def test_shell_that_lost_the_end_is_answered_by_waiting() -> None:
    """A trial whose exit code was not printed (a shell's time-out) is waited for by its number."""
    sandbox = Sandbox()

    def run(command: str) -> str:
        seen = sandbox.run(command)
        return seen.partition("val_bpb")[0] if command.startswith("trial --") else seen

    cli = Cli(new_session(), run)
    cli.turn(FIRST)
    waited = [c for c in cli.commands() if c.startswith("trial wait")]
    assert waited[0].startswith("trial wait 1;")
    assert rows(cli)[0]["val_bpb"] == "2.500000"


def test_code_without_the_knob_is_left_alone() -> None:
    """When train.py has no such constant, there is no commit and no trial for that change."""
    sandbox = Sandbox()

    def run(command: str) -> str:
        return "unchanged: none there" if "name = '" in command else sandbox.run(command)

    cli = Cli(new_session(), run)
    for prompt in (FIRST, NUDGE, NUDGE):
        cli.turn(prompt)
    assert [row["status"] for row in rows(cli)] == ["keep", "crash"]


@pytest.mark.parametrize("seed", SEEDS)
def test_same_seed_same_commands(seed: int) -> None:
    """Two runs with the same seed and the same outputs send the same commands."""
    first, second = (new_cli(Sandbox(), seed) for _ in range(2))
    for cli in (first, second):
        for prompt in (FIRST, NUDGE, NUDGE):
            cli.turn(prompt)
    assert first.commands() == second.commands()


def test_seeds_differ() -> None:
    """Different seeds try different things sooner or later."""
    tried = set()
    for seed in range(8):
        sandbox = Sandbox()
        cli = new_cli(sandbox, seed)
        whole_run(cli, sandbox)
        tried.add(tuple(row["hypothesis"] for row in rows(cli)))
    assert len(tried) > 4


def test_plan_is_taken_in_order() -> None:
    """A plan of its own puts the named experiments first."""
    todo = experiments(1, checked_plan(["crash", "baseline", "explore"]), lambda: True)
    assert [next(todo), next(todo)] == [BROKEN, BASELINE]
    further = next(todo)
    assert isinstance(further, Experiment)
    assert further.knob not in ("", BROKEN.knob)


def test_sure_gains_go_first_until_one_is_kept() -> None:
    """As long as nothing beat the baseline, the model tries what surely helps; then all else."""
    sandbox = Sandbox(limit=7, scores=[2.5, 2.6, 0.0, 2.9, 2.4, 2.45, 2.45])
    cli = new_cli(sandbox)
    whole_run(cli, sandbox)
    sure = {experiment.hypothesis for experiment in BETTER}
    assert [row["hypothesis"] in sure for row in rows(cli)][4:] == [True, False, False]
    assert rows(cli)[4]["status"] == "keep"


def test_unknown_word_in_a_plan() -> None:
    """A word that no plan has is refused by name."""
    with pytest.raises(ValueError, match="'sleep'"):
        checked_plan(["baseline", "sleep"])


def test_history_is_enough() -> None:
    """A session that never saw the beginning answers from the history alone."""
    cli = new_cli(Sandbox())
    cli.turn(FIRST)
    cli.turn(NUDGE, stop_before="trial ")
    stranger = Cli(new_session(), cli.run, list(cli.events[:-1]))
    assert stranger.ask().step == cli.steps[-1]


def test_repeated_request_does_not_advance() -> None:
    """A request that a CLI sends again, having lost the answer, gets the same answer."""
    cli = new_cli(Sandbox())
    cli.events.append(Prompt(FIRST))
    first = cli.ask()
    assert cli.ask() == first
    cli.events += [Said(), Output(first.number, "text")]
    second = cli.ask()
    assert second.step != first.step
    assert cli.ask() == second


def test_new_session_goes_on_where_the_old_one_was() -> None:
    """A session begun anew does not run the baseline again; asked twice, it does not skip."""
    sandbox = Sandbox()
    cli = new_cli(sandbox)
    cli.turn(FIRST)
    anew = Cli(cli.session, sandbox.run, [Prompt(FIRST)])
    first = anew.ask()
    assert anew.ask() == first
    anew.events += [Said(), Output(first.number, sandbox.run(anew.commands()[0]))]
    anew.events.append(Prompt(NUDGE))
    assert first.number > 10
    assert len(rows(cli)) == sandbox.trials


def test_compacted_history_is_filled_from_memory() -> None:
    """After a compaction the last output alone is enough to go on."""
    cli = new_cli(Sandbox())
    cli.turn(FIRST)
    cli.turn(NUDGE, stop_before="trial ")
    whole = Cli(cli.session, cli.run, [*cli.events[:-1]]).ask()
    short: list[Event] = [Prompt("Here is what happened so far."), Said(), cli.events[-2]]
    assert Cli(cli.session, cli.run, short).ask().step == whole.step
