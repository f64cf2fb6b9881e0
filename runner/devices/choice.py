"""Which devices a run's trials may train on, as GPU, GPUS and CPU_SETS say it."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import UserError


@dataclass(frozen=True)
class Choice:
    """The devices of a run: GPUs by the engine's numbers, or else so many equal sets of cores."""

    gpus: tuple[str, ...] = ()
    cpu_sets: int = 1

    def as_fields(self) -> dict[str, object]:
        """The fields of `RunSpec` that say so."""
        first = self.gpus[0] if self.gpus else None
        several = self.gpus if len(self.gpus) > 1 else ()
        return {"gpu": first, "gpus": several, "cpu_sets": self.cpu_sets}


def chosen(gpu: str | None, gpus: str | None, cpu_sets: int) -> Choice:
    """The devices that the options name.

    Args:
        gpu: one GPU.
        gpus: several, with commas.
        cpu_sets: into how many equal sets the cores are divided; 1: one trial has all cores.

    Raises:
        UserError: they contradict each other, or name none.
    """
    if cpu_sets < 1:
        raise UserError(
            f"dividing the cores: CPU_SETS is {cpu_sets}",
            hint="give it a number above 0, such as 2; leave it out to train on all cores",
        )
    if gpu is not None and gpus is not None:
        raise UserError(
            f"choosing devices: GPU is {gpu!r} and GPUS is {gpus!r}",
            hint="set one of the two; GPU is the short form for one",
        )
    named = (gpu,) if gpu is not None else _listed(gpus)
    if named and cpu_sets > 1:
        raise UserError(
            f"choosing devices: CPU_SETS is {cpu_sets}, and the trials have GPUs",
            hint="CPU_SETS divides the cores for trials that train on them; leave one out",
        )
    return Choice(named, cpu_sets)


def _listed(gpus: str | None) -> tuple[str, ...]:
    if gpus is None:
        return ()
    named = tuple(part.strip() for part in gpus.split(","))
    if not all(named) or len(set(named)) < len(named):
        raise UserError(
            f"choosing devices: GPUS is {gpus!r}",
            hint="give the engine's numbers of different GPUs, with commas, such as GPUS=0,1",
        )
    return named
