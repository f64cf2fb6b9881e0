"""What made the containers of a run's contestant, trials and judge, as `spec.json` keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

RUNTIME = "runtime"  # of `versions`


class RuntimeRecord(BaseModel):
    """The runtime of a run.

    Args:
        name: such as runc or runsc, by the engine's name for it.
        options: what the engine's configuration gives it on its command line.
        is_native: containers share the kernel of the engine's machine.
        bounds_hold: memory, processes and processors are bounded, as far as its options tell.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    options: tuple[str, ...] = ()
    is_native: bool = True
    bounds_hold: bool = True

    @classmethod
    def of_run(cls, versions: Any) -> RuntimeRecord | None:
        """That of a run by the `versions` of its spec; None where they do not tell it."""
        body = versions.get(RUNTIME) if isinstance(versions, Mapping) else None
        try:
            return None if body is None else cls.model_validate(body)
        except ValidationError:
            return None

    @property
    def label(self) -> str:
        """What stands beside the results of such a run; "" where there is nothing to say.

        Trials under another kernel get through fewer steps in the same time, and trials without
        bounds may use more than others had. So their values do not compare with those of others.
        """
        name = "" if self.is_native else f"under {self.name}"
        bounds = "" if self.bounds_hold else "without bounds on memory and processors"
        return ", ".join(filter(None, (name, bounds)))

    @property
    def key(self) -> str:
        """What decides how fast trials are; "" for every runtime on the machine's own kernel."""
        return "" if not self.label else " ".join((self.name, *self.options))


def label_of(versions: Any) -> str:
    """The label of a run by the `versions` of its spec; "" where they tell nothing of it."""
    found = RuntimeRecord.of_run(versions)
    return "" if found is None else found.label
