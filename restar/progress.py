"""Progress of long work, told to whoever listens: a bar in the terminal, a log, or nobody.

Work calls `track`; the command line sets a listener with `listening`. A context variable carries it,
so plain functions, Prefect tasks and tests run the same code.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Advance", "Listener", "listening", "listening_too", "track"]

Advance = Callable[[int], None]


class Listener(Protocol):
    """Hears of one piece of work: its text, its unit and its total where known."""

    def begin(self, text: str, unit: str, total: int | None) -> Advance: ...

    def end(self, advance: Advance) -> None: ...


_listener: ContextVar[Listener | None] = ContextVar("restar_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress to `listener` inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def listening_too(listener: Listener) -> Iterator[None]:
    """Send progress to `listener` inside the block, besides whoever listens already."""
    before = _listener.get()
    with listening(listener if before is None else _Both(before, listener)):
        yield


class _Both:
    """Two listeners as one."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners
        self._told: dict[Advance, list[Advance]] = {}

    def begin(self, text: str, unit: str, total: int | None) -> Advance:
        told = [one.begin(text, unit, total) for one in self._listeners]

        def advance(count: int) -> None:
            for one in told:
                one(count)

        self._told[advance] = told
        return advance

    def end(self, advance: Advance) -> None:
        for listener, told in zip(self._listeners, self._told.pop(advance), strict=True):
            listener.end(told)


@contextmanager
def track(text: str, unit: str = "frames", total: int | None = None) -> Iterator[Advance]:
    """Yield a function that is told how many more units are done."""
    listener = _listener.get()
    if listener is None:
        yield lambda _count: None
        return
    advance = listener.begin(text, unit, total)
    try:
        yield advance
    finally:
        listener.end(advance)
