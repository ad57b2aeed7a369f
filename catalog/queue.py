"""The queue for people to look at: what is under way, what comes next, what failed and why.

A million jobs may be queued. What comes next is read from the head of each queue (catalog.turns), so it
costs the same however long they are.
"""

from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from catalog.base import JobState
from catalog.control import list_jobs
from catalog.models import JobRow, NeedRow

__all__ = ["look_at_queue"]


def look_at_queue(session: Session, *, limit: int = 30) -> dict[str, Any]:
    """Return the queue as plain data.

    {"leased": [job], "next": [job], "failed": [job, newest first], "counts": {state: n}}: jobs as
    `catalog.control.list_jobs` gives them, at most `limit` of each; states without a job are 0.
    """
    counts = {
        state.value: session.scalar(select(func.count()).where(JobRow.state == state)) or 0
        for state in (JobState.LEASED, JobState.QUEUED, JobState.FAILED)
    }
    failed = session.scalars(
        select(JobRow.id)
        .where(JobRow.state == JobState.FAILED)
        .order_by(JobRow.changed_at.desc(), JobRow.id.desc())
        .limit(limit)
    ).all()
    told = {job["id"]: job for job in list_jobs(session, states=(JobState.FAILED,), job_ids=failed)}
    waiting = _next(session, limit)
    return {
        "counts": counts,
        "leased": list_jobs(session, states=(JobState.LEASED,), limit=limit),
        "next": list_jobs(session, states=(JobState.QUEUED,), job_ids=waiting, limit=limit)
        if waiting
        else [],
        "failed": [told[number] for number in failed if number in told],
    }


def _next(session: Session, limit: int) -> list[int]:
    """The jobs that are ready, in the order of the queue, from the head of each need's queue."""
    found: list[tuple[int, float, int, int]] = []
    for need in session.scalars(select(NeedRow.id)).all():
        rows = session.execute(
            select(JobRow.priority, JobRow.turn, JobRow.phase, JobRow.id)
            .where(
                JobRow.state == JobState.QUEUED,
                JobRow.held == literal(False),
                JobRow.need_id == need,
            )
            .order_by(JobRow.priority.desc(), JobRow.turn, JobRow.phase, JobRow.id)
            .limit(limit)
        )
        found += [(-priority, turn, phase, number) for priority, turn, phase, number in rows]
    return [number for *_, number in sorted(found)[:limit]]
