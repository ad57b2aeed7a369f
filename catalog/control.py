"""What people ask of the queue: what stands there, cancel this, try that again, this one first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from catalog.jobs import lock_restorations_of, phase_may_be_over, released, update_jobs
from catalog.models import OPEN, AgentRow, FilmRow, JobRow, JobState, NeedRow
from catalog.turns import turn_now
from catalog.types import db_time
from restar.needs import Needs

__all__ = ["cancel", "list_jobs", "retry", "set_priority"]


def cancel(
    session: Session, *, restoration_id: str | None = None, job_id: int | None = None
) -> int:
    """Cancel the open jobs of a restoration, or one job; return how many were.

    An agent that is at work on one learns it when it renews or commits.
    """
    where = (*_chosen(restoration_id, job_id), JobRow.state.in_(OPEN))
    restorations = lock_restorations_of(session, where)
    changed = update_jobs(session, where, released(JobState.CANCELLED))
    phase_may_be_over(session, restorations)
    return len(changed)


def retry(
    session: Session,
    restoration_id: str | None = None,
    *,
    job_id: int | None = None,
    more: int = 3,
) -> int:
    """Queue failed and cancelled jobs again for `more` tries; return how many there were.

    Those of a restoration, or one job.
    """
    closed = JobRow.state.in_((JobState.FAILED, JobState.CANCELLED))
    where = (*_chosen(restoration_id, job_id), closed)
    restorations = lock_restorations_of(session, where)
    changed = 0
    for priority in session.scalars(select(JobRow.priority).where(*where).distinct()).all():
        values = {
            **released(JobState.QUEUED),
            "max_attempts": JobRow.attempt + more,
            "error": None,
            "error_kind": "",
            "turn": turn_now(session, priority),
        }
        changed += len(update_jobs(session, (*where, JobRow.priority == priority), values))
    phase_may_be_over(session, restorations)
    return changed


def set_priority(
    session: Session,
    priority: int,
    *,
    restoration_id: str | None = None,
    job_id: int | None = None,
) -> int:
    """Give the open jobs of a restoration, or one job, another priority; return how many.

    They join the queue of that priority where it stands now, in the order that they had.
    """
    where = (*_chosen(restoration_id, job_id), JobRow.state.in_(OPEN), JobRow.priority != priority)
    lock_restorations_of(session, where)
    first = session.scalar(select(func.min(JobRow.turn)).where(*where))
    if first is None:
        return 0
    shift = turn_now(session, priority) - first
    return len(update_jobs(session, where, {"priority": priority, "turn": JobRow.turn + shift}))


def list_jobs(
    session: Session,
    *,
    states: Sequence[JobState] = OPEN,
    film_id: str | None = None,
    job_ids: Sequence[int] = (),
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return jobs as plain data: those at work first, then in the order of the queue.

    {"id", "kind", "state", "film", "scene", "restoration", "priority", "turn", "attempt",
    "max_attempts", "agent", "lease_left" (seconds), "needs", "error", "error_kind", "held"}.
    """
    query = (
        select(JobRow, AgentRow, FilmRow.paths, NeedRow)
        .outerjoin(AgentRow, AgentRow.id == JobRow.owner_id)
        .outerjoin(FilmRow, FilmRow.id == JobRow.film_id)
        .outerjoin(NeedRow, NeedRow.id == JobRow.need_id)
        .where(JobRow.state.in_(states))
        .order_by(
            JobRow.owner_id.is_(None),
            JobRow.held,
            JobRow.priority.desc(),
            JobRow.turn,
            JobRow.phase,
            JobRow.id,
        )
        .limit(limit)
    )
    if film_id is not None:
        query = query.where(JobRow.film_id == film_id)
    if job_ids:
        query = query.where(JobRow.id.in_(job_ids))
    time = db_time(session)
    return [_plain(*row, time) for row in session.execute(query)]


def _plain(
    job: JobRow, agent: AgentRow | None, paths: list[str] | None, need: NeedRow | None, at: datetime
) -> dict[str, Any]:
    left = None if job.lease_until is None else round((job.lease_until - at).total_seconds(), 1)
    needs = {} if need is None else Needs(need.model, need.memory_bytes, need.gpu).to_json()
    return {
        "id": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "film": paths[-1] if paths else None,
        "scene": job.scene_number,
        "restoration": job.restoration_id,
        "priority": job.priority,
        "turn": round(job.turn, 1),
        "held": job.held,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "agent": None if agent is None else f"{agent.host}:{agent.pid}",
        "lease_left": left,
        "needs": needs,
        "error": job.error,
        "error_kind": job.error_kind,
    }


def _chosen(restoration_id: str | None, job_id: int | None) -> list[ColumnElement[bool]]:
    if restoration_id is None and job_id is None:
        raise ValueError("say which jobs: restoration_id or job_id")
    where: list[ColumnElement[bool]] = []
    if restoration_id is not None:
        where.append(JobRow.restoration_id == restoration_id)
    if job_id is not None:
        where.append(JobRow.id == job_id)
    return where
