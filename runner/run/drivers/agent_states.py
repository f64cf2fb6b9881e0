"""The states of an agent that is being driven, and what leads from one to the next.

Read `TRANSITIONS` from top to bottom: the first half is the run, the second half is its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto


class State(Enum):
    """Where an agent stands between its first turn and the end of its container."""

    WAITING = "no turn runs; the next one begins when its time has come"
    WORKING = "a turn runs"
    INTERRUPTED = "a turn that hung was told to end"
    DOWN = "its container has ended by itself, and is started again"

    CUT_OFF = "the run ends while a turn runs that does not know it; it is interrupted next"
    CLOSING = "a turn runs that knows that it is the last one, and may end by itself"
    STOPPING = "a turn was told to end because the run ends"
    ENDING = "the run ends and no turn runs; next is the closing turn, if there may be one"
    PACKING = "the container packs the agent's repository and exits"
    OVER = "the container has said that it is done"


class Event(Enum):
    """What can happen to a driven agent."""

    TURN_STARTED = auto()
    TURN_FINISHED = auto()
    TURN_HUNG = auto()  # no sign of life for too long
    TURN_LOST = auto()  # a turn that hung was told to end, and its end was never told
    CONTAINER_DIED = auto()  # by itself; PID 1 may have said before that it stops
    CONTAINER_RESTARTED = auto()
    TURN_OVERDUE = auto()  # it used all the time that the run's end leaves it
    RUN_ENDED_TOLD = auto()  # the agent learnt of the end from its last trial
    RUN_ENDED_UNTOLD = auto()
    NO_TURN_LEFT = auto()
    STOPPED = auto()


TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.WAITING: {
        Event.TURN_STARTED: State.WORKING,
        Event.CONTAINER_DIED: State.DOWN,
        Event.RUN_ENDED_TOLD: State.ENDING,
        Event.RUN_ENDED_UNTOLD: State.ENDING,
        Event.STOPPED: State.OVER,
    },
    State.WORKING: {
        Event.TURN_FINISHED: State.WAITING,
        Event.TURN_HUNG: State.INTERRUPTED,
        Event.CONTAINER_DIED: State.DOWN,
        Event.RUN_ENDED_TOLD: State.CLOSING,
        Event.RUN_ENDED_UNTOLD: State.CUT_OFF,
        Event.STOPPED: State.OVER,
    },
    State.INTERRUPTED: {
        Event.TURN_FINISHED: State.WAITING,
        Event.TURN_LOST: State.WAITING,
        Event.CONTAINER_DIED: State.DOWN,
        Event.RUN_ENDED_TOLD: State.CLOSING,
        Event.RUN_ENDED_UNTOLD: State.CUT_OFF,
        Event.STOPPED: State.OVER,
    },
    State.DOWN: {
        Event.CONTAINER_DIED: State.DOWN,
        Event.CONTAINER_RESTARTED: State.WAITING,
        Event.RUN_ENDED_TOLD: State.ENDING,
        Event.RUN_ENDED_UNTOLD: State.ENDING,
        Event.STOPPED: State.OVER,
    },
    State.CUT_OFF: {
        Event.TURN_FINISHED: State.ENDING,
        Event.TURN_OVERDUE: State.STOPPING,
        Event.STOPPED: State.OVER,
    },
    State.CLOSING: {
        Event.TURN_FINISHED: State.PACKING,
        Event.TURN_OVERDUE: State.STOPPING,
        Event.STOPPED: State.OVER,
    },
    State.STOPPING: {
        Event.TURN_FINISHED: State.ENDING,
        Event.STOPPED: State.OVER,
    },
    State.ENDING: {
        Event.TURN_STARTED: State.CLOSING,
        Event.NO_TURN_LEFT: State.PACKING,
        Event.STOPPED: State.OVER,
    },
    State.PACKING: {
        Event.STOPPED: State.OVER,
    },
    State.OVER: {
        Event.RUN_ENDED_TOLD: State.OVER,
        Event.RUN_ENDED_UNTOLD: State.OVER,
        Event.STOPPED: State.OVER,
    },
}

# The states in which a turn of the agent's CLI runs.
TURN_RUNS = frozenset(state for state, exits in TRANSITIONS.items() if Event.TURN_FINISHED in exits)
