"""Readers of text that an agent wrote, each fed its worst at that reader's size bound.

A reader that is worse than linear hangs a run, `stop` and `collect`. Each case runs in a child of
its own and is counted in processor time, so that a busy machine fails none. The bound is some three
times what the slowest case takes on a usual processor; a reader that is worse than linear takes
minutes.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.agent.gemini.render import describe
from images.agent.render import MAX_LINE_BYTES as RENDERED_LINE_BYTES
from images.agent.render import Renderer
from images.agent.safe_folder import BoundedFile
from runner.agents import load_agent
from runner.claims import reader as claims
from runner.claims.fidelity import reconcile
from runner.claims.sheet import MAX_BYTES as CLAIMS_BYTES
from runner.claims.words import columns
from runner.collect.artifacts import MAX_TRANSCRIPT_BYTES, judged_lines, without_blank_lines
from runner.engine.channel import Channel
from runner.metrics import VAL_BPB
from runner.records.layout import ROOT
from runner.records.schema import TrialRecord
from runner.referee.reading import read_verdicts
from runner.trials.orders.order import MAX_DIFF_LINES, TrialOrder
from runner.trials.orders.submission import _changes
from runner.trials.output import TrialOutput
from runner.wire import messages, protocol
from runner.wire.messages import MAX_TRAIN_PY_BYTES
from runner.wire.protocol import MAX_LINE_BYTES, ProtocolError, pack_text
from trainer import constants

READER_SECONDS = 6.0  # of the processor
HUNG_SECONDS = 15  # of the processor: a child that takes so many is ended
MEMORY_BYTES = 3 << 30  # beyond what the process of the tests has itself


def spent(read: Callable[[], object]) -> float:
    """The processor seconds of a reader.

    Raises:
        AssertionError: it took `HUNG_SECONDS`, too much memory, or raised.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(read, theirs))
    child.start()
    theirs.close()
    child.join()
    assert child.exitcode == 0, f"the reader was ended: exit code {child.exitcode}"
    return float(ours.recv())


def _measure(read: Callable[[], object], answer: multiprocessing.connection.Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (HUNG_SECONDS, HUNG_SECONDS))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    began = time.process_time()
    read()
    answer.send(time.process_time() - began)


def filled(piece: str, size: int, before: str = "", after: str = "") -> str:
    """The piece as often as it goes into so many characters, between two others."""
    return before + piece * ((size - len(before) - len(after)) // len(piece)) + after


# --- experiments.csv ------------------------------------------------------------------------------

HEADER = ",".join(columns("val_bpb"))
OTHER = "id,sha,score,status"
WIDE = ",".join(["val_bpb", "status", *("n" * 95 + str(at) for at in range(62))])
TABLES = {
    "commas": filled(",", CLAIMS_BYTES),
    "commas below a header": filled(",", CLAIMS_BYTES, HEADER + "\n"),
    "rows of commas": filled("," * 399 + "\n", CLAIMS_BYTES, HEADER + "\n"),
    "rows of words": filled("a b," * 99 + "\n", CLAIMS_BYTES, HEADER + "\n"),
    "spaces and commas": filled(" ,", CLAIMS_BYTES, HEADER + "\n"),
    "headers": filled(HEADER + "\n", CLAIMS_BYTES),
    "a header of many columns": filled("val_bpb,", CLAIMS_BYTES // 2) + "\n" + "1," * 2_000_000,
    "long names for nothing": filled("1" + "," * 63 + "\n", CLAIMS_BYTES, WIDE + "\n"),
    "line feeds": filled("\n", CLAIMS_BYTES, HEADER),
    "returns": filled("\r", CLAIMS_BYTES, HEADER),
    "short lines": filled("a\n", CLAIMS_BYTES, HEADER + "\n"),
    "line separators": filled("a\u2028", CLAIMS_BYTES // 2, HEADER + "\n"),
    "quotes": filled('"', CLAIMS_BYTES, HEADER + "\n"),
    "open quotes": filled('"a\n', CLAIMS_BYTES, HEADER + "\n"),
    "a quoted line": filled("\n", CLAIMS_BYTES, HEADER + '\n"', '"'),
    "pipes": filled("|", CLAIMS_BYTES),
    "rows of pipes": filled("|" * 399 + "x\n", CLAIMS_BYTES),
    "escaped pipes": filled("\\|", CLAIMS_BYTES, "|"),
    "dashes": filled("-", CLAIMS_BYTES, "|", "x"),
    "one line": filled("x", CLAIMS_BYTES, HEADER + "\n"),
    "two headers in turn": filled(f"{HEADER}\n{OTHER}\n1\n", CLAIMS_BYTES),
    "Markdown headers": filled(f"|{OTHER.replace(',', '|')}|\n|--|\n|1|\n", CLAIMS_BYTES),
    "Markdown rules": filled("|" + "--|" * 1000 + "x\n", CLAIMS_BYTES),
    "statuses": filled("keep,1.5,abcdef0,2026-01-01\n", CLAIMS_BYTES),
    "surplus cells": filled("1,,abcdef0" + ",a" * 50 + ",2.3,,keep\n", CLAIMS_BYTES, HEADER + "\n"),
    "JSON lines": filled('{"val_bpb": 1.5, "status": "keep"}\n', CLAIMS_BYTES),
    "JSON lines of many keys": filled(
        json.dumps({f"k{at}": at for at in range(400)}) + "\n", CLAIMS_BYTES
    ),
    "a JSON list": filled('{"val_bpb": 1},', CLAIMS_BYTES, "[", "{}]"),
    "empty objects": filled("{},", CLAIMS_BYTES, "[", "{}]"),
    "open objects": filled('{"a":\n', CLAIMS_BYTES),
    "nested lists": filled("[", CLAIMS_BYTES, '{"a": '),
    "nested objects": filled('{"a":', CLAIMS_BYTES),
    "a long number": filled("1", CLAIMS_BYTES, '{"val_bpb": ', "}"),
    "an open string": filled('{"\n', CLAIMS_BYTES),
    "controls": filled("\x7f,x", CLAIMS_BYTES, HEADER + "\n"),
    "spaces": filled(" ", CLAIMS_BYTES, HEADER + "\n", "x"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_is_read_in_linear_time(case: str) -> None:
    """An `experiments.csv` of 8 MiB, of any shape."""
    content = TABLES[case].encode()
    assert spent(lambda: claims.parse(content, "val_bpb")) <= READER_SECONDS


LOGS = {
    "equal rows": [",".join(["1", "", "abcdef0", "h", "c", "x", "2.5", "", "keep"])] * 20_000,
    "rounded rows": [f"{at},,,h,c,x,2.5{at % 100:02d},,keep" for at in range(20_000)],
}


@pytest.mark.parametrize("case", LOGS)
def test_a_log_is_held_against_the_ledger_in_linear_time(case: str) -> None:
    """20,000 rows that all may mean any of 1,000 trials."""
    rows = claims.parse("\n".join([HEADER, *LOGS[case]]).encode(), "val_bpb").rows
    trials = [
        TrialRecord(
            trial=at, source="agent", request="r", status="ok", value=2.5 + at * 1e-4 * (at % 2),
            commit="abcdef0" * 5, queued_at="2026-01-01T00:00:00Z",
        )
        for at in range(1_000)
    ]  # fmt: skip
    assert spent(lambda: reconcile(rows, trials, VAL_BPB)) <= READER_SECONDS


# --- train.py -------------------------------------------------------------------------------------

MOST = constants.MAX_COMPARED_CHARS
SOURCES = {
    "names": "".join(f"A{at} = 1\n" for at in range(MOST // 12)),
    "names on a line": ";".join(f"A{at}=1" for at in range(MOST // 10)),
    "short lines": filled("a\n", MOST),
    "statements": filled("a;", MOST, after="a"),
    "a sum": filled("+1", MOST, "X=1"),
    "minuses": filled("-", MOST, "X=", "1"),
    "comparisons": filled("<1", MOST, "X=1"),
    "targets": filled("a=", MOST, after="1"),
    "attributes": filled(".a", MOST, "X=a"),
    "an attribute that is set": filled("x.", MOST, after="y=1"),
    "calls": filled("a.b.c(1), ", MOST, "f(", ")"),
    "imports": filled("import a\n", MOST),
    "other names": filled("a=b\n", MOST),
    "seeds": filled("torch.manual_seed(1)\n", MOST),
    "a sum that parses": "X=" + "+".join(["1"] * 900),
    "brackets": filled("[", MOST, "X="),
    "a deep tuple": "X=" + "(" * 190 + ",)" * 190,
    "a tuple": filled("1,", MOST, "X=(", ")"),
    "tuples": filled("(),", MOST, "X=(", ")"),
    "withs": filled("a,", MOST, "with ", "a:0"),
    "decorators": filled("@a\n", MOST, after="def f():0"),
    "branches": filled("elif a:0\n", MOST, "if a:0\n"),
    "a large integer": filled("f", MOST, "X=0x"),
    "a product": filled("f", MOST // 2, "X=0x") + filled("e", MOST // 2 - 9, "*0x"),
    "a quotient": filled("f", MOST * 2 // 3, "X=0x") + filled("e", MOST // 3 - 9, "//0x"),
    "powers": "X=1e9**9**9\nY=9**9**9**9\nZ=(2**64)**128**128\n",
    "digits": filled("9", MOST, "X="),
    "blank lines": filled("\n", MOST),
    "a comment": filled("#", MOST),
    "a string": filled("\\x41", MOST, "X='", "'"),
    "not utf-8 when written": "X='\\ud800'\n",
}


@pytest.mark.parametrize("case", SOURCES)
def test_constants_are_compared_in_linear_time(case: str) -> None:
    """Two texts at the bound, all of whose numbers differ; what cannot be compared is an answer."""
    text = SOURCES[case]
    assert spent(lambda: _changes(text, text.replace("1", "2"))) <= READER_SECONDS


def test_constants_are_rewritten_in_linear_time() -> None:
    """Every one of as many names as fit gets another value."""
    text = SOURCES["names"]
    values = dict.fromkeys(constants.read(text), 2)
    assert spent(lambda: constants.rewrite(text, values)) <= READER_SECONDS


@pytest.mark.parametrize("kind", SOURCES)
def test_a_text_is_read_for_verdicts_in_linear_time(kind: str) -> None:
    """However odd, it has verdicts or none, and raises nothing."""
    pristine = (ROOT / "trainer/train.py").read_text()
    assert spent(lambda: read_verdicts(SOURCES[kind], pristine)) <= READER_SECONDS


def test_a_text_over_the_bound_is_not_parsed() -> None:
    """As much as a train.py may have, of the worst kind: it has changed, and no more is said."""
    text = filled("a\n", MAX_TRAIN_PY_BYTES)
    assert _changes(text, text + "b") == ({}, True)
    assert spent(lambda: (_changes(text, text), pack_text(text))) <= READER_SECONDS


@pytest.mark.parametrize(
    "value", ["0x" + "f" * 9000, "(0x" + "f" * 9000 + ",)", "1e999", "'\\ud800'"]
)
def test_any_constant_can_be_recorded(value: str) -> None:
    """A number that Python will not print as decimals, one in a tuple, one that is infinite."""
    knobs, other = _changes("X = (1,)\nY = 2\n", f"X = {value}\nY = 3\n")
    assert "Y" in knobs or other
    json.dumps(knobs)


DIFFS: dict[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
    "nothing in common": (lambda at: f"a{at}", lambda at: f"b{at}"),
    "every second line": (lambda at: f"a{at}", lambda at: f"a{at}" if at % 2 else f"b{at}"),
    "backwards": (lambda at: f"a{at}", lambda at: f"a{MAX_DIFF_LINES - at}"),
    "repeated": (lambda at: f"a{at % 100}", lambda at: f"a{at * 7 % 100}"),
    "repeated, every second": (
        lambda at: f"a{at % 101}", lambda at: f"a{at % 101}" if at % 2 else f"b{at}",
    ),
    "repeated, every third": (
        lambda at: f"a{at % 103}", lambda at: f"b{at}" if at % 3 else f"a{at * 31 % 103}",
    ),
    "one line": (lambda _: "a", lambda _: "a"),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFS)
def test_a_diff_is_made_in_time(case: str) -> None:
    """Texts of as many lines as are compared."""
    old, new = ("".join(f"{line(at)}\n" for at in range(MAX_DIFF_LINES)) for line in DIFFS[case])
    order = TrialOrder(1, "agent", "r-1", new, None, old)
    assert spent(order.patch) <= READER_SECONDS


# --- what a turn printed --------------------------------------------------------------------------

LINES = {
    "line feeds": "",
    "two characters": "xy",
    "empty objects": "{}",
    "empty lists": filled("[],", 1 << 20, '{"a":[', "1]}"),
    "deep objects": '{"a":' * 900 + "1" + "}" * 900,
    "too deep lists": "[" * 5000,
    "keys": "{" + ",".join(f'"{at}":1' for at in range(90_000)) + "}",
    "numbers": filled("1e5,", 1 << 20, '{"a":[', "1]}"),
    "one long line": "x" * (8 << 20),
    "tool results": filled(
        '{"type":"tool_result"},', 1 << 20, '{"type":"user","message":{"content":[', "1]}}"
    ),
    "words": filled("\\n", 1 << 19, '{"type":"message","role":"assistant","content":"', '"}'),
}


@pytest.mark.parametrize("cli", ["opus", "gpt", "gemini"])
@pytest.mark.parametrize("case", LINES)
def test_a_transcript_is_judged_in_time(case: str, cli: str) -> None:
    """A transcript of 64 MiB, by the reader of each CLI."""
    content = filled(LINES[case] + "\n", MAX_TRANSCRIPT_BYTES).encode()
    agent = load_agent(cli)
    lines = judged_lines(without_blank_lines(content))
    assert spent(lambda: judged_lines(without_blank_lines(content))) <= READER_SECONDS
    assert spent(lambda: agent.judge(lines, 0, "")) <= READER_SECONDS


def test_rendering_takes_a_byte_at_a_time() -> None:
    """A line of 1 MiB and more that comes in single bytes, and one of dots and feeds."""

    def read() -> None:
        renderer = Renderer(lambda _: None, describe)
        for _ in range(RENDERED_LINE_BYTES + 9):
            renderer.feed(b"x")
        renderer.close()

    assert spent(read) <= READER_SECONDS


def test_a_bounded_file_takes_a_byte_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Past its beginning, where only the end is kept."""
    path = tmp_path_factory.mktemp("kept") / "file"

    def read() -> None:
        with path.open("wb", buffering=0) as file:
            bounded = BoundedFile(file, 1, 1 << 20)
            for _ in range(3 << 20):
                bounded.write(b"x")
            bounded.close()

    assert spent(read) <= READER_SECONDS
    assert path.stat().st_size > 1 << 20


# --- messages, and what a trial printed -----------------------------------------------------------

MESSAGES = {
    "deep lists": '{"event":' + "[" * 900 + "]" * 900 + "}",
    "deep objects": '{"event":' + '{"a":' * 900 + "1" + "}" * 901,
    "deep knobs": '{"event":"trial.requested","request":"r","knobs":{"A":' + "[" * 900
    + "]" * 900 + "}}",
    "too deep": '{"event":' + "[" * 90_000,
    "many knobs": filled('"A":1,', MAX_LINE_BYTES, '{"event":"started","details":{', '"B":1}}'),
    "digits": filled("9", MAX_LINE_BYTES, '{"event":"trial.requested","request":', "}"),
    "an unknown event": filled("x", MAX_LINE_BYTES, '{"event":"', '"}'),
    "too long": filled("x", 8 * MAX_LINE_BYTES, '{"event":"', '"}'),
}  # fmt: skip


@pytest.mark.parametrize("case", MESSAGES)
def test_a_message_is_one_or_is_none(case: str) -> None:
    """A line of 256 KiB is decoded, or is a `ProtocolError` and no other."""

    def read() -> None:
        with contextlib.suppress(ProtocolError):
            protocol.decode(MESSAGES[case], messages.MESSAGES)

    assert spent(read) <= READER_SECONDS


class Quiet:
    """A connection that says nothing and hears nothing."""

    def settimeout(self, seconds: float | None) -> None:
        pass


@pytest.mark.parametrize("frame", [b"x", b"x\n", b"\n"])
def test_lines_come_out_of_single_bytes(frame: bytes) -> None:
    """A megabyte in frames of a byte or two, as a container may print it."""

    def frames() -> Iterator[tuple[int, bytes]]:
        return ((1, frame) for _ in range((1 << 19) + 9))

    assert spent(lambda: sum(1 for _ in Channel(Quiet(), frames()).lines())) <= READER_SECONDS


PRINTED = {
    "a summary of spaces": ["---", filled(" ", 1 << 20, "val_bpb:", "x y")],
    "a key and spaces": ["---", filled(" ", 1 << 20, "val_bpb", "x")],
    "a long value": ["---", filled("9", 1 << 20, "val_bpb:")],
    "estimates": [filled("a=1 ", 1 << 20, "val_estimate: ")] * 16,
    "progress": [filled("a=1e", 1 << 20, "progress: ")] * 16,
    "rounded": [filled(" ", 1 << 20, "rounded: HEAD_DIM 1 -> 9", "x")] * 16,
    "short lines of progress": ["progress: train_seconds=1"] * 100_000,
    "short summaries": ["---", *["a: 1"] * 100_000],
}


@pytest.mark.parametrize("case", PRINTED)
def test_what_a_trial_printed_is_read_in_time(case: str) -> None:
    """Lines of a megabyte, which is the longest that a channel gives, and many short ones."""

    def read() -> None:
        output = TrialOutput()
        for line in PRINTED[case]:
            output.read_line(line)

    assert spent(read) <= READER_SECONDS
