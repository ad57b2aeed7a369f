"""A bounded channel between two threads, so that decoding, the model and encoding go on at once.

At most `depth` items wait in it, however long the scene. Whoever gives sees at once that the taker is
gone, and whoever takes gets the giver's error in the place of the item that is missing.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Generic, TypeVar

__all__ = ["Channel", "ClosedError", "ahead"]

T = TypeVar("T")
_PATIENCE_S = 30.0


class ClosedError(Exception):
    """The taker of a channel has gone; nothing more is wanted."""


class Channel(Generic[T]):
    """Items pass in order from one thread to another; `put` waits while `depth` are under way."""

    def __init__(self, depth: int) -> None:
        self._items: deque[T] = deque()
        self._depth = depth
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self.giver: threading.Thread | None = None
        """The thread that gives, where `ahead` made one."""

    def put(self, item: T) -> None:
        """Give an item; raise ClosedError if nobody takes it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            if self._closed:
                raise ClosedError
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that no more items come, or that the next one failed."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more; what waits is dropped. Returns when the thread that gave has ended.

        A decoder must not be left to itself: Python's own end would meet it in the middle of libav's
        locks.
        """
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        if self.giver is not None and self.giver is not threading.current_thread():
            self.giver.join(_PATIENCE_S)

    def __iter__(self) -> "Channel[T]":
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended or self._closed)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None and not self._closed:
                raise self._error
            raise StopIteration


def ahead(items: Callable[[], Iterator[T]], depth: int, name: str) -> Channel[T]:
    """Return what `items` yields, made up to `depth` items ahead by a thread of its own.

    Close the channel where it is not read to its end.
    """
    channel: Channel[T] = Channel(depth)

    def make() -> None:
        source = items()
        try:
            for item in source:
                channel.put(item)
        except ClosedError:
            pass
        except BaseException as error:
            channel.end(error)
        else:
            channel.end()
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    run = copy_context().run
    channel.giver = threading.Thread(target=lambda: run(make), name=name, daemon=True)
    channel.giver.start()
    return channel
