"""One agent a GPU: two models on one device run out of its memory, or halve each other's speed.

A lock on a file of the host is held as long as the agent lives, by the system, so none is left behind
by a crash. It is of the host and not of an installation: two installations share a GPU no better.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from restar.errors import UsageError
from tasks.device import count_gpus

__all__ = ["a_gpu_of_ones_own"]


@contextmanager
def a_gpu_of_ones_own(wanted: int | None, folder: Path | None = None) -> Iterator[int | None]:
    """Hold a GPU that no other agent has: number `wanted`, or the first that is free.

    Yields its number, as `find_device` counts; None where the host has no GPU and none is wanted.
    `folder` is where the locks are. Raises UsageError where it is, or all are, taken.
    """
    seen = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    count = len(seen) or count_gpus()
    if wanted is None and not count:
        yield None
        return
    names = [wanted] if wanted is not None else list(range(count))
    for number in names:
        physical = seen[number] if number < len(seen) else str(number)
        lock = _locked(folder or Path(tempfile.gettempdir()), physical)
        if lock is None:
            continue
        with lock:
            yield number
        return
    raise UsageError(
        f"GPU {wanted} has an agent already; one agent a GPU is enough"
        if wanted is not None
        else f"each of the {count} GPUs here has an agent already"
    )


def _locked(folder: Path, name: str) -> "IO[str] | None":
    """The lock file of a GPU, held; None where another process holds it."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    path = folder / f"restar-gpu-{safe}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UsageError(f"{path}: can't be used as a lock ({error.strerror})") from None
    lock = os.fdopen(descriptor, "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
