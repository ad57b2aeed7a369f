"""How this process holds memory: no more with a film's length, and no slower for large arrays.

A scene has threads of its own that decode and encode. glibc gives threads arenas of memory, up to eight
a core, and keeps in each what was freed there: over many scenes they all fill up, with holes between.
With large arrays it does the opposite: each is asked of the system, and given back when it is freed, so a
network on a processor waits for pages to be cleared about as long as it computes. Without glibc nothing
is done.
"""

import ctypes

__all__ = ["give_back_freed", "keep_large", "share_arenas"]

# glibc's malloc.h; a threshold of -1 is none
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_ARENAS = 2


def share_arenas() -> None:
    """Let all threads of this process share two arenas."""
    _tell_malloc({_M_ARENA_MAX: _ARENAS})


def keep_large() -> None:
    """Keep large arrays that are freed for the next of their kind, until `give_back_freed`."""
    _tell_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: 2**28})


def give_back_freed() -> None:
    """Give what is free in all arenas back to the system (about 1 ms where it is little)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _tell_malloc(values: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in values.items():
            mallopt(name, value)
