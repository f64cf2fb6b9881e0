"""From run directories to `results/`: tables, a page and a figure that compare the contestants.

The runs are only read. A directory that is garbage, torn or still growing becomes a row that says
so.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostError, UserError
from runner.referee.noise import read_noise
from runner.results.reading import read_run
from runner.results.rows import Row, headings, ordered, to_row
from runner.results.summary import FIGURE, write_summary
from runner.results.tables import write_tables

if TYPE_CHECKING:
    from runner.results.dataframes import Frames

__all__ = ["FIGURE", "Row", "frames", "headings", "write_results"]


def write_results(
    run_dirs: Iterable[Path], folder: Path, compute_usd_per_hour: float | None = None
) -> list[Row]:
    """Compare the runs: write the files of `folder` and return the table's rows, best first.

    Args:
        run_dirs: directories of runs, whether ended, running or broken.
        folder: `results/`. It is made if need be, and its files are replaced.
        compute_usd_per_hour: the price of a device, for runs that began without one.

    Raises:
        HostError: the folder cannot be written.
    """
    # matplotlib takes most of a second to import.
    from runner.results.figure import write_figure

    noise = read_noise(folder)
    try:
        with _no_search_for_garbage():
            runs = ordered([read_run(path, noise, compute_usd_per_hour) for path in run_dirs])
            folder.mkdir(parents=True, exist_ok=True)
            write_tables(runs, folder)
            figure = write_figure(runs, folder / FIGURE)
            write_summary(runs, folder, figure=figure)
    except OSError as error:
        raise HostError(
            f"writing {error.filename or folder}: {error.strerror or error}",
            hint=f"make room for, or access to, {folder}",
        ) from error
    return [to_row(run, Path.cwd()) for run in runs]


@contextlib.contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """Ten thousand records are kept to the end: looking through them again and again frees nothing.

    It takes a sixth of the whole time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def frames(paths: Path | Iterable[Path], results: Path | None = None) -> Frames:
    """Runs and imports as tables for a notebook; docs/analysis.md explains their columns.

    Args:
        paths: directories of runs, what `bakeoff import` made, or folders of such.
        results: the folder with the noise of tasks; without it, `noise_sd` is not known.

    Raises:
        UserError: a path holds no results, or pandas is missing.
    """
    try:
        from runner.results.dataframes import read
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading results as tables: there is no {error.name}",
            hint="`make analyse` installs what it needs; elsewhere, install the extra `analysis`",
        ) from error
    return read(paths, read_noise(results) if results else None)
