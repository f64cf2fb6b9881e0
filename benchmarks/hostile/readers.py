"""All that reads an archive, a name or a file of a contestant on the host, as one call each.

A reader may answer, or raise an error of ours. Anything else, and any file that appears where none
was named, is a finding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.hostile import archives, texts
from runner.agents import agent_names, load_agent
from runner.claims import reader as claims
from runner.claims.fidelity import reconcile
from runner.collect.artifacts import judged_lines, without_blank_lines
from runner.collect.gateway_state import RECORD_NAME, RecordBounds, keep_records
from runner.collect.study import whole_lines
from runner.engine.files import archives as reading
from runner.errors import BakeoffError
from runner.metrics import VAL_BPB
from runner.records.layout import ROOT
from runner.records.schema import TrialRecord
from runner.records.visible import visible, visible_line
from runner.referee.reading import read_verdicts
from runner.results.files import lines_of, one_record
from runner.results.markdown import harmless
from runner.results.tables import safe
from runner.space.found import find
from runner.trials.output import TrialOutput
from runner.wire import messages, protocol
from runner.wire.protocol import ProtocolError
from trainer import constants
from trainer.constants import ConstantsError

LIMIT = 4096  # bytes that are asked for of a file
BOUNDS = RecordBounds(files=1000, file_bytes=1 << 16, total_bytes=1 << 20)
PRISTINE = (ROOT / "trainer/train.py").read_text(encoding="utf-8")


class EscapedError(AssertionError):
    """A reader did what it must not; the text says what."""


def read_archive(kind: str, random: Random, folder: Path) -> None:
    """Read an archive of this kind as a file and as a folder of records.

    Args:
        kind: of `archives.MAKERS`.
        random: makes it.
        folder: an empty folder; records go to `records` in it.

    Raises:
        EscapedError: more came out than was asked for, or a file lies where none was named.
    """
    whole = archives.MAKERS[kind](random)
    content = reading.first_file(archives.in_chunks(whole, random), LIMIT)
    if content is not None and len(content) > LIMIT:
        raise EscapedError(f"{len(content)} bytes came out, and {LIMIT} were asked for")
    if kind == "honest" and content != archives.CONTENT:
        raise EscapedError("an honest archive was not read")
    with contextlib.suppress(BakeoffError):
        keep_records(folder / "records", archives.in_chunks(whole, random), BOUNDS)
    check(folder)


def check(folder: Path) -> None:
    """See that only records lie in a folder.

    Raises:
        EscapedError: something else does.
    """
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink() or (name != "records" and not RECORD_NAME.fullmatch(name)):
            raise EscapedError(f"{name!r} was written")


def read_name(random: Random, _: Path) -> None:
    """Show a name or a text of a contestant everywhere where such are shown.

    Raises:
        EscapedError: a terminal, a page or a spreadsheet would obey it.
    """
    name = texts.text(random)
    for shown in (visible(name), visible_line(name).replace("\t", ""), harmless(name)):
        if not shown.isprintable():
            raise EscapedError(f"{shown!r} is shown")
    cell = safe(name)
    if str(cell).lstrip()[:1] in tuple("=+-@") and cell not in ("+", "-"):
        float(cell)  # a number, or else a formula


def read_file(random: Random, _: Path) -> None:
    """Read a file as the log, the text, the transcript, the output, … of a contestant.

    Raises:
        ValueError: a reader raised it.
    """
    content = texts.file(random)
    text = content.decode("utf-8", "replace")
    reconcile(claims.parse(content, "val_bpb").rows, (), VAL_BPB)
    for cli in agent_names():
        load_agent(cli).judge(judged_lines(without_blank_lines(content)), 0, "")
    whole_lines(content)
    for line in lines_of(content):
        one_record(line, TrialRecord)
        with contextlib.suppress(ProtocolError):
            protocol.decode(line, messages.MESSAGES)
    output = TrialOutput(scoring=random.random() < 0.5)
    for printed in text.split("\n"):
        output.read_line(printed)
    output.why_failed(10)
    read_verdicts(text, PRISTINE)
    for read in (lambda: constants.compare(PRISTINE, text), lambda: find(text)):
        with contextlib.suppress(ConstantsError):
            read()


Case = Callable[[Random, Path], None]
CASES: dict[str, Case] = {
    **{f"archive: {kind}": partial(read_archive, kind) for kind in archives.MAKERS},
    "name": read_name,
    "file": read_file,
}
WEIGHTS = [1.0] * len(archives.MAKERS) + [len(archives.MAKERS) / 2, len(archives.MAKERS) / 2]
