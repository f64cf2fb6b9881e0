"""The device lease: one trial at a time on a device, across all runs on this machine.

Two trials that share a GPU, or a core, slow each other down, and then equal seconds are not equal.
The wait is measured, and is given back to a run whose contestant did nothing else meanwhile.

Who comes first is served first, whichever process it is (runner/devices/). A device is somebody's
until it gives it back. One who is dead or stopped loses it to the next, but only once its container
can no longer run: the container is written into the queue before it is started, and whoever has
lost the device by then may not start it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from runner.devices.names import core_sets, gpu_name
from runner.devices.place import Place, StillTrains
from runner.devices.queue_folder import FOLDER, QueueFolder
from runner.engine.client import Engine
from runner.engine.containers import EngineInfo
from runner.errors import EngineError
from runner.records.layout import make_shared, shared_path

LOST = "the runner was stopped, and another trial got the device"

T = TypeVar("T")


class Watch(Protocol):
    """Is told of the waiting: that it begins, that it ends, and that it begins anew, and why."""

    @property
    def on_wait(self) -> Callable[[], None]: ...
    @property
    def on_start(self) -> Callable[[], None]: ...
    @property
    def on_repeat(self) -> Callable[[str], None]: ...


class LeaseAbandonedError(Exception):
    """The run ended while a trial still waited for its device."""


class LeaseLostError(Exception):
    """The device was given to another, because this process was stopped; nothing has started."""


@dataclass(frozen=True)
class Holder:
    """Who wants a device, and how others see whether it is still used.

    Attributes:
        run: the id of the run.
        trial: the trial's number in it; 0 where it is not one trial.
        still_trains: says of a container of that device whether it may still run. It is asked of
            others' containers too. It may take long, and is called in a thread of its own.
    """

    run: str = ""
    trial: int = 0
    still_trains: StillTrains = field(default=lambda _container: False)


class Held:
    """A device that is held.

    Attributes:
        device: the name of the wanted one that it is (runner/devices/names.py).
        waited_seconds: how long it was waited for.
    """

    def __init__(self, place: Place, device: str, waited_seconds: float) -> None:
        self._place = place
        self.device = device
        self.waited_seconds = waited_seconds

    def start(self, engine: Engine, container: str) -> None:
        """Start the container, by which the device is held from now on as well.

        Raises:
            LeaseLostError: the device is another's by now; the container was not started.
            EngineError: the engine refused.
            HostError: the disk is full, or the folder is not writable.
        """
        self.attach_container(container)
        try:
            engine.start(container)
        except EngineError:  # whoever took the device away has removed it
            if self._place.is_lost():
                raise LeaseLostError from None
            raise

    def attach_container(self, container: str) -> None:
        """From now on the device is also held by this container, which has not been started yet.

        Raises:
            LeaseLostError: the device is another's by now; the container must not be started.
            HostError: the disk is full, or the folder is not writable.
        """
        if not self._place.attach(container):
            raise LeaseLostError


class DeviceLease:
    """The lease of one device of one engine, or of any one of several.

    Args:
        engine_id: which engine the device belongs to.
        device: its name; several of them, the most welcome first, where any will do.
        folder: where the queue lies, which all users of this machine share.

    Attributes:
        devices: their names, without the engine's.
    """

    def __init__(
        self, engine_id: str, device: str | tuple[str, ...], folder: Path | None = None
    ) -> None:
        devices = (device,) if isinstance(device, str) else device
        self.devices = devices
        self._wants = tuple(f"{engine_id}/{name}" for name in devices)
        self.queue = QueueFolder(folder or shared_path(FOLDER))

    @classmethod
    def of_trials(
        cls, machine: EngineInfo, gpus: tuple[str, ...] = (), cpu_sets: int = 1
    ) -> DeviceLease:
        """The lease of the devices that trials train on: any of these GPUs, or else of the cores.

        Raises:
            UserError: the machine has fewer cores than there are to be sets.
        """
        names = tuple(map(gpu_name, gpus)) or core_sets(machine.cpus, cpu_sets)
        return cls(machine.id, names)

    @contextlib.contextmanager
    def held(self, abandon: threading.Event, holder: Holder | None = None) -> Iterator[Held]:
        """Hold the device.

        If what is done meanwhile fails after a container was started, that keeps the device until
        it has ended: the engine may have failed, and not the container.

        Raises:
            LeaseAbandonedError: `abandon` was set before the device was free.
            HostError: the disk is full, or the folder of the queue is not writable.
        """
        began = time.monotonic()
        if abandon.is_set():
            raise LeaseAbandonedError
        make_shared(self.queue.path)  # again each time: people clear /tmp
        holder = holder or Holder()
        place = Place(
            self.queue, self._wants, holder.still_trains, run=holder.run, trial=holder.trial
        )
        try:
            device = place.wait(abandon)
            if not device:
                raise LeaseAbandonedError
            with place.sign.touched():
                yield Held(place, device.rpartition("/")[2], time.monotonic() - began)
        except BaseException:
            place.give_up()
            raise
        place.leave()

    def use(
        self, abandon: threading.Event, holder: Holder, watch: Watch, work: Callable[[Held], T]
    ) -> tuple[T, float]:
        """Do something while the device is held, and again if it was lost before that could start.

        Returns:
            What the work returned, and how many seconds were waited for the device.

        Raises:
            LeaseAbandonedError: `abandon` was set before the device was free.
            HostError: the disk is full, or the folder of the queue is not writable.
        """
        waited = 0.0
        while True:
            watch.on_wait()
            with self.held(abandon, holder) as held:
                waited += held.waited_seconds
                watch.on_start()
                try:
                    return work(held), waited
                except LeaseLostError:
                    watch.on_repeat(LOST)


def still_trains(engine: Engine) -> StillTrains:
    """Says whether a container may still run. One that was never started is removed instead.

    So its runner, which was stopped or died just before that, cannot start it any more.
    """

    def asked(container: str) -> bool:
        try:
            state = engine.inspect(container)
            if state is not None and state.status == "created":
                engine.remove(container)
                state = engine.inspect(container)
        except EngineError:
            return True  # nobody knows
        return state is not None and state.status not in ("exited", "dead")

    return asked
