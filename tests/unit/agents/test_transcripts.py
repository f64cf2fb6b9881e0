"""How transcripts are judged: by what the three real CLIs print, and by what an attacker might."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import load_agent
from runner.agents.base import MAX_LINE_CHARS, MAX_TEXT_CHARS, with_short_strings
from runner.run.drivers.turn_policy import TurnPolicy

Event = dict[str, Any]

# Shapes as printed by Claude Code 2.1.328, Codex 0.169.0 and Gemini CLI 0.61.0.
CLAUDE_TOOL: Event = {
    "type": "user",
    "message": {"role": "user", "content": [{"type": "tool_result", "content": "train.py"}]},
}
CLAUDE_DONE: Event = {"type": "result", "subtype": "success", "is_error": False, "result": "Done."}
CODEX_TOOL: Event = {
    "type": "item.completed",
    "item": {"id": "item_2", "type": "command_execution", "exit_code": 0, "status": "completed"},
}
CODEX_SAID: Event = {"type": "item.completed", "item": {"type": "agent_message", "text": "Done."}}
CODEX_DONE: Event = {"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}
GEMINI_TOOL: Event = {"type": "tool_result", "tool_id": "a1", "status": "success", "output": "ok"}
GEMINI_SAID: Event = {"type": "message", "role": "assistant", "content": "Do", "delta": True}
GEMINI_SAID_ON: Event = {**GEMINI_SAID, "content": "ne."}
GEMINI_DONE: Event = {"type": "result", "status": "success", "stats": {"tool_calls": 1}}

GOOD: dict[str, list[Event]] = {
    "opus": [CLAUDE_TOOL, CLAUDE_DONE],
    "gpt": [{"type": "turn.started"}, CODEX_TOOL, CODEX_SAID, CODEX_DONE],
    "gemini": [GEMINI_TOOL, GEMINI_SAID, GEMINI_SAID_ON, GEMINI_DONE],
}
AGENTS = sorted(GOOD)
TOOLS = (CLAUDE_TOOL, CODEX_TOOL, GEMINI_TOOL)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
keys = st.sampled_from(
    ["type", "item", "message", "content", "result", "subtype", "status", "error", "errors", "role"]
)
words = st.sampled_from(
    ["user", "result", "success", "item.completed", "turn.completed", "turn.failed", "error",
     "message", "assistant", "tool_result", "command_execution", "agent_message"]
)  # fmt: skip
near_events = st.dictionaries(
    keys, words | json_values | st.dictionaries(keys, words | json_values)
)


def lines(events: list[Event]) -> list[str]:
    return [json.dumps(event) for event in events]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_finished_turn_that_did_something_is_good(agent: str) -> None:
    """A good result and one completed tool call."""
    outcome = load_agent(agent).judge(lines(GOOD[agent]), 0)
    assert (outcome.good, outcome.tool_calls) == (True, 1)
    assert (outcome.error, outcome.session_lost) == ("", False)


@pytest.mark.parametrize("agent", AGENTS)
def test_lines_that_are_no_json_are_passed_over(agent: str) -> None:
    """Warnings between the events change nothing."""
    noise = ["Warning: 256-color support not detected", "{", '"text"', "[1]", "", "{}", "\x00"]
    mixed = [text for line in lines(GOOD[agent]) for text in (*noise, line)]
    assert load_agent(agent).judge(mixed, 0).good


@pytest.mark.parametrize("agent", AGENTS)
def test_success_without_a_tool_call_is_not_believed(agent: str) -> None:
    """A turn that only talked is not good, and says so."""
    events = [event for event in GOOD[agent] if event not in TOOLS]
    outcome = load_agent(agent).judge(lines(events), 0)
    assert not outcome.good
    assert outcome.error == "ended without a single tool call"


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("exit_code", [1, 143, -9])
def test_a_bad_exit_code_is_believed(agent: str, exit_code: int) -> None:
    """However good the transcript looks."""
    outcome = load_agent(agent).judge(lines(GOOD[agent]), exit_code)
    assert not outcome.good
    assert str(exit_code) in outcome.error


@pytest.mark.parametrize("agent", AGENTS)
def test_exit_code_zero_without_a_result_is_not_believed(agent: str) -> None:
    """Gemini exits 0 when it is terminated, Codex when it ran nothing."""
    outcome = load_agent(agent).judge(lines(GOOD[agent][:-1]), 0)
    assert not outcome.good
    assert outcome.error == "ended without a result"


@pytest.mark.parametrize("agent", AGENTS)
def test_stderr_explains_what_the_transcript_does_not(agent: str) -> None:
    """The CLI's last words become the error."""
    outcome = load_agent(agent).judge([], 1, "error: no space left on device\n")
    assert outcome.error == "error: no space left on device"


def test_claude_success_with_is_error_is_an_error() -> None:
    """The flag counts, not the word; its result is the explanation."""
    lie = {**CLAUDE_DONE, "is_error": True, "result": "API Error: 402 budget spent"}
    outcome = load_agent("opus").judge(lines([CLAUDE_TOOL, lie]), 0)
    assert not outcome.good
    assert outcome.error == "API Error: 402 budget spent"


def test_the_last_of_two_claude_results_counts() -> None:
    """A later failure overrules an earlier success, and the other way round."""
    failed = {**CLAUDE_DONE, "subtype": "error_during_execution", "is_error": True, "result": "x"}
    opus = load_agent("opus")
    assert not opus.judge(lines([CLAUDE_TOOL, CLAUDE_DONE, failed]), 0).good
    assert opus.judge(lines([CLAUDE_TOOL, failed, CLAUDE_DONE]), 0).good


def test_codex_errors_before_a_completed_turn_were_retries() -> None:
    """A notice of a reconnect does not spoil a turn that was completed after it."""
    retry = {"type": "error", "message": "Reconnecting... 1/5"}
    assert load_agent("gpt").judge(lines([CODEX_TOOL, retry, CODEX_DONE]), 0).good


def test_a_failed_codex_turn_gives_its_reason() -> None:
    """The error of turn.failed is what the runner records."""
    failed = {"type": "turn.failed", "error": {"message": "quota exceeded"}}
    outcome = load_agent("gpt").judge(lines([CODEX_TOOL, failed]), 1)
    assert (outcome.good, outcome.error) == (False, "quota exceeded")


def test_a_failed_gemini_result_gives_its_reason() -> None:
    """An error status with its message."""
    failed = {"type": "result", "status": "error", "error": {"message": "[API Error: no]"}}
    outcome = load_agent("gemini").judge(lines([GEMINI_TOOL, failed]), 144)
    assert (outcome.good, outcome.error) == (False, "[API Error: no]")


@pytest.mark.parametrize(
    ("agent", "stderr"),
    [
        ("opus", "No conversation found to continue"),
        ("opus", "API Error: 400 prompt is too long: 210000 tokens > 200000 maximum"),
        ("gpt", "Error: no rollout found for thread id 01a1"),
        ("gpt", "Codex ran out of room in the model's context window. Start a new thread"),
        ("gemini", "No previous sessions found for this project."),
    ],
)
def test_a_session_that_cannot_be_resumed_is_noticed(agent: str, stderr: str) -> None:
    """So that the next turn starts afresh instead of failing for ever."""
    assert load_agent(agent).judge([], 1, stderr).session_lost


@pytest.mark.parametrize("agent", AGENTS)
def test_huge_and_endless_lines_cost_no_more_than_their_bound(agent: str) -> None:
    """An overlong line is passed over and long words are cut."""
    huge = json.dumps({**GOOD[agent][-1], "padding": "x" * MAX_LINE_CHARS})
    deep = '{"type":' + "[" * 100_000
    long = [{**CLAUDE_DONE, "result": "y" * 100_000}, {**CODEX_SAID, "item": CODEX_SAID["item"]}]
    outcome = load_agent(agent).judge([huge, deep, *lines(long)], 0, "z" * 100_000)
    assert len(outcome.error) <= MAX_TEXT_CHARS
    assert not outcome.good


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("stderr", ["", "Warning: true color support not detected\n"])
def test_an_idle_turn_is_idle_whatever_its_cli_says_aside(agent: str, stderr: str) -> None:
    """A turn that ended well without a tool call has not failed, however much is on stderr."""
    events = [event for event in GOOD[agent] if event not in TOOLS]
    policy = TurnPolicy()
    policy.take(load_agent(agent).judge(lines(events), 0, stderr), trials_asked=0)
    assert (policy.idle, policy.failures) == (1, 0)


def picture(agent: str, size_bytes: int) -> str:
    """The line of a tool result that holds a picture of this size, as its CLI prints it."""
    data = "iVBORw0K" * (size_bytes // 8)
    source = {"type": "base64", "media_type": "image/png", "data": data}
    block = {"type": "image", "source": source}
    if agent == "opus":
        result = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
        return json.dumps({"type": "user", "message": {"role": "user", "content": [result]}})
    if agent == "gpt":
        item = {"id": "i", "type": "mcp_tool_call", "result": {"content": [{"data": data}]}}
        return json.dumps({"type": "item.completed", "item": item})
    return json.dumps({**GEMINI_TOOL, "output": f'say \\"\u00e9\\" {data}'})


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("size_bytes", [1 << 20, 5 << 20])
def test_a_tool_call_with_a_picture_is_counted(agent: str, size_bytes: int) -> None:
    """Its result is one line of megabytes; the turn has worked all the same."""
    events = [event for event in GOOD[agent] if event not in TOOLS]
    outcome = load_agent(agent).judge([picture(agent, size_bytes), *lines(events)], 0)
    assert (outcome.good, outcome.tool_calls) == (True, 1)


strings = st.text(st.sampled_from(["a", '"', "\\", "\n", "\u00e9", "u"]), max_size=12)


def cut(value: object, most: int) -> object:
    """The value with so many characters of each string."""
    if isinstance(value, dict):
        return {cut(key, most): cut(item, most) for key, item in value.items()}
    if isinstance(value, list):
        return [cut(item, most) for item in value]
    return value[:most] if isinstance(value, str) else value


@given(st.lists(st.dictionaries(strings, strings | st.lists(strings))), st.integers(1, 6))
def test_a_line_with_short_strings_is_the_same_json(value: object, most: int) -> None:
    """Whatever stands in the strings, quotes, backslashes and escapes: nothing else is lost."""
    assert json.loads(with_short_strings(json.dumps(value), most)) == cut(value, most)


def test_a_tool_call_with_a_thousand_long_words_is_counted() -> None:
    """No single string of the line need be long for the line to be."""
    block = {"type": "text", "text": 'a "word" \\ of \u00e9t\u00e9\n' * 80}
    result = {"type": "tool_result", "content": [block] * 2000}
    line = json.dumps({"type": "user", "message": {"content": [result]}})
    assert len(line) > MAX_LINE_CHARS
    assert load_agent("opus").judge([line, *lines([CLAUDE_DONE])], 0).tool_calls == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"type":' + '"\\' * (4 << 20),  # quotes that are escaped, without end
        '{"type":"user","message":[' + "{}," * (3 << 20),
        '{"type":"user","message":[' + '"",' * (3 << 20) + '""]}',
        "{" + '"a":"' + "\\" * (8 << 20) + '"}',
    ],
    ids=["quotes", "objects", "words", "backslashes"],
)
def test_a_hostile_line_costs_little(line: str) -> None:
    """Megabytes that are made to be slow or large when read are neither."""
    tracemalloc.start()
    began = time.process_time()
    outcome = load_agent("opus").judge([line], 0)
    seconds = time.process_time() - began
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome.tool_calls == 0
    assert seconds < 5  # one that tries again at each quote takes hours
    assert peak_bytes < 64 << 20


@pytest.mark.parametrize("agent", AGENTS)
@given(
    text=st.lists(st.text(), max_size=6),
    events=st.lists(near_events, max_size=6),
    exit_code=st.integers(-64, 255),
    stderr=st.text(),
)
def test_no_transcript_makes_the_reader_fail(
    agent: str, text: list[str], events: list[Event], exit_code: int, stderr: str
) -> None:
    """Any text and any JSON, near to real events or not, gives a bounded outcome."""
    outcome = load_agent(agent).judge([*text, *lines(events)], exit_code, stderr)
    assert outcome.tool_calls >= 0
    assert outcome.good or outcome.error
    assert not (outcome.good and exit_code != 0)
