"""A baseline's study: copied while its run goes on, in whole lines, and only when it changed."""

from __future__ import annotations

from runner.collect.study import JOURNAL, TEXTS, StudyCollector
from runner.engine.client import Engine
from runner.errors import EngineError
from runner.records.journal import Journal
from runner.records.layout import RunDir


class StudyEngine(Engine):
    """An engine that has nothing but a study's journal."""

    def __init__(self, content: bytes | None, path: str = JOURNAL) -> None:
        self.content = content
        self.path = path

    def get_file(self, container: str, path: str, max_bytes: int) -> bytes | None:
        assert container == "optimizer"
        assert max_bytes > 1 << 20
        if path != self.path:
            return None
        if self.content == b"hostile":
            raise EngineError(f"reading {path}: too many levels of symbolic links")
        return self.content


def test_a_study_is_copied_in_whole_lines(run_dir: RunDir) -> None:
    """A line that is being written waits for the next time; a mended journal is copied anew."""
    engine = StudyEngine(None)
    collector = StudyCollector(engine, run_dir, Journal(run_dir), "optimizer")
    collector.poll()
    assert not run_dir.study.exists()
    for content, copied in ((b"one\ntw", b"one\n"), (b"one\ntwo\n", b"one\ntwo\n"), (b"on\n",) * 2):
        engine.content = content
        collector.poll()
        assert run_dir.study.read_bytes() == copied
    engine.content = b"one\ntwo\nthree\n"
    collector.finish()
    assert run_dir.study.read_bytes() == b"one\ntwo\nthree\n"


def test_a_search_of_texts_leaves_its_journal(run_dir: RunDir) -> None:
    """Beside the place of a study, which it does not have."""
    engine = StudyEngine(b"one\ntw", TEXTS)
    StudyCollector(engine, run_dir, Journal(run_dir), "optimizer").finish()
    assert run_dir.texts.read_bytes() == b"one\n"
    assert not run_dir.study.exists()


def test_an_unchanged_study_is_not_written_again(run_dir: RunDir) -> None:
    """The loop asks at every event; the disk is spared."""
    collector = StudyCollector(StudyEngine(b"one\n"), run_dir, Journal(run_dir), "optimizer")
    collector.poll()
    run_dir.study.unlink()
    collector.poll()
    assert not run_dir.study.exists()


def test_a_study_that_cannot_be_read_is_journalled_once(run_dir: RunDir) -> None:
    """The run goes on, and the copy stays as it was."""
    engine = StudyEngine(b"one\n")
    collector = StudyCollector(engine, run_dir, Journal(run_dir), "optimizer")
    collector.poll()
    engine.content = b"hostile"
    collector.poll()
    collector.poll()
    assert run_dir.study.read_bytes() == b"one\n"
    events = [event.event for event in Journal(run_dir).events()]
    assert events == ["artifact.unreadable"]
