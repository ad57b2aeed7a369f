"""Jobs: which work is queued, leased or done, so that none is lost and none finished is done twice.

A claim is one atomic statement by the database's clock. It leases a job to an agent under a new
`attempt`, the fencing token (Kleppmann, "How to do distributed locking", 2016): a result is committed
only while owner and attempt still match, so an agent that was slow, paused or thought dead can't
overwrite the work of the one that took over. Attempts only grow, also when a job is opened again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select, update
from sqlalchemy.orm import Session, aliased

from catalog.models import OPEN, AgentRow, JobKind, JobRow, JobState
from catalog.types import insert_missing, now
from restar.errors import LeaseLost

__all__ = [
    "PHASES",
    "Lease",
    "NewJob",
    "cancel",
    "change_leased",
    "claim",
    "close_queued",
    "dedupe_key",
    "enqueue",
    "fail",
    "failed_jobs",
    "finish",
    "hand_back",
    "job_counts",
    "next_lease_end",
    "renew",
    "requeue_dead",
    "requeue_expired",
    "retry",
]

# A restoration's jobs run in this order, so that an agent does not change models scene by scene.
PHASES: Mapping[JobKind, int] = {
    JobKind.CAPTION: 0,
    JobKind.RESTORE: 1,
    JobKind.SCORE: 2,
    JobKind.PROXY: 2,
    JobKind.ASSEMBLE: 3,
    JobKind.FIXITY: 4,
}
_HOLDS_BACK = (JobKind.CAPTION, JobKind.RESTORE, JobKind.SCORE)
_LEASE_COLUMNS = (
    "id", "kind", "attempt", "lease_until", "restoration_id", "film_id", "scene_number", "payload",
    "priority",
)  # fmt: skip
_CLOSED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
_QUEUED_OR_FAILED = case(
    (JobRow.attempt < JobRow.max_attempts, JobState.QUEUED), else_=JobState.FAILED
)


@dataclass(frozen=True)
class NewJob:
    """A job to be queued. `dedupe_key` says what it is for: there is only ever one job of a key."""

    kind: JobKind
    dedupe_key: str
    restoration_id: str | None = None
    film_id: str | None = None
    scene_number: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    max_attempts: int = 3


@dataclass(frozen=True)
class Lease:
    """A job that was claimed: what to do, and the token (`owner`, `attempt`) to commit it with."""

    id: int
    kind: JobKind
    owner: int
    attempt: int
    lease_until: datetime
    restoration_id: str | None
    film_id: str | None
    scene_number: int | None
    payload: dict[str, Any]
    priority: int


def dedupe_key(kind: JobKind, *parts: str | int) -> str:
    """Return the key of a job of that kind for these things: "restore:<restoration>:<take key>"."""
    return ":".join((kind.value, *map(str, parts)))


def enqueue(session: Session, job: NewJob, *, reopen: bool = False) -> int:
    """Queue a job and return its id; a job of the same key that is there stays as it is.

    With `reopen`, one that is done, failed or cancelled is queued again with this payload, priority
    and number of tries.
    """
    values = {
        "phase": PHASES[job.kind],
        "payload": job.payload,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
    }
    inserted = insert_missing(
        session,
        JobRow,
        {
            **values,
            "kind": job.kind,
            "dedupe_key": job.dedupe_key,
            "restoration_id": job.restoration_id,
            "film_id": job.film_id,
            "scene_number": job.scene_number,
        },
        ["dedupe_key"],
    )
    if reopen and not inserted:
        values["max_attempts"] = JobRow.attempt + job.max_attempts
        _update(
            session,
            (JobRow.dedupe_key == job.dedupe_key, JobRow.state.in_(_CLOSED)),
            {**values, **_released(JobState.QUEUED), "error": None, "queued_at": now()},
        )
    return session.scalars(select(JobRow.id).where(JobRow.dedupe_key == job.dedupe_key)).one()


def claim(
    session: Session,
    agent_id: int,
    kinds: Sequence[JobKind],
    lease_seconds: float,
    *,
    restoration_id: str | None = None,
) -> Lease | None:
    """Lease the next queued job to an agent, in one statement; None if none is ready.

    Next is: highest priority, then earliest phase, then oldest. A job is not ready while its
    restoration has open captions, restores or scores of an earlier phase.
    """
    row = session.execute(
        update(JobRow)
        .where(JobRow.id == _next_job(kinds, restoration_id).scalar_subquery())
        .values(
            state=JobState.LEASED,
            owner_id=agent_id,
            attempt=JobRow.attempt + 1,
            lease_until=now(lease_seconds),
            changed_at=now(),
        )
        .returning(*(getattr(JobRow, name) for name in _LEASE_COLUMNS))
        .execution_options(synchronize_session=False)
    ).first()
    return None if row is None else Lease(**row._mapping, owner=agent_id)


def renew(session: Session, lease: Lease, lease_seconds: float) -> None:
    """Hold a job for `lease_seconds` from now; raise LeaseLost if it is another's by now."""
    change_leased(session, lease, {"lease_until": now(lease_seconds)})
    session.execute(update(AgentRow).where(AgentRow.id == lease.owner).values(last_seen=now()))


def finish(session: Session, lease: Lease) -> None:
    """Mark a job done; raise LeaseLost, so that the transaction is undone, if it is another's."""
    change_leased(session, lease, {**_released(JobState.DONE), "error": None})


def fail(session: Session, lease: Lease, error: str, *, final: bool = False) -> JobState:
    """Record that a try failed and why; return `queued` (it is tried again) or `failed`.

    `final` says that another try would end the same way. Raises LeaseLost if it is another's.
    """
    state = JobState.FAILED if final else _QUEUED_OR_FAILED
    change_leased(session, lease, {**_released(state), "error": error})
    return session.scalars(select(JobRow.state).where(JobRow.id == lease.id)).one()


def hand_back(session: Session, lease: Lease) -> None:
    """Put a job back into the queue unharmed: an agent that ends politely costs it no try."""
    values = {**_released(JobState.QUEUED), "max_attempts": JobRow.max_attempts + 1}
    change_leased(session, lease, values)


def requeue_expired(session: Session) -> list[int]:
    """Take back the jobs whose lease ran out; return their ids. Each counts as a failed try."""
    expired = (JobRow.state == JobState.LEASED, JobRow.lease_until < now())
    return _take_back(session, expired, "its lease ran out: the agent hung, or its host is gone")


def requeue_dead(session: Session, host: str, is_alive: Callable[[AgentRow], bool]) -> list[int]:
    """Take back the jobs of this host's agents that are not alive any more; return their ids.

    `is_alive` looks for the process by `pid` and `create_time` (a pid alone is used again by the
    system). Leases need not run out first, so the run after a `kill -9` goes on at once.
    """
    owners = session.scalars(
        select(AgentRow)
        .where(
            AgentRow.host == host,
            AgentRow.id.in_(select(JobRow.owner_id).where(JobRow.state == JobState.LEASED)),
        )
        .order_by(AgentRow.id)
    ).all()
    dead = [agent.id for agent in owners if not is_alive(agent)]
    leased = (JobRow.state == JobState.LEASED, JobRow.owner_id.in_(dead))
    return _take_back(session, leased, "its agent was killed") if dead else []


def cancel(
    session: Session, *, restoration_id: str | None = None, job_id: int | None = None
) -> int:
    """Cancel the open jobs of a restoration, or one job; return how many were.

    An agent that is at work on one learns it when it renews or commits.
    """
    if restoration_id is None and job_id is None:
        raise ValueError("say which jobs to cancel: restoration_id or job_id")
    where: list[ColumnElement[bool]] = [JobRow.state.in_(OPEN)]
    if restoration_id is not None:
        where.append(JobRow.restoration_id == restoration_id)
    if job_id is not None:
        where.append(JobRow.id == job_id)
    return len(_update(session, where, _released(JobState.CANCELLED)))


def close_queued(
    session: Session,
    restoration_id: str,
    kinds: Sequence[JobKind],
    *,
    scene: int | None = None,
    only: str | None = None,
    state: JobState = JobState.CANCELLED,
) -> int:
    """Take queued jobs that nobody needs any more out of the queue; return how many.

    Of one scene or all, or `only` the one with that dedupe key. Jobs at work are left alone.
    """
    where: list[ColumnElement[bool]] = [
        JobRow.restoration_id == restoration_id,
        JobRow.kind.in_(kinds),
        JobRow.state == JobState.QUEUED,
    ]
    if scene is not None:
        where.append(JobRow.scene_number == scene)
    if only is not None:
        where.append(JobRow.dedupe_key == only)
    return len(_update(session, where, _released(state)))


def retry(session: Session, restoration_id: str, *, more: int = 3) -> int:
    """Queue a restoration's failed and cancelled jobs again for `more` tries; return how many."""
    where = (
        JobRow.restoration_id == restoration_id,
        JobRow.state.in_((JobState.FAILED, JobState.CANCELLED)),
    )
    values = {**_released(JobState.QUEUED), "max_attempts": JobRow.attempt + more, "error": None}
    return len(_update(session, where, values))


def job_counts(
    session: Session, restoration_id: str, kinds: Sequence[JobKind] | None = None
) -> dict[JobState, int]:
    """Return how many jobs of a restoration are in each state (every state is there)."""
    query = (
        select(JobRow.state, func.count())
        .where(JobRow.restoration_id == restoration_id)
        .group_by(JobRow.state)
    )
    if kinds is not None:
        query = query.where(JobRow.kind.in_(kinds))
    found = {state: count for state, count in session.execute(query)}
    return {state: found.get(state, 0) for state in JobState}


def failed_jobs(session: Session, restoration_id: str) -> list[JobRow]:
    """Return a restoration's failed jobs, by scene; each holds its last `error`."""
    return list(
        session.scalars(
            select(JobRow)
            .where(JobRow.restoration_id == restoration_id, JobRow.state == JobState.FAILED)
            .order_by(JobRow.scene_number, JobRow.id)
            .execution_options(populate_existing=True)
        )
    )


def next_lease_end(session: Session, restoration_id: str) -> datetime | None:
    """Return when the next lease of a restoration runs out; None if no job of it is leased."""
    return session.scalar(
        select(func.min(JobRow.lease_until)).where(
            JobRow.restoration_id == restoration_id, JobRow.state == JobState.LEASED
        )
    )


def change_leased(session: Session, lease: Lease, values: Mapping[str, Any]) -> None:
    """Change a leased job if owner and attempt still match, else raise LeaseLost: the fence."""
    where = (
        JobRow.id == lease.id,
        JobRow.owner_id == lease.owner,
        JobRow.attempt == lease.attempt,
        JobRow.state == JobState.LEASED,
    )
    if not _update(session, where, values):
        scene = "" if lease.scene_number is None else f" of scene {lease.scene_number}"
        raise LeaseLost(
            f"job {lease.id} ({lease.kind}{scene}) was cancelled or taken over by another agent; "
            "what this one made of it is dropped"
        )


def _next_job(kinds: Sequence[JobKind], restoration_id: str | None) -> Select[int]:
    earlier = aliased(JobRow)
    held_back = (
        select(earlier.id)
        .where(
            earlier.restoration_id == JobRow.restoration_id,
            earlier.state.in_(OPEN),
            earlier.phase < JobRow.phase,
            earlier.kind.in_(_HOLDS_BACK),
        )
        .exists()
    )
    query = (
        select(JobRow.id)
        .where(JobRow.state == JobState.QUEUED, JobRow.kind.in_(kinds), ~held_back)
        .order_by(JobRow.priority.desc(), JobRow.phase, JobRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return query if restoration_id is None else query.where(JobRow.restoration_id == restoration_id)


def _take_back(session: Session, where: Sequence[Any], error: str) -> list[int]:
    values = {**_released(_QUEUED_OR_FAILED), "error": error}
    return _update(session, where, values)


def _released(state: Any) -> dict[str, Any]:
    """What a job has that nobody holds."""
    return {"state": state, "owner_id": None, "lease_until": None, "changed_at": now()}


def _update(session: Session, where: Sequence[Any], values: Mapping[str, Any]) -> list[int]:
    """Update jobs in the order of their ids (PostgreSQL locks rows: one order, no deadlock)."""
    chosen = select(JobRow.id).where(*where).order_by(JobRow.id).with_for_update()
    changed = session.execute(
        update(JobRow)
        .where(JobRow.id.in_(chosen))
        .values(values)
        .returning(JobRow.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(changed.scalars())
