"""What a person sees of image builds: a moving line each on a terminal, else a line at each end."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

Say = Callable[[str], None]

_NOISE = ("--->", "Removing intermediate")  # the legacy builder's, between any two steps


class BuildDisplay:
    """One line a build, on stderr. Lines may be written from any thread."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("image {task.description:<13}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[step]}", style="dim", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
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

    def line(self, name: str) -> Say:
        """Start an image's line; what is said through the result shows as its current step."""
        self._began[name] = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"images: building {name}", soft_wrap=True)
        task = self._tasks[name] = self._progress.add_task(name, total=None, step="")
        room = max(self._console.width - 30, 20)

        def say(step: str) -> None:
            if step.strip() and not step.strip().startswith(_NOISE):
                self._progress.update(task, step=step.strip()[:room])

        return say

    def finished(self, name: str) -> None:
        """End an image's line with the time that it took."""
        seconds = time.monotonic() - self._began[name]
        self._progress.remove_task(self._tasks[name])
        self._console.print(f"images: {name} built in {seconds:.0f} s", soft_wrap=True)
