"""The device of a trial, its precision and its peak speed. Contestants cannot change this file."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass

import torch

# Peak dense bf16 speeds in FLOP/s by words of the device's name, from the vendor's data sheets.
PEAK_FLOPS = (
    ("B200", 2250e12), ("H200", 989.5e12), ("H100 PCIe", 756e12), ("H100 NVL", 835e12),
    ("H100", 989.5e12), ("A100", 312e12), ("L40S", 362e12), ("L4", 121e12), ("A10", 125e12),
)  # fmt: skip


@dataclass(frozen=True)
class Device:
    """The device that the model runs on, and its precision."""

    torch: torch.device
    dtype: torch.dtype  # of activations; parameters are float32
    compiles: bool
    peak_flops: float | None  # None if it is unknown


def find_device() -> Device:
    """Chooses CUDA in bf16, else Apple's device, else the CPU, in bf16 only if the CPU supports it.

    Only CUDA compiles the model, and only if there is a C compiler. On the CPU, compiling costs
    more time of a short trial than it saves.
    """
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        can_compile = any(map(shutil.which, ("cc", "gcc", "clang")))
        peaks = (flops for words, flops in PEAK_FLOPS if re.search(rf"\b{words}\b", name))
        return Device(torch.device("cuda"), torch.bfloat16, can_compile, next(peaks, None))
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), torch.float32, False, None)
    bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Device(torch.device("cpu"), torch.bfloat16 if bf16 else torch.float32, False, None)


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished its work, so that times are measured correctly."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()
