"""How the model knows where it stands: from the conversation, and from memory where that is cut.

The script is replayed from its start for every request, fed with everything that was seen so far.
So a request that a CLI sends twice gets the same answer twice, and a resumed session goes on where
its history ends. Memory serves a session that lost its history (compacted, or begun anew).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Generator

from .conversation import Answer, Conversation, Event, Observation, Output, Prompt, Say, Step
from .side import side_text

Work = Generator[Step, Observation, None]
SHELLS = frozenset({"Bash", "exec_command", "run_shell_command", "exec"})
_COMPACTION = re.compile(
    r"summary of (the|our|this) conversation|context checkpoint|<?state_snapshot", re.IGNORECASE
)
SUMMARY = "I work by program.md; experiments.csv and STATUS.md hold all that was done."


class Session:
    """One rehearsed agent's way through the script."""

    def __init__(self, begin: Callable[[], Work], note: Callable[[str], None]) -> None:
        """Args: `begin` makes the script anew for a replay; `note` takes a line for a person."""
        self._begin = begin
        self._note = note
        self._lock = threading.Lock()
        self._memory: list[Observation] = []
        self._answered = ""

    def answer(self, conversation: Conversation) -> Answer:
        """The model's answer to a request, the same for the same request."""
        if not conversation.tools & SHELLS:
            return Answer(conversation, 0, Say(side_text(conversation.schema)))
        if _asks_for_summary(conversation):
            return Answer(conversation, 0, Say(SUMMARY))
        with self._lock:
            return self._next(conversation)

    def _next(self, conversation: Conversation) -> Answer:
        digest = hashlib.sha256(repr(conversation.events).encode()).hexdigest()
        again = digest == self._answered
        if not again:
            self._memory = recall(self._memory, conversation)
            self._answered = digest
        step = replay(self._begin(), self._memory)
        number = len(self._memory)
        what = step.text if isinstance(step, Say) else step.purpose
        self._note(f"step {number}{' (asked again)' if again else ''}: {what}")
        return Answer(conversation, number, step)


def recall(memory: list[Observation], conversation: Conversation) -> list[Observation]:
    """Everything seen so far, in the order of the script's steps.

    The conversation's own word goes over memory; memory fills what the conversation lacks. A
    conversation without one tool output is a new session: its prompt answers the step that
    memory waits for.
    """
    events = conversation.events
    if memory and not any(isinstance(event, Output) for event in events):
        return [*memory, last_prompt(events)]
    seen: list[Observation] = []
    before: object = None
    for event in events:
        if isinstance(event, Output):
            seen += memory[len(seen) : event.step]
            seen[event.step :] = [event]
        elif isinstance(event, Prompt):
            if isinstance(before, Prompt):
                seen.pop()
            seen.append(event)
        before = event
    return seen


def last_prompt(events: tuple[Event, ...]) -> Prompt:
    """What a person said last; an empty prompt when nobody spoke."""
    prompts = [event for event in events if isinstance(event, Prompt)]
    return prompts[-1] if prompts else Prompt("")


def replay(work: Work, seen: list[Observation]) -> Step:
    """The step that the script takes after all that was seen (its first prompt included)."""
    step = next(work)
    for observation in seen[1:]:
        step = work.send(observation)
    return step


def _asks_for_summary(conversation: Conversation) -> bool:
    last = conversation.events[-1] if conversation.events else None
    return isinstance(last, Prompt) and bool(_COMPACTION.search(last.text))
