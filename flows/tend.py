"""Tend: what nobody else would notice. Scheduled, idempotent, each step a transaction of its own.

It takes back what dead agents held, puts right which jobs have to wait, queues assemblies that are
due, and says how much work is ready, so that agents can be started for it.
"""

from dataclasses import dataclass

from sqlalchemy import func, select

from catalog.jobs import requeue_expired
from catalog.models import JobRow, JobState, RestorationRow, RestorationState
from catalog.restorations import enqueue_assemble, lock_restoration
from catalog.turns import hold_back
from flows.prepare import take_back_dead_work
from tasks.house import House

__all__ = ["Tended", "tend"]


@dataclass(frozen=True)
class Tended:
    """What was found: jobs taken back, assemblies queued, and the jobs that are ready now."""

    taken_back: int
    assemblies: int
    ready: int


def tend(house: House) -> Tended:
    """Put the queue in order; safe at any time, by any number of processes, and when killed."""
    with house.catalog.begin() as session:
        taken_back = len(requeue_expired(session, grace=house.settings.lease_seconds))
    take_back_dead_work(house)
    with house.catalog.read() as session:
        state = RestorationRow.state
        open_ones = session.scalars(
            select(RestorationRow.id).where(state == RestorationState.OPEN)
        ).all()
    assemblies = 0
    for restoration_id in open_ones:
        with house.catalog.begin() as session:
            lock_restoration(session, restoration_id)
            hold_back(session, restoration_id)
            assemblies += enqueue_assemble(session, restoration_id) is not None
    with house.catalog.read() as session:
        ready = select(func.count()).where(JobRow.state == JobState.QUEUED, ~JobRow.held)
        return Tended(taken_back, assemblies, session.execute(ready).scalar_one())
