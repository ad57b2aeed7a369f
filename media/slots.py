"""How many ffmpeg run on a host at once, whichever process starts them (RESTAR_FFMPEG_AT_ONCE).

Each holds the lock of one of that many files, and inherits it: the system lets go of it when that ffmpeg
ends, however it ends and whatever became of the process that started it, so nothing is ever left held.
Who holds one waits for no other: ffmpeg that a process starts while it holds a slot itself (`a_slot`, for
decoding and encoding in the process) are part of it. So there is no order in which two could wait for
each other.
"""

import fcntl
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restar.errors import UsageError
from restar.settings import load_settings

__all__ = ["a_slot", "free_slot"]

_log = logging.getLogger("restar.ffmpeg")

_LOOK_S = 0.1
_TELL_AFTER_S = 2.0


class _Own:
    """The slot of this process itself, and how many blocks are within it."""

    guard = threading.Lock()
    holders = 0
    descriptor: int | None = None


@contextmanager
def a_slot(doing: str) -> Iterator[None]:
    """Count as one ffmpeg inside the block, with all that this process starts meanwhile."""
    with _Own.guard:
        if not _Own.holders:
            _Own.descriptor = _wait_for_one(doing)
        _Own.holders += 1
    try:
        yield
    finally:
        with _Own.guard:
            _Own.holders -= 1
            if not _Own.holders and _Own.descriptor is not None:
                os.close(_Own.descriptor)
                _Own.descriptor = None


def free_slot(doing: str) -> int | None:
    """Wait for a slot; return the descriptor that holds it, for ffmpeg to inherit and us to close.

    None where there is no limit, or this process holds a slot of its own. Says so where it waits for
    long. Raises UsageError where the files of the locks can't be made.
    """
    with _Own.guard:
        return None if _Own.holders else _wait_for_one(doing)


def _wait_for_one(doing: str) -> int | None:
    limit = load_settings().ffmpeg_at_once
    if not limit:
        return None
    began, told = time.monotonic(), False
    while (found := _take_one(limit)) is None:
        if not told and time.monotonic() - began > _TELL_AFTER_S:
            told = True
            _log.warning(
                "%s: waits for one of %d ffmpeg to end (RESTAR_FFMPEG_AT_ONCE)", doing, limit
            )
        time.sleep(_LOOK_S)
    return found


def _take_one(limit: int) -> int | None:
    for number in range(limit):
        path = Path(tempfile.gettempdir()) / f"restar-ffmpeg-{os.getuid()}-{number}.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"{path}: can't be used as a lock ({error.strerror})") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return descriptor
    return None
