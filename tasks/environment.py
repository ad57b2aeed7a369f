"""Under what a take is made: versions and hardware, recorded once and named by their hash."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import av

from restar import __version__

__all__ = ["environment"]

_PACKAGES = ("av", "diffusers", "numpy", "opencv-python-headless", "torch", "transformers")


@cache
def environment() -> dict[str, Any]:
    """Return restar's, Python's and the libraries' versions, and the machine, as plain data."""
    return {
        "restar": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "libav": {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()},
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "gpus": _gpus(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpus() -> list[str]:
    """Names of the GPUs, where torch is in use already: a plain resize must not load it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
