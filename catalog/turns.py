"""The order of the queue: whose turn it is, who has to wait, and who may do what.

A claim must cost the same whether a hundred jobs are queued or a million, so everything that decides
the order is in columns that an index holds, set when a job is queued and not when it is claimed:

- `need`: jobs that ask the same of an agent (kind, model, memory, GPU class) share one row of table
  `need`. There are dozens of them, whatever the number of jobs; a claim looks at the head of each
  queue that the agent can serve, never through jobs that it can't.
- `turn`: the virtual start time of start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996,
  section 2). A restoration's jobs take turns one after the other, each as wide as its cost, and begin
  where the queue stands now. So restorations share the agents evenly however many jobs each has
  queued, and one that comes late neither waits for those before it nor overtakes them.
- `held`: an earlier phase of the job's restoration is still open. It is set and cleared in the
  transaction that opens or closes the phase, under the restoration's lock.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from catalog.base import JobKind, JobState
from catalog.models import OPEN, JobRow, NeedRow, RestorationRow
from catalog.types import insert_missing
from restar.needs import Needs

__all__ = [
    "HOLDS_BACK",
    "Place",
    "hold_back",
    "lock_in_order",
    "need_of",
    "place_in",
    "turn_now",
    "work_is_open",
]

HOLDS_BACK = (JobKind.CAPTION, JobKind.RESTORE, JobKind.SCORE)
_READY = (JobRow.state == JobState.QUEUED, JobRow.held == literal(False))


@dataclass(frozen=True)
class Place:
    """Where a new job stands in the queue; `others_wait` if jobs that are ready have to wait for it."""

    turn: float
    held: bool
    others_wait: bool


def need_of(session: Session, kind: JobKind, needs: Needs) -> int:
    """Return the id of the queue of jobs that ask this of an agent."""
    key = {"kind": kind, "model": needs.model, "memory_bytes": needs.memory_bytes, "gpu": needs.gpu}
    query = select(NeedRow.id).filter_by(**key)
    found = session.scalar(query)
    if found is None:
        insert_missing(session, NeedRow, key, list(key))
        found = session.scalars(query).one()
    return found


def place_in(session: Session, restoration_id: str | None, phase: int, priority: int) -> Place:
    """Return where a job that is queued now stands: after its restoration's, not before the queue."""
    if restoration_id is None:
        return Place(turn_now(session, priority), False, False)
    asked = {"mine": restoration_id, "priority": priority, "phase": phase}
    at, queued_to, leased_to, others_wait, *phases = session.execute(_place(), asked).one()
    earliest = min((one for one in phases if one is not None), default=phase)
    turn = max(float(at), float(queued_to or 0), float(leased_to or 0))
    return Place(turn, phase > earliest, bool(others_wait))


def turn_now(session: Session, priority: int) -> float:
    """Return the turn at which the queue of a priority stands; 0 where nothing is open."""
    return float(session.execute(select(_now()), {"priority": priority}).scalar_one())


def hold_back(session: Session, restoration_id: str, closed: int | None = None) -> bool:
    """Hold the jobs of a restoration that have to wait for an earlier phase; release the others.

    To be called after its jobs were opened or closed, while the restoration is locked. `closed` says
    that only one job of that phase was closed: while others like it are open, nothing changes.
    Returns whether captions, restores or scores are still open.
    """
    earliest = _earliest(session, restoration_id)
    if closed is not None and earliest is not None and earliest <= closed:
        return True
    mine = (JobRow.restoration_id == restoration_id, JobRow.state == JobState.QUEUED)
    if earliest is None:
        wrong: ColumnElement[bool] = JobRow.held == literal(True)
    else:
        wrong = or_(
            and_(JobRow.held == literal(True), JobRow.phase <= earliest),
            and_(JobRow.held == literal(False), JobRow.phase > earliest),
        )
    session.execute(
        update(JobRow)
        .where(*mine, wrong)
        .values(held=~JobRow.held)
        .execution_options(synchronize_session=False)
    )
    return earliest is not None


def work_is_open(session: Session, restoration_id: str) -> bool:
    """Whether a restoration has captions, restores or scores that are queued or under way."""
    return _earliest(session, restoration_id) is not None


def lock_in_order(session: Session, restorations: Collection[str | None]) -> list[str]:
    """Hold some restorations until the transaction ends, always in the same order.

    Under SQLite a write transaction holds everything from its beginning.
    """
    ordered = sorted({one for one in restorations if one is not None})
    if ordered and session.get_bind().dialect.name == "postgresql":
        query = select(RestorationRow.id).where(RestorationRow.id.in_(ordered))
        session.execute(query.order_by(RestorationRow.id).with_for_update()).all()
    return ordered


def _now() -> ColumnElement[float]:
    """Where the queue of a priority stands. Here and below, what is asked is filled in when it runs."""
    priority = JobRow.priority == bindparam("priority")
    waiting = select(func.min(JobRow.turn)).where(*_READY, priority)
    at_work = select(func.max(JobRow.turn)).where(
        JobRow.state == JobState.LEASED, JobRow.held == literal(False), priority
    )
    return func.coalesce(waiting.scalar_subquery(), at_work.scalar_subquery(), 0.0)


@cache
def _place() -> Select[*tuple[Any, ...]]:
    """All that `place_in` asks: it costs more to build than to run."""
    mine = JobRow.restoration_id == bindparam("mine")
    ends = [
        select(JobRow.turn + JobRow.cost)
        .where(mine, JobRow.state == state, JobRow.priority == bindparam("priority"))
        .order_by(JobRow.turn.desc())
        .limit(1)
        .scalar_subquery()
        for state in OPEN
    ]
    later = select(JobRow.id).where(mine, *_READY, JobRow.phase > bindparam("phase")).exists()
    return select(_now(), *ends, later, *_phases())


def _earliest(session: Session, restoration_id: str) -> int | None:
    """The earliest phase that a restoration has open work of; None where nothing is open."""
    phases = session.execute(_open_phases(), {"mine": restoration_id}).one()
    return min((one for one in phases if one is not None), default=None)


@cache
def _open_phases() -> Select[*tuple[Any, ...]]:
    return select(*_phases())


def _phases() -> list[ScalarSelect[int]]:
    """The earliest phase among a restoration's open jobs: leased, ready, and held ones."""
    kinds = ((JobState.LEASED, False), (JobState.QUEUED, False), (JobState.QUEUED, True))
    return [
        select(JobRow.phase)
        .where(
            JobRow.restoration_id == bindparam("mine"),
            JobRow.state == state,
            JobRow.held == literal(held),
            JobRow.kind.in_(HOLDS_BACK),
        )
        .order_by(JobRow.phase)
        .limit(1)
        .scalar_subquery()
        for state, held in kinds
    ]
