"""The bench of an agent: one job after the other, what stays open between them, and what ends it.

It knows nothing of what a job does: a `Trade` says how one is prepared (for restores ahead of time, in
a thread of its own, while the model is at the scene before) and how it is done. What can't be done is
recorded with its reason and the next job is taken; what would meet every job ends the run, with all
that is held handed back.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

import av

from catalog.agents import seen
from catalog.base import JobKind
from catalog.claims import Offer
from catalog.jobs import Lease
from catalog.lifecycle import kept_bytes
from catalog.models import RestorationSceneRow
from catalog.turns import work_is_open
from flows.leases import PATIENCE_S, Leases
from flows.prepare import take_back_dead_work
from flows.stop import Stop
from restar.errors import (
    CatalogError,
    DamagedMediaError,
    LeaseLost,
    StoreError,
    UnfitError,
)
from restar.failures import Failure, failure_of
from restar.log import about
from restar.progress import Advance
from restar.recipe import Recipe
from restar.spec import Spec
from restar.timeline import FrameRange
from tasks.caption import Members
from tasks.channel import Channel
from tasks.house import House, OpenFilm, open_film
from tasks.restore import TakeInWork, Workshop

__all__ = ["DRAINED", "Bench", "Drained", "Ready", "Shift", "Trade"]

DRAINED = (JobKind.CAPTION, JobKind.RESTORE, JobKind.SCORE)
_AHEAD_S = 10.0  # the next job is claimed this long before the model is likely to be free
_IDLE_S = (0.25, 2.0)  # how often an agent without work looks for some: at first, and later
_FAILURES_IN_A_ROW = 3
_QUOTA_S = 30.0  # the quota is looked at so often
_KEPT_OPEN = 8
_OPEN_THEIR_OWN = (JobKind.ASSEMBLE, JobKind.PROXY)  # a take's proxy needs no source
_log = logging.getLogger("restar.drain")
T = TypeVar("T")


@dataclass
class Drained:
    """What one drain did: how many jobs of each kind, and the gaps between scenes (seconds)."""

    done: dict[str, int] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    stopped: str = ""


@dataclass(frozen=True)
class Shift:
    """What an agent is to do. `idle_s` is how long it waits for work before it leaves.

    `device` is the name of its GPU ("" = none), which `memory_bytes` and `gpus` describe (None: jobs
    are taken whatever they need). `alone`: a run for one person, which ends at the first damaged
    film, where an agent notes it and goes on.
    """

    kinds: tuple[JobKind, ...] = DRAINED
    restoration_id: str | None = None
    memory_bytes: int | None = None
    gpus: tuple[str, ...] | None = None
    device: str = ""
    idle_s: float = 0.0
    release_s: float = 300.0
    alone: bool = True


@dataclass
class Ready:
    """A claimed job with all that it takes; a scene to be restored is being decoded already."""

    lease: Lease
    film: OpenFilm | None = None
    scene: RestorationSceneRow | None = None
    recipe: Recipe | None = None
    spec: Spec | None = None
    pictures: Channel[av.VideoFrame] | None = None
    error: Exception | None = None

    @property
    def frames(self) -> FrameRange:
        assert self.scene is not None  # noqa: S101
        return FrameRange(self.scene.start, self.scene.end)

    @property
    def model(self) -> str:
        return str(self.lease.payload.get("model", ""))

    @property
    def sort(self) -> str:
        """Scenes of one sort take about as long for each frame."""
        steps = self.spec.steps if self.spec is not None else ()
        return "+".join((self.lease.kind, self.model, *(step.use for step in steps)))

    def expected(self, pace: Mapping[str, float]) -> float:
        """Seconds that it is likely to take; 0 where that is not known yet."""
        return pace.get(self.sort, 0.0) * self.frames.count if self.scene is not None else 0.0

    def close(self) -> None:
        if self.pictures is not None:
            self.pictures.close()


@dataclass(frozen=True)
class Trade:
    """How jobs of one kind are prepared and done. `do` ends the job and calls `Bench.done`."""

    do: Callable[["Bench", Ready], None]
    prepare: Callable[["Bench", Ready], None] = lambda bench, ready: None


class Bench:
    """What stays from job to job: warm restorers, open films, the paces of models, the take in work."""

    def __init__(
        self,
        house: House,
        shift: Shift,
        trades: Mapping[JobKind, Trade],
        leases: Leases,
        stop: Stop,
        advance: Advance,
    ) -> None:
        self.house, self.shift, self.leases, self.stop = house, shift, leases, stop
        self.trades, self.advance = trades, advance
        self.drained = Drained()
        self.workshop = Workshop()
        self.members = Members()
        self._films: dict[str, OpenFilm] = {}
        self.model = ""
        self.environment = ""  # the record of it in the catalog, once there is one
        self.pace: dict[str, float] = {}  # seconds a frame
        self.take: TakeInWork | None = None
        self._ahead: Future[Ready | None] | None = None
        self._failures = 0
        self._quota_seen = float("-inf")
        self.free_since = time.monotonic()

    def run(self) -> None:
        try:
            while self._one():
                pass
            self.finish_take()
        finally:
            self._leave()

    def film(self, film_id: str) -> OpenFilm:
        return _kept(self._films, film_id, lambda: open_film(self.house, film_id))

    def _one(self) -> bool:
        """Do the next job, or wait for one; False where the shift is over."""
        if self.stop.wanted:
            self.drained.stopped = self.stop.reason
            return False
        self._refuse_lack_of_space()
        ready = self._next()
        if ready is None:
            if self.take is not None:  # its commit may open the next phase
                self.finish_take()
                return True
            return self._wait()
        if not self._fits(ready):
            ready.close()
            self.leases.hand_back(ready.lease)
            self.stop.ask("its time limit")
            return True
        with about(film=(ready.lease.film_id or "")[:12], scene=ready.lease.scene_number or 0,
                   job=ready.lease.id):  # fmt: skip
            self._do(ready)
        return True

    def _next(self) -> Ready | None:
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            ready = ahead.result()
            if ready is not None:
                return ready
        give_up = time.monotonic() + (0 if self.shift.alone else PATIENCE_S)
        while True:
            try:
                return self._claim()
            except CatalogError as error:
                if time.monotonic() > give_up or self.stop.wanted:
                    raise
                _log.warning("no job claimed: %s", error)
                self.stop.pause(0.5)

    def _claim(self) -> Ready | None:
        """Claim a job and gather what it takes. In the thread of `_look_ahead` too."""
        shift = self.shift
        offer = Offer(shift.kinds, shift.memory_bytes, shift.gpus, model=self.model)
        lease = self.leases.claim(offer, shift.restoration_id)
        if lease is None:
            return None
        ready = Ready(lease)
        try:
            if lease.film_id is not None and lease.kind not in _OPEN_THEIR_OWN:
                ready.film = self.film(lease.film_id)
            self.trades[lease.kind].prepare(self, ready)
        except Exception as error:
            ready.error = error
        return ready

    def _do(self, ready: Ready) -> None:
        lease = ready.lease
        try:
            if ready.error is not None:
                raise ready.error
            self.trades[lease.kind].do(self, ready)
        except BaseException as error:
            ready.close()
            self.failed(lease, error)
            if self._ends(error):
                raise
            self._count_failure(error)
        self.free_since = time.monotonic()

    def done(self, kind: JobKind) -> None:
        self._failures = 0
        self.drained.done[str(kind)] = self.drained.done.get(str(kind), 0) + 1
        self.advance(kind is JobKind.RESTORE)

    def look_at_take(self) -> None:
        """Raise what befell the take before as soon as it did, not when this scene is done."""
        if self.take is not None and self.take.failed:
            self.finish_take()

    def finish_take(self) -> None:
        """Wait until the take before was committed; raise what ends the run, count what does not."""
        take, self.take = self.take, None
        if take is None:
            return
        try:
            take.wait()
        except BaseException as error:
            if self._ends(error):
                raise
            self._count_failure(error)

    def failed(self, lease: Lease, error: BaseException) -> None:
        """Settle a job that was not done: fail it, or hand it back. In the thread of a take too."""
        if not self.leases.holds(lease):
            return
        if isinstance(error, LeaseLost):
            _log.warning("job %s: %s; its result is dropped", lease.id, error)
            self.leases.let_go(lease)
        elif (
            not isinstance(error, Exception) or isinstance(error, CatalogError) or self._ends(error)
        ):
            self.leases.hand_back(lease)
        elif self.leases.failed(lease, error) is Failure.OUT_OF_MEMORY:
            self.workshop.release()
            self.model = ""

    def _ends(self, error: BaseException) -> bool:
        """Whether an error would meet every job, or is meant to end the run."""
        if isinstance(error, LeaseLost):
            return False
        if self.shift.alone:
            ends: tuple[type[BaseException], ...] = (StoreError, CatalogError, DamagedMediaError)
        else:
            ends = (StoreError,)
        return not isinstance(error, Exception) or isinstance(error, ends)

    def _count_failure(self, error: BaseException) -> None:
        """Let an agent on which nothing works leave the queue to others."""
        if failure_of(error) in (Failure.BAD_MEDIA, Failure.REFUSED) or isinstance(
            error, CatalogError
        ):
            return
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW and not self.shift.alone:
            raise UnfitError(
                f"{self._failures} jobs in a row failed here, the last with: {error}; the agent stops, "
                "so that it does not use up the tries of every job. Look at this host (`restar doctor`)"
            )

    def look_ahead(self, looks: threading.Event, expected: float) -> None:
        """Claim and decode the next scene when the model is likely to be free in `_AHEAD_S`."""
        future: Future[Ready | None] = Future()

        def look() -> None:
            looks.wait(max(0.0, expected - _AHEAD_S) if expected else None)
            try:
                future.set_result(None if self.stop.wanted else self._claim())
            except CatalogError as error:
                _log.warning("no job claimed ahead: %s", error)
                future.set_result(None)
            except BaseException as error:
                future.set_exception(error)

        run = copy_context().run
        threading.Thread(target=lambda: run(look), name="ahead", daemon=True).start()
        self._ahead = future

    def _wait(self) -> bool:
        """Wait for work to come; False where none will."""
        restoration_id, began, pause = self.shift.restoration_id, time.monotonic(), _IDLE_S[0]
        while not self.stop.wanted:
            idle = time.monotonic() - began
            mine = restoration_id is not None and _open_elsewhere(self.house, restoration_id)
            if not mine and idle >= self.shift.idle_s:
                return False
            if idle > self.shift.release_s and self.model:
                _log.info("idle for %.0f s: the model is released", idle)
                self.workshop.release()
                self.model = ""
            self.stop.pause(pause * random.uniform(0.7, 1.3))  # noqa: S311
            pause = min(2 * pause, _IDLE_S[1])
            with suppress(CatalogError) if not self.shift.alone else nullcontext():
                take_back_dead_work(self.house)
                with self.house.catalog.begin() as session:
                    seen(session, self.house.agent_id)
            ready = self._next()
            if ready is not None:
                self._ahead = Future()
                self._ahead.set_result(ready)
                return True
        return True

    def _fits(self, ready: Ready) -> bool:
        """Whether a scene is likely to be done within the time limit."""
        return ready.expected(self.pace) <= self.stop.room + self.stop.grace

    def _refuse_lack_of_space(self) -> None:
        free, least = self.house.store.free_bytes() >> 20, self.house.settings.min_free_mib
        if free < least:
            raise StoreError(
                f"{self.house.store.root}: has {free} MiB free, less than {least} "
                "(RESTAR_MIN_FREE_MIB); no more work is begun here until there is space"
            )
        quota = self.house.settings.quota_gib
        if quota and time.monotonic() > self._quota_seen + _QUOTA_S:
            self._quota_seen = time.monotonic()
            with self.house.catalog.read() as session:
                used = kept_bytes(session) / 2**30
            if used >= quota:
                raise StoreError(
                    f"all takes together have {used:.2f} GiB, and RESTAR_QUOTA_GIB is {quota:g}; "
                    "`restar tidy` finds what may go"
                )

    def _leave(self) -> None:
        """Hand back what was claimed ahead; let the take in work come to its end."""
        if self._ahead is not None:
            with suppress(Exception):
                ready = self._ahead.result()
                if ready is not None:
                    ready.close()
                    self.leases.hand_back(ready.lease)
        if self.take is not None:
            with suppress(Exception):
                self.take.wait(max(0.0, self.stop.left) if self.stop.wanted else None)
        for lease in self.leases.held():
            self.leases.hand_back(lease)
        self.members.free()


def _kept(kept: dict[str, T], key: str, make: Callable[[], T]) -> T:
    """Return what is open under a key; the one that was opened first goes where there are too many."""
    found = kept.get(key)
    if found is None:
        found = make()
        while len(kept) >= _KEPT_OPEN:
            kept.pop(next(iter(kept)), None)
        kept[key] = found
    return found


def _open_elsewhere(house: House, restoration_id: str) -> bool:
    with house.catalog.read() as session:
        return work_is_open(session, restoration_id)
