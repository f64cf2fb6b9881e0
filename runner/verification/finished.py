"""A finished run, opened again for trials of ours: its result, and its conditions."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from runner.engine.client import Engine
from runner.errors import UserError
from runner.records.files import explained, write_whole
from runner.records.layout import RunDir
from runner.records.schema import RunResult
from runner.run.context import RunContext, open_context
from runner.sandbox.peer import Show
from runner.spec import RunSpec
from runner.task_data import missing
from runner.tasks import load_task


@dataclass(frozen=True)
class Finished:
    """A run that may be done.

    Attributes:
        run_dir: its directory.
        doing: what is being done with it, for messages: "verifying".
        folder: of its directory, for the files of our own trials.
    """

    run_dir: RunDir
    doing: str
    folder: str

    @property
    def own(self) -> RunDir:
        """The directory of our own trials."""
        return RunDir(self.run_dir.path / self.folder)

    def result(self) -> RunResult:
        """The run's result.

        Raises:
            UserError: the run is not done.
        """
        run_id = self.run_dir.path.name
        try:
            return RunResult.model_validate_json(self.run_dir.result.read_bytes())
        except (OSError, ValidationError):
            raise UserError(
                f"{self.doing} {run_id}: it has no result yet",
                hint=f"wait for its end, or end it with `make stop RUN={run_id}`",
            ) from None

    def context(self, spec: RunSpec, engine: Engine, show: Show) -> RunContext:
        """The run as it was, with the folder of our own trials in the place of its directory.

        Args:
            spec: the run's, or what differs from it in our own trials.
            engine: where they run.
            show: is given (role, line) of what containers print.

        Raises:
            UserError: its data is gone.
            HostError: the folder cannot be written.
        """
        volume = str(spec.versions["data"])
        gone = missing(engine, volume)
        if gone:
            raise UserError(
                f"{self.doing} {spec.run_id}: of its data, the volume {gone[0]} is gone",
                hint="the text of a run can be trained again as long as the run's data is kept",
            )
        with explained(self.own.path):
            self.own.path.mkdir(exist_ok=True)
            write_whole(self.own.pristine, self.run_dir.pristine.read_bytes())
        return open_context(spec, engine, self.own, load_task(spec.task), volume, show)
