"""The device that an agent works on: which GPU, how much memory, of which classes."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

from restar.errors import UsageError

__all__ = ["Device", "count_gpus", "find_device"]

_DEVICES = Path("/dev")


@dataclass(frozen=True)
class Device:
    """A GPU, or the processor (no `name`). `classes` are what a job may ask for (restar.needs)."""

    name: str
    memory_bytes: int
    classes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name or 'processor'}, {self.memory_bytes / 2**30:.0f} GiB"


def find_device(gpu: int | None) -> Device:
    """Return GPU number `gpu`; without a number the first there is, else the processor.

    To be called before anything uses CUDA: the process then sees only that GPU. torch is imported
    only where there is a GPU at all. Raises UsageError where there is none of that number.
    """
    if gpu is None and not _has_gpu():
        return Device("", psutil.virtual_memory().total, ())
    if gpu is not None:
        seen = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        if seen and gpu >= len(seen):
            raise UsageError(
                f"--gpu {gpu}: CUDA_VISIBLE_DEVICES leaves {len(seen)} (0 is the first)"
            )
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[gpu] if seen else str(gpu)
    try:
        import torch
    except ImportError:
        if gpu is None:
            return Device("", psutil.virtual_memory().total, ())
        raise UsageError(f"--gpu {gpu}: needs torch: pip install 'restar[star]'") from None
    if not torch.cuda.is_available():
        if gpu is None:
            return Device("", psutil.virtual_memory().total, ())
        raise UsageError(f"--gpu {gpu}: there is no such GPU here; `restar doctor` shows what is")
    found = torch.cuda.get_device_properties(0)
    classes = ("cuda", f"sm{found.major}{found.minor}", found.name.lower())
    return Device(found.name, int(found.total_memory), classes)


def count_gpus() -> int:
    """Return how many NVIDIA GPUs this host has, without asking a driver."""
    return sum(bool(re.fullmatch(r"nvidia\d+", one.name)) for one in _DEVICES.glob("nvidia*"))


def _has_gpu() -> bool:
    return count_gpus() > 0
