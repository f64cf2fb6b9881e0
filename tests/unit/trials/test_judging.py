"""The sessions of the judge, in every order of messages, and when the judge ends under them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from runner.errors import SandboxError
from runner.trials.judging import MAX_ESTIMATES, JudgeAbandonedError, Judging, Session
from runner.wire.messages import (
    Message,
    Problem,
    ScoreBegin,
    ScoreClose,
    ScoreEstimated,
    ScoreFinished,
    ScoreOpen,
    ScoreRequested,
)

SOON = 10.0


class ScriptedJudge:
    """A judge's container that answers each message by a script, in a thread of its own."""

    def __init__(self, judging: Judging) -> None:
        self.told: list[Message] = []
        self.answers: Callable[[Message], list[Message]] = lambda _: []
        self.reopened = 0
        self.is_open = threading.Event()
        self.is_open.set()
        self.fault: SandboxError | None = None
        self.opening = threading.Event()
        self.unwanted = threading.Event()
        self.slow = False
        self._judging = judging
        judging.connect(self)

    def send(self, message: Message) -> bool:
        self.told.append(message)
        for answer in self.answers(message):
            threading.Thread(target=self._judging.take, args=(answer,)).start()
        return True

    def reopen(self) -> None:
        self.reopened += 1
        if self.fault is not None:
            raise self.fault
        self.opening.set()
        if self.slow and self.unwanted.wait(SOON):
            raise SandboxError("it is not wanted any more")

    def give_up(self) -> None:
        self.unwanted.set()

    def has_news(self, within_seconds: float) -> bool:
        return self.is_open.wait(within_seconds)

    def wait_started(self) -> None:
        pass

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.told if isinstance(message, kind)]


@pytest.fixture
def judging() -> Judging:
    return Judging(finish_seconds=0.2)


@pytest.fixture
def judge(judging: Judging) -> ScriptedJudge:
    return ScriptedJudge(judging)


def times(session: Session) -> list[float]:
    """When it first asked for its final score, if it did."""
    return [] if session.requested is None else [session.requested.at]


def requested(session: Session, at: float, purpose: str = "final") -> ScoreRequested:
    return ScoreRequested(session.name, purpose, at)


def finished(session: Session, status: str = "scored") -> ScoreFinished:
    return ScoreFinished(session.name, status, "", 20.0, values={"val": 1.5})


def test_a_session_is_opened_scored_and_over(judging: Judging, judge: ScriptedJudge) -> None:
    """Its token and seed go to the judge, its score comes back, and then its name means nothing."""
    done: list[str] = []
    with judging.session(on_finish=lambda: done.append("done")) as session:
        opened = judge.told[0]
        assert isinstance(opened, ScoreOpen)
        assert (opened.session, opened.token) == (session.name, session.token)
        assert (opened.mode, opened.seed, opened.splits) == ("trial", session.seed, ["val"])
        assert judging.take(requested(session, 12.5))
        assert judging.take(finished(session))
        judging.finish(session)
    assert session.requested is not None
    assert session.requested.at == 12.5
    assert session.finished is not None
    assert session.finished.values == {"val": 1.5}
    assert not session.lost
    judging.take(ScoreFinished(session.name, "rejected", "late", 21.0))
    assert session.finished.status == "scored"
    assert done == ["done"]


def test_the_log_is_closed_before_the_judge_sends_a_row(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """`score.begin` follows the end of the log, once, and an estimate has none."""
    order: list[str] = []
    with judging.session(on_request=lambda: order.append("closed")) as session:

        def note(message: Message) -> list[Message]:
            if isinstance(message, ScoreBegin):
                order.append("begun")
            return []

        judge.answers = note
        judging.take(requested(session, 1.0, "estimate"))
        assert order == []
        assert session.asked
        assert times(session) == []
        judging.take(requested(session, 2.0))
        judging.take(requested(session, 3.0))
        assert order == ["closed", "begun"]
        assert times(session) == [2.0]


def test_a_session_waits_for_a_judge_that_opens_late(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """Nothing is told to it before it has started."""
    judge.is_open.clear()
    told: list[int] = []

    def begin() -> None:
        with judging.session():
            told.append(len(judge.of(ScoreOpen)))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join(0.2)
    assert (thread.is_alive(), judge.told) == (True, [])
    judge.is_open.set()
    thread.join(SOON)
    assert told == [1]


def test_a_run_that_ends_waits_for_no_judge(judging: Judging, judge: ScriptedJudge) -> None:
    """A trial of it has no session then."""
    judge.is_open.clear()
    judging.hurry()
    with pytest.raises(JudgeAbandonedError), judging.session():
        pass
    assert judge.told == []


def test_a_run_that_ends_waits_for_no_judge_that_is_opened_again(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """The opening is given up at once, and a later trial begins none."""
    judge.slow = True
    judging.gone()
    abandoned: list[str] = []

    def ask() -> None:
        try:
            with judging.session():
                pass
        except JudgeAbandonedError:
            abandoned.append("abandoned")

    thread = threading.Thread(target=ask)
    thread.start()
    assert judge.opening.wait(SOON)
    judging.hurry()
    assert judge.unwanted.is_set()
    thread.join(SOON)
    ask()
    assert abandoned == ["abandoned", "abandoned"]
    assert (judge.reopened, judge.told) == (1, [])


def test_a_judge_that_is_open_is_not_given_up(judging: Judging, judge: ScriptedJudge) -> None:
    """At the end of the run it may still have its last word."""
    judging.gone()
    with judging.session():
        judging.hurry()
    assert not judge.unwanted.is_set()


def test_a_score_may_come_after_the_trial_has_ended(judging: Judging, judge: ScriptedJudge) -> None:
    """The judge's last word is waited for, and asking for it twice does no harm."""
    patient = Judging(finish_seconds=SOON)
    late = ScriptedJudge(patient)
    with patient.session() as session:
        late.answers = lambda m: [finished(session)] if isinstance(m, ScoreClose) else []
        patient.finish(session)
        assert session.finished is not None
        patient.finish(session)
    assert not session.lost
    assert late.reopened == 0


def test_a_judge_without_a_last_word_is_taken_for_dead(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """The trial is lost, and the next one opens the judge again, once."""
    with judging.session() as session:
        judging.finish(session)
        assert session.lost
        assert session.finished is None
    for _ in range(2):
        with judging.session():
            assert judge.reopened == 1


def test_a_judge_that_ends_loses_what_it_had_not_finished(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """Each open session is told once; one that has its score keeps it."""
    lost: list[str] = []
    with (
        judging.session(on_lost=lambda: lost.append("first")) as first,
        judging.session(on_lost=lambda: lost.append("second")) as second,
    ):
        judging.take(finished(second))
        judging.gone()
        judging.gone()
        judging.finish(first)
        assert lost == ["first"]
        assert first.lost
        assert not second.lost
        assert second.finished is not None


def test_a_judge_that_cannot_be_started_is_an_error_each_time(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """Nothing is scored by a judge that is not there."""
    judging.gone()
    judge.fault = SandboxError("starting the judge: it ended")
    for _ in range(2):
        with pytest.raises(SandboxError, match="starting the judge"), judging.session():
            pass
    judge.fault = None
    with judging.session() as session:
        assert not session.lost


def test_several_sessions_are_kept_apart(judging: Judging, judge: ScriptedJudge) -> None:
    """Each has a token, a name and a seed of its own, and gets what is said of it alone."""
    with judging.session() as one, judging.session() as other:
        judging.take(ScoreEstimated(one.name, 0.25, 2.5, 5.0))
        judging.take(finished(other))
        assert [each.value for each in one.estimates] == [2.5]
        assert (one.finished, other.estimates) == (None, [])
        assert len({one.token, other.token}) == len({one.name, other.name}) == 2


def test_what_is_not_about_a_session_is_left_to_the_loop(
    judging: Judging, judge: ScriptedJudge
) -> None:
    """A problem is not taken; a word about an unknown session is, and changes nothing."""
    assert not judging.take(Problem("scoring", "a fault"))
    assert judging.take(ScoreFinished("s-unknown", "scored", "", 1.0))
    assert judging.take(ScoreRequested("s-unknown", "final", 1.0))
    assert judge.told == []


def test_estimates_without_an_end_are_bounded(judging: Judging, judge: ScriptedJudge) -> None:
    """A judge that says too much fills no memory."""
    with judging.session() as session:
        for number in range(10 * MAX_ESTIMATES):
            judging.take(ScoreEstimated(session.name, 0.5, float(number), 1.0))
        assert len(session.estimates) == MAX_ESTIMATES


def test_the_end_of_a_run_waits_for_no_judge_that_is_silent() -> None:
    """A session whose judge is paused is lost soon after the run ends, and not a minute later."""
    judging = Judging(finish_seconds=3600.0)
    ScriptedJudge(judging)
    with judging.session() as session:
        waiting = threading.Thread(target=judging.finish, args=(session,))
        waiting.start()
        judging.hurry()
        waiting.join(SOON)
        assert not waiting.is_alive()
    assert session.lost


def test_each_estimate_of_an_open_session_is_told(judging: Judging, judge: ScriptedJudge) -> None:
    """Whoever watches the run hears of it; of unknown sessions, and beyond the bound, nothing."""
    heard: list[float] = []
    judging.on_estimate = lambda estimate: heard.append(estimate.value)
    with judging.session() as session:
        judging.take(ScoreEstimated(session.name, 0.25, 2.5, 5.0))
        judging.take(ScoreEstimated("s-unknown", 0.25, 1.0, 5.0))
        assert heard == [2.5]
        for _ in range(2 * MAX_ESTIMATES):
            judging.take(ScoreEstimated(session.name, 0.5, 2.0, 6.0))
    assert len(heard) == MAX_ESTIMATES
