"""Asks NVIDIA's management library how busy the trial's GPU is; nothing is loaded without a GPU."""

from __future__ import annotations

import ctypes
from pathlib import Path

DEVICE = Path("/dev/nvidiactl")
LIBRARY = "libnvidia-ml.so.1"  # the engine puts it into a container that was given a GPU
SUCCESS = 0


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))  # percent


class Gpu:
    """The first GPU that this container sees; a trial is given one.

    Source: the NVML API reference, nvmlDeviceGetUtilizationRates.
    """

    def __init__(self, library: ctypes.CDLL, handle: ctypes.c_void_p) -> None:
        self._library, self._handle = library, handle

    def busy_share(self) -> float | None:
        """The share of the last fraction of a second in which it computed; None if unknown."""
        rates = _Utilization()
        asked = self._library.nvmlDeviceGetUtilizationRates(self._handle, ctypes.byref(rates))
        return rates.gpu / 100 if asked == SUCCESS else None


def find_gpu() -> Gpu | None:
    """The container's GPU; None when it has none, or when its driver does not answer."""
    if not DEVICE.exists():
        return None
    try:
        library = ctypes.CDLL(LIBRARY)
        handle = ctypes.c_void_p()
        opened = library.nvmlInit_v2() == SUCCESS
        found = library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)) == SUCCESS
    except (OSError, AttributeError):
        return None
    return Gpu(library, handle) if opened and found else None
