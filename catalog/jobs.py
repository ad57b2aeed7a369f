"""Jobs: which work is queued, leased or done, so that none is lost and none finished is done twice.

A claim is one atomic statement by the database's clock. It leases a job to an agent under a new
`attempt`, the fencing token (Kleppmann, "How to do distributed locking", 2016): a result is committed
only while owner and attempt still match, so an agent that was slow, paused or thought dead can't
overwrite the work of the one that took over. Attempts only grow, also when a job is opened again.
The claim itself is in catalog.claims.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, and_, case, func, or_, select, text, update
from sqlalchemy.orm import Session

from catalog.events import Outcome
from catalog.mishaps import tell_of_jobs
from catalog.models import AgentRow, JobKind, JobRow, JobState
from catalog.turns import (
    hold_back,
    lock_in_order,
    need_of,
    place_in,
)
from catalog.types import inserted, now
from restar.errors import LeaseLost
from restar.needs import Needs

__all__ = [
    "PHASES",
    "Lease",
    "NewJob",
    "change_leased",
    "close_queued",
    "close_stale",
    "dedupe_key",
    "enqueue",
    "fail",
    "failed_jobs",
    "finish",
    "hand_back",
    "job_counts",
    "lock_restorations_of",
    "next_lease_end",
    "phase_may_be_over",
    "released",
    "renew",
    "requeue_dead",
    "requeue_expired",
    "update_jobs",
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
_JOBS = cast("Table", JobRow.__table__)
_CLOSED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
_QUEUED_OR_FAILED = case(
    (JobRow.attempt < JobRow.max_attempts, JobState.QUEUED), else_=JobState.FAILED
)


@dataclass(frozen=True)
class NewJob:
    """A job to be queued. `dedupe_key` says what it is for: there is only ever one job of a key.

    What it needs of an agent stands in its payload (restar.needs). `cost` is how much work it is, in
    frames restored: a restoration's share is counted in it.
    """

    kind: JobKind
    dedupe_key: str
    restoration_id: str | None = None
    film_id: str | None = None
    scene_number: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    max_attempts: int = 3
    cost: float = 1.0


@dataclass(frozen=True)
class Lease:
    """A job that was claimed: what to do, and the token (`owner`, `attempt`) to commit it with.

    `error_kind` is the sort of failure of the try before ("" = none).
    """

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
    error_kind: str = ""


def dedupe_key(kind: JobKind, *parts: str | int) -> str:
    """Return the key of a job of that kind for these things: "restore:<restoration>:<take key>"."""
    return ":".join((kind.value, *map(str, parts)))


def enqueue(session: Session, job: NewJob, *, reopen: bool = False) -> int:
    """Queue a job and return its id; a job of the same key that is there stays as it is.

    With `reopen`, one that is done, failed or cancelled is queued again with this payload, priority
    and number of tries.
    """
    place = place_in(session, job.restoration_id, PHASES[job.kind], job.priority)
    values = {
        "phase": PHASES[job.kind],
        "payload": job.payload,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "need_id": need_of(session, job.kind, Needs.from_json(job.payload)),
        "turn": place.turn,
        "cost": job.cost,
        "held": place.held,
    }
    job_id = inserted(
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
    opened = job_id is not None
    if reopen and not opened:
        values["max_attempts"] = JobRow.attempt + job.max_attempts
        closed = (JobRow.dedupe_key == job.dedupe_key, JobRow.state.in_(_CLOSED))
        fresh = {"error": None, "error_kind": "", "queued_at": now()}
        opened = bool(
            update_jobs(session, closed, {**values, **released(JobState.QUEUED), **fresh})
        )
    if opened and place.others_wait and job.restoration_id is not None:
        hold_back(session, job.restoration_id)
    if job_id is None:
        job_id = session.scalars(select(JobRow.id).where(JobRow.dedupe_key == job.dedupe_key)).one()
    return int(job_id)


def renew(session: Session, lease: Lease, lease_seconds: float) -> None:
    """Hold a job for `lease_seconds` from now; raise LeaseLost if it is another's by now."""
    change_leased(session, lease, {"lease_until": now(lease_seconds)})
    session.execute(update(AgentRow).where(AgentRow.id == lease.owner).values(last_seen=now()))


def finish(session: Session, lease: Lease) -> bool:
    """Mark a job done; raise LeaseLost, so that the transaction is undone, if it is another's.

    Returns whether its restoration has captions, restores or scores left to do.
    """
    lock_in_order(session, [lease.restoration_id])
    change_leased(session, lease, {**released(JobState.DONE), "error": None, "error_kind": ""})
    if lease.restoration_id is None:
        return False
    return hold_back(session, lease.restoration_id, closed=PHASES[lease.kind])


def fail(
    session: Session, lease: Lease, error: str, *, kind: str = "", final: bool = False
) -> JobState:
    """Record that a try failed and why; return `queued` (it is tried again) or `failed`.

    It is tried again after the other jobs of its restoration. `kind` is the sort of failure
    (restar.failures); `final` says that another try would end the same way. Raises LeaseLost if it
    is another's.
    """
    lock_in_order(session, [lease.restoration_id])
    state = JobState.FAILED if final else _QUEUED_OR_FAILED
    last = place_in(session, lease.restoration_id, PHASES[lease.kind], lease.priority)
    values = {**released(state), "error": error, "error_kind": kind, "turn": last.turn}
    change_leased(session, lease, values)
    phase_may_be_over(session, [lease.restoration_id])
    return session.scalars(select(JobRow.state).where(JobRow.id == lease.id)).one()


def hand_back(session: Session, lease: Lease) -> None:
    """Put a job back into the queue unharmed: an agent that ends politely costs it no try."""
    values = {**released(JobState.QUEUED), "max_attempts": JobRow.max_attempts + 1}
    change_leased(session, lease, values)


def requeue_expired(session: Session, *, grace: float = 0.0) -> list[int]:
    """Take back the jobs whose lease ran out; return their ids. Each counts as a failed try.

    None is taken back in the first `grace` seconds of a PostgreSQL server: its agents, who could not
    renew while it was down, get that time to say that they are at work.
    """
    if grace and session.get_bind().dialect.name == "postgresql":
        up = text("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())")
        if float(session.execute(up).scalar_one()) < grace:
            return []
    expired = (JobRow.state == JobState.LEASED, JobRow.lease_until < now())
    return _take_back(session, expired, "its lease ran out: the agent hung, or its host is gone")


def requeue_dead(
    session: Session, host: str, is_alive: Callable[[AgentRow], bool], *, place: str = ""
) -> list[int]:
    """Take back the jobs of this host's agents that are not alive any more; return their ids.

    `is_alive` looks for the process by `pid` and `create_time` (a pid alone is used again by the
    system); it is asked about agents of the same `place` only, where a pid means the same process.
    Leases need not run out first, so the run after a `kill -9` goes on at once.
    """
    owners = session.scalars(
        select(AgentRow)
        .where(
            AgentRow.host == host,
            AgentRow.place == place,
            AgentRow.id.in_(select(JobRow.owner_id).where(JobRow.state == JobState.LEASED)),
        )
        .order_by(AgentRow.id)
    ).all()
    dead = [agent.id for agent in owners if not is_alive(agent)]
    leased = (JobRow.state == JobState.LEASED, JobRow.owner_id.in_(dead))
    return _take_back(session, leased, "its agent was killed") if dead else []


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
    changed = update_jobs(session, where, released(state))
    if changed:
        phase_may_be_over(session, [restoration_id])
    return len(changed)


def close_stale(session: Session, restoration_id: str, scene: int) -> None:
    """Cancel what is queued for an older wish of a scene: its restores, scores, and the assembly."""
    takes = JobRow.kind.in_((JobKind.RESTORE, JobKind.SCORE))
    stale = or_(and_(JobRow.scene_number == scene, takes), JobRow.kind == JobKind.ASSEMBLE)
    where = (JobRow.restoration_id == restoration_id, JobRow.state == JobState.QUEUED, stale)
    if update_jobs(session, where, released(JobState.CANCELLED)):
        phase_may_be_over(session, [restoration_id])


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
    job = _JOBS.c
    token = (job.owner_id == lease.owner, job.attempt == lease.attempt)
    held = (job.id == lease.id, *token, job.state == JobState.LEASED)
    if not session.execute(update(_JOBS).where(*held).values(values).returning(job.id)).first():
        scene = "" if lease.scene_number is None else f" of scene {lease.scene_number}"
        raise LeaseLost(
            f"job {lease.id} ({lease.kind}{scene}) was cancelled or taken over by another agent; "
            "what this one made of it is dropped"
        )


def _take_back(session: Session, where: Sequence[Any], error: str) -> list[int]:
    """Queue leased jobs again, or let them fail where they used up their tries."""
    restorations = lock_restorations_of(session, where)
    values = {**released(_QUEUED_OR_FAILED), "error": error, "error_kind": "agent lost"}
    changed = update_jobs(session, where, values)
    if not changed:
        return []
    phase_may_be_over(session, restorations)
    tell_of_jobs(session, changed, Outcome.WARNING, agent="restar")
    return changed


def lock_restorations_of(session: Session, where: Sequence[Any]) -> list[str]:
    """Hold the restorations of some jobs. Restorations are locked before jobs, everywhere."""
    query = select(JobRow.restoration_id).where(*where).distinct()
    return lock_in_order(session, session.scalars(query).all())


def phase_may_be_over(session: Session, restorations: Sequence[str | None]) -> None:
    for restoration_id in restorations:
        if restoration_id is not None:
            hold_back(session, restoration_id)


def released(state: Any) -> dict[str, Any]:
    """What a job has that nobody holds."""
    return {"state": state, "owner_id": None, "lease_until": None, "changed_at": now()}


def update_jobs(session: Session, where: Sequence[Any], values: Mapping[str, Any]) -> list[int]:
    """Update jobs in the order of their ids (PostgreSQL locks rows: one order, no deadlock)."""
    chosen = select(JobRow.id).where(*where).order_by(JobRow.id).with_for_update()
    query = update(_JOBS).where(_JOBS.c.id.in_(chosen)).values(values).returning(_JOBS.c.id)
    return sorted(session.execute(query).scalars())
