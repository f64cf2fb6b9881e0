"""The messages: whatever a container says, decoding gives a message, None or a ProtocolError."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.wire import messages
from runner.wire.messages import MESSAGES, Message
from runner.wire.protocol import MARK, MAX_LINE_BYTES, ProtocolError, decode, encode

TEXT = st.text(max_size=40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "int": st.integers(),
    "float": FINITE,
    "float | None": st.none() | FINITE,
    "bool": st.booleans(),
    "dict[str, Any]": st.dictionaries(TEXT, JSON, max_size=3),
    "dict[str, str]": st.dictionaries(TEXT, TEXT, max_size=3),
    "list[str]": st.lists(TEXT, max_size=3),
}


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Any message of one kind."""
    fields = {f.name: FIELDS[str(f.type)] for f in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


MESSAGE = st.sampled_from(sorted(MESSAGES)).flatmap(lambda event: messages_of(MESSAGES[event]))


@given(MESSAGE)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    """Encoding and decoding any message gives an equal one, in one line."""
    line = encode(message)
    assert line.startswith(MARK.encode())
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line, MESSAGES) == message


def test_a_trials_value_is_sent_under_its_former_name_too() -> None:
    """A resumed run keeps its images, and the earliest of them know `value` as `val_bpb`."""
    line = encode(messages.TrialFinished("r-1", 1, "ok", 2.5, 5.0, metric="val_bpb"))
    body = json.loads(line)
    assert (body["value"], body["val_bpb"]) == (2.5, 2.5)


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_break_the_decoder(raw: bytes, marked: bool) -> None:
    """Any bytes, with or without the mark, are a message, text, or a ProtocolError."""
    outcome(MARK.encode() + raw if marked else raw)


@given(st.text(max_size=300))
def test_no_text_after_the_mark_breaks_the_decoder(text: str) -> None:
    """Any text behind the mark is a message or a ProtocolError, and never plain text."""
    assert outcome(MARK + text) is not None


@given(st.sampled_from(sorted(MESSAGES)), st.dictionaries(TEXT, JSON, max_size=3), st.data())
def test_no_fields_break_the_decoder(
    event: str, extra: dict[str, Any], data: st.DataObject
) -> None:
    """Fields of any JSON type under their right names are taken or refused, and nothing else."""
    names = [f.name for f in dataclasses.fields(MESSAGES[event])]
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    body = {**extra, **{name: data.draw(JSON) for name in chosen}}
    body.pop("event", None)
    body = {"event": event, **body}
    outcome(json.dumps(body, separators=(",", ":")))


@given(MESSAGE, st.integers(min_value=0, max_value=200))
def test_a_torn_line_is_refused(message: Message, cut: int) -> None:
    """A line that lost its end is no message."""
    line = encode(message).rstrip(b"\n")
    torn = line[: len(line) - 1 - cut]
    if torn.startswith(MARK.encode()):
        with pytest.raises(ProtocolError):
            decode(torn, MESSAGES)


def outcome(line: bytes | str) -> Message | ProtocolError | None:
    """What decoding gives, a ProtocolError included; any other exception fails the test."""
    try:
        return decode(line, MESSAGES)
    except ProtocolError as error:
        return error


def test_a_line_without_the_mark_is_for_people() -> None:
    """Text, JSON of other programs, and an indented message are not taken for messages."""
    for line in ("", "step 1", '{"type":"x"}', ' {"event":"ready","program":"x"}', '{ "event":1}'):
        assert decode(line, MESSAGES) is None


def test_a_field_of_a_newer_version_is_dropped() -> None:
    """A peer that says more than this version knows is understood."""
    assert decode('{"event":"ready","program":"agent","colour":"red"}', MESSAGES) == messages.Ready(
        "agent"
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"event":"ready"}', "program"),
        ('{"event":"ready","program":1}', "program is int"),
        ('{"event":"ready","program":"x","version":true}', "version is bool"),
        ('{"event":"stop","reason":"x","grace_seconds":"soon"}', "grace_seconds is str"),
        ('{"event":"nothing"}', "unknown event"),
        ('{"event":{"ready":1}}', "unknown event"),
        ('{"event":"ready","program":' + "[" * 100_000, "no JSON"),
        ('{"event":"ready","version":' + "9" * 5000 + "}", "no JSON"),
    ],
)
def test_what_looks_like_a_message_and_is_none_says_why(line: str, says: str) -> None:
    """Missing fields, wrong types, unknown events and broken JSON are named in the error."""
    with pytest.raises(ProtocolError, match=says):
        decode(line, MESSAGES)


def test_a_line_has_a_largest_size_in_both_directions() -> None:
    """A line over the limit is neither sent nor taken."""
    message = messages.TrialLog("r", "x" * MAX_LINE_BYTES)
    with pytest.raises(ProtocolError, match="at most"):
        encode(message)
    body = json.dumps({"event": "trial.log", **dataclasses.asdict(message)}, separators=(",", ":"))
    with pytest.raises(ProtocolError, match="at most"):
        decode(body, MESSAGES)


def test_every_kind_of_message_has_a_name_of_its_own() -> None:
    """The table of messages holds every subclass, each under its own event."""
    kinds = Message.__subclasses__()
    assert set(MESSAGES.values()) == set(kinds)
    assert len({kind.event for kind in kinds}) == len(kinds)
