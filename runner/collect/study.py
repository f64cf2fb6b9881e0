"""Copies a baseline's study into `runs/<run id>/`, while the run goes on and at its end.

That is `study.jsonl`, or `texts.jsonl` of a search of whole texts. The journal lies on a volume
that goes with the run. Who looks at a study (`make optuna-dashboard`, `make export`) reads this
copy, so nothing but the optimizer itself ever opens its journal.
"""

from __future__ import annotations

from runner.collect.artifacts import Collector
from runner.records.files import write_whole

JOURNAL, TEXTS = "/state/journal.log", "/state/texts.jsonl"
MAX_STUDY_BYTES = 256 << 20  # some 50,000 trials of 14 knobs


class StudyCollector(Collector):
    """Copies the journal of a baseline's study or texts; a baseline leaves nothing else."""

    def poll(self) -> None:
        """Copy the study if it has changed since the last call."""
        for path, kept in ((JOURNAL, self._run_dir.study), (TEXTS, self._run_dir.texts)):
            content = whole_lines(self._fetch(path, MAX_STUDY_BYTES) or b"")
            if content and content != self._copied.get(path):
                write_whole(kept, content)
                self._copied[path] = content

    def finish(self) -> list[str]:
        """Copy the study as the run leaves it; there is no repository to miss."""
        self.poll()
        return []


def whole_lines(content: bytes) -> bytes:
    """The content up to its last line feed: the optimizer may be writing a line just now."""
    return content[: content.rfind(b"\n") + 1]
