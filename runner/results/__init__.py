"""From run directories to `results/`: tables, a page and a figure that compare the contestants.

Reads only. A directory that is garbage, torn or still growing becomes a row that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.errors import HostError
from runner.results.reading import read_run
from runner.results.rows import HEADINGS, Row, ordered, to_row
from runner.results.summary import write_summary
from runner.results.tables import write_tables

__all__ = ["HEADINGS", "Row", "write_results"]


def write_results(run_dirs: Iterable[Path], folder: Path) -> list[Row]:
    """Compare the runs: writes the files of `folder` and returns the table's rows, best first.

    Args:
        run_dirs: directories of runs, ended, running or broken.
        folder: `results/`; made if need be, its files are replaced.

    Raises:
        HostError: the folder cannot be written.
    """
    from runner.results.figure import write_figure  # matplotlib takes most of a second to import

    runs = ordered([read_run(path) for path in run_dirs])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tables(runs, folder)
        figure = write_figure(runs, folder / "convergence.png")
        write_summary(runs, folder, figure=figure)
    except OSError as error:
        raise HostError(
            f"writing the results: {error}", hint=f"make room for, or access to, {folder}"
        ) from error
    return [to_row(run, Path.cwd()) for run in runs]
