"""What went wrong with jobs, as events: a job that failed for good, one that a dead agent left.

A try that fails and is followed by another leaves no event: its reason stands with the job. The type
is `execution`, since `restoration` is kept for takes that were made.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.events import EventType, Outcome, append, film_stream, restoration_stream
from catalog.models import JobRow

__all__ = ["tell_of_jobs"]


def tell_of_jobs(session: Session, job_ids: Sequence[int], outcome: Outcome, *, agent: str) -> None:
    """Add an event for each of these jobs as it stands now, with its error."""
    query = select(JobRow).where(JobRow.id.in_(job_ids)).order_by(JobRow.restoration_id, JobRow.id)
    for job in session.scalars(query.execution_options(populate_existing=True)):
        if job.film_id is None:
            continue
        detail: dict[str, Any] = {
            "job": job.id,
            "kind": job.kind.value,
            "scene": job.scene_number,
            "attempt": job.attempt,
            "state": job.state.value,
            "sort": job.error_kind,
            "error": job.error,
        }
        ours = job.restoration_id
        append(
            session,
            restoration_stream(ours) if ours else film_stream(job.film_id),
            EventType.EXECUTION,
            film_id=job.film_id,
            agent=agent,
            outcome=outcome,
            detail=detail,
        )
