"""What a live view shows of a run, as lines that fit a terminal of any size.

Whatever a contestant wrote is text here: no markup is read in it, and it steers no terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runner.records.proposal import counts, in_words
from runner.records.schema import Event
from runner.records.visible import marked, visible
from runner.spec import RunSpec
from runner.watch import ages
from runner.watch.budgets import bar
from runner.watch.curve import plot
from runner.watch.followed import Followed, UnderWay
from runner.watch.glance import budget_of

WIDE = 120  # columns, from which on there are two columns of text
BAR_CELLS = 20
CURVE_LINES = 10
LONGEST_TEXT = 500  # characters of a stranger's text that are looked at
STYLES = {"running": "green", "suspended": "yellow", "died": "red", "ended": "bold"}
BAD_SIGNS = ("failed", "died", "outage", "denied", "lost", "hung", "problem", "damaged", "ended")


def view(
    run: Followed, words: Sequence[str], now: datetime, width: int, height: int
) -> RenderableType:
    """All about one run.

    Args:
        run: which has been looked at.
        words: the last lines of its contestant.
        now: the present.
        width: of the terminal, in columns.
        height: how many lines there may be.
    """
    top = [*_head(run, now), *_budgets(run, now), *_trial(run, now), *_pauses(run, now)]
    rest = height - len(top)
    if width < WIDE or rest <= 0:
        lower = _one_column(run, words, now, width, rest)
        return Group(*(_cut(line, width) for line in [*top, *lower][:height]))
    half = (width - 3) // 2
    left = _one_column(run, (), now, half, rest, happened=False)
    right = [*_words(words, rest * 2 // 3), *_happened(run, now, rest // 3)][:rest]
    columns = Table.grid(padding=(0, 3, 0, 0))
    columns.add_column(width=half, no_wrap=True)
    columns.add_column(width=half, no_wrap=True)
    columns.add_row(*(Group(*(_cut(line, half) for line in side)) for side in (left, right)))
    return Group(*(_cut(line, width) for line in top), columns)


def overview(runs: Sequence[Followed], now: datetime, width: int, height: int) -> RenderableType:
    """Several runs, a few lines each; those for which there is no room are counted."""
    lines: list[Text] = []
    for at, run in enumerate(runs):
        block = [*_head(run, now), *_budgets(run, now)[:1], *_trial(run, now)[:1], Text()]
        if len(lines) + len(block) > height - 1 and at + 1 < len(runs):
            lines.append(Text(f"and {len(runs) - at} more: `make ps` lists all", style="dim"))
            break
        lines += block
    return Group(*(_cut(line, width) for line in lines[:height]))


def plain(words: str) -> str:
    """A stranger's text on one line, without anything that a terminal obeys."""
    return visible(words[:LONGEST_TEXT])


def harmless_value(value: object) -> object:
    """A value of a log's line as a terminal can be given it; other values than text are kept."""
    return marked(value) if isinstance(value, str) else value


def _cut(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def _head(run: Followed, now: datetime) -> list[Text]:
    """Who it is, how it stands, and how good it is."""
    asked, best, metric = run.asked, run.best, run.metric
    since = ages.seconds_since(run.seen_at, now)
    seen = "" if since is None else f"  seen {ages.in_words(since)} ago"
    state, _, what_to_do = run.state.partition(": ")
    first = Text.assemble(
        (plain(run.run_id), "bold"), f"  {plain(asked.task) if asked else '?'}  ",
        ("unsafe, " * run.unsafe, "red"), (plain(state), STYLES[run.kind]), f"{_turn(run)}{seen}",
    )  # fmt: skip
    advice = [Text(f"  {plain(what_to_do)}")] if what_to_do else []
    pruned = sum(trial.status == "pruned" for trial in run.trials)
    bad = sum(trial.status != "ok" for trial in run.trials) - pruned
    value = "none yet" if best is None or best.value is None else metric.shown(best.value)
    of = f" (trial {best.trial})" if best else ""
    second = Text.assemble(f"best {metric.name} ", (value, "bold"), of)
    second.append(f"   {len(run.trials)} trials, {bad} failed")
    second.append(f", {pruned} pruned" if pruned else "")
    sources = counts(trial.proposal for trial in run.trials)
    second.append(f"   by {in_words(sources)}" if sources else "")
    spent = run.spent(now)
    if spent is not None and spent.requests:
        rehearsed = " rehearsed" if asked and asked.rehearsed else ""
        second.append(f"   ${spent.usd:.2f}{rehearsed}")
    if spent is not None and asked and budget_of(asked).compute_usd_per_hour is not None:
        compute = budget_of(asked).compute_usd(spent.device_seconds)
        second.append(f"   ${compute:.2f} compute")
    return [first, *advice, second]


def _turn(run: Followed) -> str:
    number = run.turn.fields.get("turn") if run.turn else None
    return f"  turn {number}" if isinstance(number, int) else ""


def _budgets(run: Followed, now: datetime) -> list[Text]:
    return [
        Text.assemble(
            share.bar(BAR_CELLS), f"  {share.amounts()}", style="yellow" if share.part > 0.9 else ""
        )
        for share in run.budgets(now)
    ]


def _trial(run: Followed, now: datetime) -> list[Text]:
    """The trial under way: how far it is, what it says, what it is for."""
    trial = run.under_way()
    if trial is None:
        return [Text("no trial under way", style="dim")] if run.kind == "running" else []
    others = [other for other in run.waiting.values() if other is not trial]
    train = sum(other.started_at is not None for other in others)
    queue = f"; {train} more under way" if train else ""
    queue += f"; {len(others) - train} more in the queue" if len(others) > train else ""
    if trial.started_at is None:
        waited = ages.in_words(ages.seconds_since(trial.queued_at, now))
        behind = f" behind {plain(run.behind)}" if run.behind else ""
        first = Text(f"trial {trial.number} waits for its device{behind}, since {waited}{queue}")
    else:
        first = _progress(run, trial)
        first.append(queue)
    lines = [first]
    if trial.started_at is not None:
        lines.append(_so_far(run, trial, now))
    about = f"runs again: {trial.repeated}" if trial.repeated else trial.hypothesis
    lines.append(Text(f"  {plain(about)}", style="italic"))
    if run.training is not None and not run.training.progress and run.training.line:
        lines.append(Text(f"  {plain(run.training.line)}", style="dim"))
    return lines


def _progress(run: Followed, trial: UnderWay) -> Text:
    """How far a trial is, by its own word."""
    line = Text.assemble((f"trial {trial.number}", "bold"), " ")
    seconds = run.asked.trial_seconds if isinstance(run.asked, RunSpec) else None
    part = run.training.part(seconds) if run.training and seconds else None
    if run.training is None or part is None or seconds is None:
        line.append("has told no progress yet", style="dim")
        return line
    told = run.training.progress
    line.append(f"{bar(part, BAR_CELLS)} {int(100 * part)}%", style="cyan")
    line.append(f"  {told['train_seconds']:.0f} of {seconds:g} s")
    for name in ("step", "loss"):
        line.append(f"  {name} {told[name]:g}" if name in told else "")
    return line


def _so_far(run: Followed, trial: UnderWay, now: datetime) -> Text:
    """Since when a trial runs, and what the judge measured on the way."""
    begun = ages.in_words(ages.seconds_since(trial.started_at, now))
    line = Text(f"  began {begun} ago")
    if trial.estimates:
        fraction, value = trial.estimates[-1]
        line.append(f"  estimate {run.metric.shown(value)} at {100 * fraction:.0f}%", "bold")
    return line


def _pauses(run: Followed, now: datetime) -> list[Text]:
    """Why nothing happens: a pause between turns, an engine or a provider that fails."""
    lines = []
    if run.kind == "running" and run.engine_gone_at is not None:
        gone = ages.in_words(ages.seconds_since(run.engine_gone_at, now))
        lines.append(Text(f"the engine failed {gone} ago; the runner waits for it", "yellow"))
    if run.kind == "running" and run.failures:
        count = f"the last {run.failures} answers" if run.failures > 1 else "the last answer"
        lines.append(Text(f"the provider fails: {count}, HTTP {run.last_status}", style="yellow"))
    turn = run.turn
    if run.kind == "running" and turn is not None and turn.event == "turn.finished":
        pause = turn.fields.get("next_turn_in_seconds")
        if isinstance(pause, int | float) and pause > 0:
            since = ages.seconds_since(ages.moment(turn.at), now) or 0.0
            left = max(0.0, pause - since)
            why = plain(str(turn.fields.get("error", "")))
            lines.append(Text(f"pause: the next turn comes in {left:.0f} s: {why}", "yellow"))
    return lines


def _one_column(
    run: Followed,
    words: Sequence[str],
    now: datetime,
    width: int,
    rest: int,
    *,
    happened: bool = True,
) -> list[Text]:
    """The curve, the last trials, the last words and what else happened, in so many lines."""
    curve = plot(run.values, run.metric, width, min(CURVE_LINES, max(0, rest // 3)))
    lines = [Text(line, style="cyan") for line in curve]
    events = _happened(run, now, min(4, max(2, rest // 5))) if happened else []
    said = _words(words, min(len(words) + 1, max(2, rest // 4)))
    trials = _last_trials(run, rest - len(lines) - len(events) - len(said))
    return [*lines, *trials, *said, *events][: max(0, rest)]


def _last_trials(run: Followed, most: int) -> list[Text]:
    """A heading and the last trials, the newest first, in at most so many lines."""
    if most < 2 or not run.trials:
        return []
    best = run.best
    lines = [Text("last trials", style="bold")]
    for trial in list(reversed(run.trials))[: most - 1]:
        ok = trial.status == "ok" and trial.value is not None
        value = run.metric.shown(trial.value) if ok and trial.value is not None else trial.status
        line = Text.assemble(
            f"{trial.trial:>5}  ", (f"{plain(value):>9}", "" if ok else "red"),
            ("*" if best is not None and trial.trial == best.trial else " ", "bold"),
            f" {trial.train_seconds:>5.0f} s  {plain(trial.reason or trial.hypothesis)}",
        )  # fmt: skip
        lines.append(line)
    return lines


def _words(words: Iterable[str], most: int) -> list[Text]:
    said = [plain(line) for line in words]
    said = [line for line in said if line][-max(0, most - 1) :]
    if most < 2 or not said:
        return []
    return [Text("last words", style="bold"), *(Text(f"  {line}") for line in said)]


def _happened(run: Followed, now: datetime, most: int) -> list[Text]:
    """A heading and what else happened, the newest last, in at most so many lines."""
    events = list(run.happened)[-max(0, most - 1) :]
    if most < 2 or not events:
        return []
    return [Text("what happened", style="bold"), *(_event(event, now) for event in events)]


def _event(event: Event, now: datetime) -> Text:
    fields = " ".join(f"{name}={value}" for name, value in event.fields.items())
    age = ages.in_words(ages.seconds_since(ages.moment(event.at), now))
    bad = any(event.event.partition(".")[2].startswith(sign) for sign in BAD_SIGNS)
    name = (plain(event.event), "yellow" if bad else "")
    return Text.assemble(f"{age:>6} ago  ", name, f"  {plain(fields)}")
