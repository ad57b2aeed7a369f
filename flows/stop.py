"""Stopping an agent: a signal or a time limit, one way out, within a stated time, with a status.

SIGTERM comes from Kubernetes before a pod is killed, from Slurm before a limit or a preemption, and
from people. The agent then claims nothing more. What it has under way it finishes if that is likely
to take no longer than the grace, else it hands it back, which costs the job no try. When the grace is
nearly over the work is broken off wherever it is. A thread of its own hears the signal too, by way of a
pipe, and sees to that: Python runs a signal's handler only when the main thread comes out of whatever
call it is in, and a model may be inside one for minutes.
"""

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

__all__ = ["AGAIN", "Interrupted", "Stop", "time_limit"]

AGAIN = 75
"""Exit status of an agent that was stopped from outside: start it again (EX_TEMPFAIL, sysexits.h)."""

_MARGIN_S = 3.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_log = logging.getLogger("restar.stop")


class Interrupted(BaseException):
    """The work under way is broken off, to be handed back. Not an Exception: no plug-in swallows it."""


class Stop:
    """Whether and by when to stop. `grace` is the longest time from the signal to the exit."""

    def __init__(self, grace: float = 25.0, limit: float | None = None) -> None:
        self.grace = grace
        self._margin = min(_MARGIN_S, grace / 3)
        self.reason = ""
        self._deadline = float("inf")
        self._limit = float("inf") if limit is None else time.monotonic() + limit
        self._changed = threading.Event()
        self._main = threading.main_thread().ident

    @property
    def wanted(self) -> bool:
        """Whether no more work is to be begun."""
        if not self.reason and self.room < 0:
            self.ask("its time limit")
        return bool(self.reason)

    @property
    def left(self) -> float:
        """Seconds for which work may still go on."""
        return min(self._deadline, self._limit - self._margin) - time.monotonic()

    @property
    def room(self) -> float:
        """Seconds until the time limit asks for a stop."""
        return self._limit - self.grace - time.monotonic()

    def ask(self, reason: str) -> None:
        """Ask to stop within the grace."""
        if not self.reason:
            self._deadline = time.monotonic() + self.grace - self._margin
            self.reason = reason
            self._changed.set()

    def check(self) -> None:
        """Raise Interrupted where work has to be broken off now."""
        if self.wanted and self.left <= 0:
            raise Interrupted(self.reason)

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until a stop is asked for."""
        self._changed.wait(max(0.0, min(seconds, self.room)))

    @contextmanager
    def watching(self, last_resort: Callable[[], None]) -> Iterator[None]:
        """Take the signals inside the block; in another thread than the main one do nothing.

        `last_resort` hands everything back, from a thread, where the main thread does not come to it
        in time; then the process ends with `AGAIN`.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        done, broken = threading.Event(), threading.Event()
        hears, tells = os.pipe()
        os.set_blocking(tells, False)

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if self.reason and number == signal.SIGINT:
                self._deadline = 0.0  # a second Ctrl-C: at once
            self.ask(signal.Signals(number).name)
            if self.left <= 0 and not done.is_set() and not broken.is_set():
                broken.set()  # once: what follows is only putting things away
                raise Interrupted(self.reason)

        def watch() -> None:
            while not (self.wanted or done.is_set()):
                ready, _, _ = select.select([hears], [], [], min(max(self.room, 0.01), 3600))
                for number in os.read(hears, 64) if ready else b"":
                    if number in _SIGNALS:
                        self.ask(signal.Signals(number).name)
            if done.wait(max(0.0, self.left)):
                return
            if not broken.is_set():
                signal.pthread_kill(
                    self._main or 0, signal.SIGTERM
                )  # the handler breaks the work off
            if done.wait(self._margin / 2):
                return
            _log.error("the work does not stop; handing it back and leaving")
            last_resort()
            sys.stderr.flush()
            os._exit(AGAIN)

        before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
        before_fd = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
        watcher = threading.Thread(target=watch, name="stop", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            os.write(tells, bytes(1))
            watcher.join()
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(hears)
            os.close(tells)


def time_limit(given: float | None, environment: Mapping[str, str]) -> float | None:
    """Return the seconds that are left of a time limit: as given, or as Slurm has set it."""
    end = environment.get("SLURM_JOB_END_TIME", "")
    if given is None and end.isdigit():
        return max(0.0, int(end) - time.time())
    return given
