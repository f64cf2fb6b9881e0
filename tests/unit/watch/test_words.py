"""The last words of a contestant, out of a container's log or out of any CLI's transcript."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.watch.words import readable, transcript_words
from runner.wire.messages import Ready
from runner.wire.protocol import encode
from tests.run_results import made_run


@given(st.lists(st.text("ab é", max_size=8), max_size=6), st.integers(min_value=1, max_value=9))
def test_a_log_for_people_has_no_messages(words: list[str], size: int) -> None:
    """However the engine cuts the stream, whole lines come out, and no protocol message."""
    message = encode(Ready("agent")).decode()
    text = "".join(f"{word}\n{message}" for word in words) + "the end"
    raw = text.encode()
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert list(readable(chunks)) == [*words, "the end"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "I try half"}]}},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "I try half"}},
        {"type": "message", "role": "assistant", "content": "I try half"},
    ],
)
def test_each_clis_words_are_found(tmp_path: Path, event: dict[str, object]) -> None:
    """Of a transcript, what the model says is shown, and what tools answer is not."""
    run_dir = made_run(tmp_path)
    other = {"type": "user", "message": {"content": [{"type": "text", "text": "a tool"}]}}
    lines = [json.dumps(each) for each in (event, other, [1], {"type": "assistant"})]
    run_dir.transcript.write_text("no JSON\n" + "\n".join(lines) + "\n")
    assert transcript_words(run_dir) == ["I try half"]


def test_a_run_without_a_transcript_has_no_words(tmp_path: Path) -> None:
    """A turn's transcript comes at its end."""
    assert transcript_words(made_run(tmp_path)) == []
