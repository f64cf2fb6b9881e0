"""How the model finds its place in the script: from the conversation, else from memory.

For every request the script is replayed from its start, with everything that was seen so far. So a
request that a CLI sends twice gets the same answer twice, and a resumed session goes on where its
history ends. Memory serves sessions whose history is missing (compacted, or a new session).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .conversation import Answer, Conversation, Event, Observation, Output, Prompt, Say, Shell, Step
from .hardships import SUBTASK, subtask
from .proposing.answers import MIXED, answer, is_asked, place_of
from .side import side_text
from .steps import Work
from .tools import CliTools

_COMPACTION = re.compile(
    r"summary of (the|our|this) conversation|context checkpoint|<?state_snapshot"
    r"|respond with text only",
    re.IGNORECASE,
)
SUMMARY = "I work by program.md; experiments.csv and STATUS.md hold all that was done."


@dataclass
class Proposer:
    """What answers an optimiser's prompts: `answers.answer` with this seed and quality.

    Equal prompts differ in nothing but the order in which they arrive. So of several that are sent
    side by side, as llambo's ten, the answers together are always the same, and which of them gets
    which is a matter of timing. A rehearsal with such prompts may differ from one run to the next.
    """

    seed: int = 1
    quality: str = MIXED
    _asked: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def says(self, prompt: str) -> Say:
        """The answer to a prompt; where it was asked before, the next of its answers."""
        first = place_of(prompt)
        with self._lock:
            before = self._asked[first]
            self._asked[first] += 1
        return Say(answer(prompt, self.seed, place_of(prompt, before), self.quality))


class Session:
    """One rehearsed contestant: an agent's way through the script, or an optimiser's answers.

    Args:
        begin: makes the script anew for a replay.
        note: takes a line for a person.
        tools: those of the agent's CLI; None where an optimiser asks, which has none.
        proposer: answers an optimiser's prompts.
    """

    def __init__(
        self,
        begin: Callable[[], Work],
        note: Callable[[str], None],
        tools: CliTools | None,
        proposer: Proposer | None = None,
    ) -> None:
        self._begin = begin
        self.note = note
        self._tools = tools
        self._proposer = proposer or Proposer()
        self._lock = threading.Lock()
        self._memory: list[Observation] = []
        self._answered = ""
        self._cut: set[str] = set()

    def answer(self, conversation: Conversation) -> Answer:
        """The model's answer to a request: of a CLI, the same for the same request."""
        asked = last_prompt(conversation.events).text
        if not conversation.tools and is_asked(asked):
            self.note(f"asked: {asked.lstrip().splitlines()[0].strip('# ')}")
            return self._answer(conversation, 0, self._proposer.says(asked))
        if _asks_for_summary(conversation):
            self.note("a summary")
            return self._answer(conversation, 0, Say(SUMMARY))
        if self._tools is None or not self._tools.has_shell(conversation.tools):
            return self._answer(conversation, 0, Say(side_text(conversation.schema)))
        if any(
            isinstance(event, Prompt) and SUBTASK in event.text for event in conversation.events
        ):
            return self._of_subtask(conversation)
        with self._lock:
            return self._next(conversation)

    def _of_subtask(self, conversation: Conversation) -> Answer:
        """The answer to a sub-agent, whose place follows from its own conversation alone."""
        seen = recall([], conversation)
        step = replay(subtask(), seen)
        self.note(f"sub-agent ({conversation.model}), step {len(seen)}")
        return self._answer(conversation, len(seen), step, thread="sub_")

    def _next(self, conversation: Conversation) -> Answer:
        digest = hashlib.sha256(repr(conversation.events).encode()).hexdigest()
        again = digest == self._answered
        if not again:
            self._memory = recall(self._memory, conversation)
            self._answered = digest
        step = replay(self._begin(), self._memory)
        number = len(self._memory)
        what = step.text if isinstance(step, Say) else step.purpose
        self.note(f"step {number}{' (asked again)' if again else ''}: {what}")
        return self._answer(conversation, number, step, cut=self._is_cut(conversation, step))

    def _answer(
        self,
        conversation: Conversation,
        number: int,
        step: Step,
        thread: str = "",
        cut: bool = False,
    ) -> Answer:
        call = self._tools.call(step, conversation.tools) if self._tools else None
        return Answer(conversation, number, step, call, thread, cut)

    def _is_cut(self, conversation: Conversation, step: Step) -> bool:
        """Whether this stream has to fail; that of a step fails once."""
        name = step.cut if isinstance(step, Shell) and conversation.streamed else ""
        cut = bool(name) and name not in self._cut
        self._cut.add(name)
        return cut


def recall(memory: list[Observation], conversation: Conversation) -> list[Observation]:
    """Everything seen so far, in the order of the script's steps.

    What the conversation holds counts before memory, and memory fills what it lacks. A conversation
    without any tool output is a new session: its prompt answers the step that memory waits for.
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
    """The last prompt; an empty one when there is none."""
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
