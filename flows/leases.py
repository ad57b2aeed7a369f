"""Leases of one process: claimed, renewed while work goes on, settled one way or another.

One thread renews all that the process holds, at a third of a lease's time. What it can't renew for a
while (the database is away) it keeps trying for: the work goes on, and whether it still counts is
decided where it is committed, by owner and attempt. A commit waits for a database that comes back.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

from sqlalchemy.orm import Session

from catalog.agents import note_error
from catalog.base import JobState
from catalog.claims import Offer, claim, without_captions
from catalog.events import Outcome
from catalog.jobs import Lease, fail, hand_back, renew, requeue_expired
from catalog.mishaps import tell_of_jobs
from restar.errors import CatalogError, LeaseLost, RestarError, StoreError
from restar.failures import Failure, failure_of, is_final
from tasks.house import House

__all__ = ["PATIENCE_S", "Leases", "held"]

PATIENCE_S = 600.0
"""How long a commit, or an agent that has nothing else, waits for a database that is away."""

_log = logging.getLogger("restar.leases")


class Leases:
    """The jobs that this process holds. To be entered: its thread renews until it is left."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._held: dict[int, Lease] = {}
        self._lost: set[int] = set()
        self._ending: set[int] = set()
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)

    def __enter__(self) -> "Leases":
        self._keeper.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._keeper.join()

    def claim(self, offer: Offer, restoration_id: str | None = None) -> Lease | None:
        """Claim the next job and hold it; None if none is ready."""
        seconds = self.house.settings.lease_seconds
        most = self.house.settings.max_captioners
        with self.house.catalog.begin(durable=False) as session:
            if most:
                offer = without_captions(session, offer, most)
            lease = claim(
                session, self.house.agent_id, offer, seconds, restoration_id=restoration_id
            )
        if lease is not None:
            self._held[lease.id] = lease
        return lease

    def hold(self, lease: Lease) -> None:
        """Renew a lease that was claimed elsewhere."""
        self._held[lease.id] = lease

    def lost(self, lease: Lease) -> bool:
        """Whether a lease is known to be another's by now, or cancelled."""
        return lease.id in self._lost

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is not settled yet, as far as is known here."""
        return lease.id in self._held or lease.id in self._lost

    def held(self) -> list[Lease]:
        return list(self._held.values())

    def commit(self, lease: Lease, work: Callable[[Session], None]) -> None:
        """Run `work`, which ends the job, in a transaction; wait for a database that is away.

        Raises LeaseLost if the job is another's, CatalogError if the database does not come back.
        """
        give_up = time.monotonic() + PATIENCE_S
        self._ending.add(lease.id)
        while True:
            try:
                with self.house.catalog.begin() as session:
                    work(session)
                break
            except LeaseLost:
                self.let_go(lease)
                raise
            except CatalogError as error:
                if time.monotonic() > give_up or self._stop.is_set():
                    self.let_go(lease)
                    raise
                _log.warning("job %s not committed yet: %s", lease.id, error)
                time.sleep(0.25)
        self.let_go(lease)

    def hand_back(self, lease: Lease) -> None:
        """Put a job back unharmed. Where even that fails, the lease runs out by itself."""
        self._settle(lease, lambda session: hand_back(session, lease))

    def failed(self, lease: Lease, error: BaseException) -> Failure:
        """Record that a job failed, with reason and sort; return the sort."""
        kind = failure_of(error)
        expected = isinstance(error, RestarError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        _log.error("%s of scene %s failed (%s): %s", lease.kind, lease.scene_number, kind, reason,
                   exc_info=error if kind is Failure.BUG else None)  # fmt: skip

        def record(session: Session) -> None:
            final = is_final(kind, lease.error_kind)
            state = fail(session, lease, reason, kind=kind, final=final)
            if state is JobState.FAILED:
                tell_of_jobs(session, [lease.id], Outcome.FAIL, agent=self.house.who)
            note_error(session, lease.owner, f"job {lease.id}: {kind}: {reason}")

        self._settle(lease, record)
        return kind

    def let_go(self, lease: Lease) -> None:
        self._held.pop(lease.id, None)
        self._lost.discard(lease.id)
        self._ending.discard(lease.id)

    def _settle(self, lease: Lease, change: Callable[[Session], object]) -> None:
        try:
            with self.house.catalog.begin() as session:
                change(session)
        except (LeaseLost, CatalogError) as error:
            _log.warning("job %s: %s", lease.id, error)
        self.let_go(lease)

    def _keep(self) -> None:
        seconds = self.house.settings.lease_seconds
        for turn in count(1):
            if self._stop.wait(seconds / 3):
                return
            self._renew(seconds)
            if turn % 3 == 0:
                self._take_back_expired(seconds)

    def _renew(self, seconds: float) -> None:
        for lease in self.held():
            try:
                with self.house.catalog.begin(durable=False) as session:
                    renew(session, lease, seconds)
            except LeaseLost as error:
                if lease.id in self._held and lease.id not in self._ending:
                    _log.warning("%s", error)
                    self._lost.add(lease.id)
                    self._held.pop(lease.id, None)
            except CatalogError as error:
                _log.warning("lease of job %s not renewed: %s", lease.id, error)

    def _take_back_expired(self, seconds: float) -> None:
        """What another agent left behind must not wait until an agent has nothing else to do."""
        with suppress(CatalogError), self.house.catalog.begin() as session:
            requeue_expired(session, grace=seconds)


@contextmanager
def held(
    house: House,
    lease: Lease,
    *,
    raising: bool = False,
    ends: tuple[type[Exception], ...] = (StoreError, CatalogError),
) -> Iterator[None]:
    """Renew a lease inside the block; hand it back where the work ends by an interruption.

    A failure of the work itself is recorded with the job, and raised too where `raising`; one that
    would meet every job (`ends`) is always raised, and the job handed back.
    """
    with Leases(house) as leases:
        leases.hold(lease)
        try:
            yield
        except LeaseLost:
            _log.warning("job %s was taken over by another agent; its result is dropped", lease.id)
        except Exception as error:
            if isinstance(error, ends):
                leases.hand_back(lease)
                raise
            leases.failed(lease, error)
            if raising:
                raise
        except BaseException:
            leases.hand_back(lease)
            raise
