"""Memory that does not grow with a film's length, however many threads and scenes come and go.

A scene has threads of its own that decode and encode. glibc gives threads arenas of memory, up to eight a
core, and keeps in each what was freed there: over many scenes they all fill up, with holes between.
"""

import ctypes

__all__ = ["give_back_freed", "share_arenas"]

_M_ARENA_MAX = -8  # glibc's malloc.h
_ARENAS = 2


def share_arenas() -> None:
    """Let all threads of this process share two arenas; without glibc there is nothing to do."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back_freed() -> None:
    """Give what is free in all arenas back to the system (about 1 ms; without glibc, nothing)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
