"""Shows image builds to a person.

On an interactive terminal each build has a line that shows its current step; elsewhere one line is
printed when it begins and one when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

Report = Callable[[str], None]  # is called with each step of something that takes a while

_NOISE = ("--->", "Removing intermediate")  # the legacy builder prints these between steps


class BuildDisplay:
    """Shows one line for each build, on stderr. Any thread may use it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        spinner = "dots" if self._console.encoding.startswith("utf") else "line"
        self._progress = Progress(
            SpinnerColumn(spinner),
            TextColumn("image {task.description:<13}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[step]}", style="dim", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_interactive,
        )

    def __enter__(self) -> BuildDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def line(self, name: str) -> Report:
        """Start an image's line. The function that it returns sets the step that the line shows."""
        self._began[name] = time.monotonic()
        if not self._console.is_interactive:
            self._console.print(f"images: building {name}", soft_wrap=True)
        task = self._tasks[name] = self._progress.add_task(name, total=None, step="")
        width = max(self._console.width - 30, 20)

        def report(step: str) -> None:
            if step.strip() and not step.strip().startswith(_NOISE):
                self._progress.update(task, step=step.strip()[:width])

        return report

    def finished(self, name: str) -> None:
        """End an image's line, and print how long its build took."""
        seconds = time.monotonic() - self._began[name]
        self._progress.remove_task(self._tasks[name])
        self._console.print(f"images: {name} built in {seconds:.0f} s", soft_wrap=True)
