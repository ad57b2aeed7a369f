"""Memory that does not grow with a film's length, however many threads come and go.

A scene has threads of its own that decode and encode. glibc gives threads arenas of memory, up to eight a
core, and what is freed in one is not used by the others: over many scenes they all fill up.
"""

import ctypes

__all__ = ["share_arenas"]

_M_ARENA_MAX = -8  # glibc's malloc.h
_ARENAS = 2


def share_arenas() -> None:
    """Let all threads of this process share two arenas; without glibc there is nothing to do."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
