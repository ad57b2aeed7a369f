"""Figures for monitoring: what is queued, who works, what was made; a fixed number of queries."""

from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from catalog.agents import list_agents
from catalog.models import (
    FilmRow,
    JobRow,
    JobState,
    MasterRow,
    MasterState,
    RestorationRow,
    RestorationSceneRow,
    TakeRow,
    TakeState,
)
from catalog.types import db_time

__all__ = ["figures"]


def figures(session: Session, *, silent_after: float) -> dict[str, Any]:
    """Return the figures of an installation, as plain data.

    {"jobs": {(kind, state): n}, "oldest_job_seconds", "agents": {state: n}, "films", "restorations":
    {state: n}, "takes", "take_bytes", "frames", "seconds", "gpu_seconds", "flagged_scenes",
    "masters"}. `silent_after` is a lease's time. Frames and seconds are of all takes ever made, lost
    ones too; `take_bytes` of those that are there.
    """
    jobs = {
        (kind.value, state.value): count
        for kind, state, count in session.execute(
            select(JobRow.kind, JobRow.state, func.count()).group_by(JobRow.kind, JobRow.state)
        )
    }
    oldest = session.scalar(
        select(func.min(JobRow.queued_at)).where(JobRow.state == JobState.QUEUED, ~JobRow.held)
    )
    agents: dict[str, int] = {}
    for one in list_agents(session, silent_after=silent_after):
        agents[one["state"]] = agents.get(one["state"], 0) + 1
    takes, frames, seconds, gpu_seconds = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(TakeRow.end - TakeRow.start), 0),
            func.coalesce(func.sum(TakeRow.seconds), 0.0),
            func.coalesce(func.sum(TakeRow.gpu_seconds), 0.0),
        )
    ).one()
    kept = select(func.coalesce(func.sum(TakeRow.bytes), 0)).where(TakeRow.state == TakeState.OK)
    flagged = select(func.count()).where(cast(RestorationSceneRow.flags, Text) != "[]")
    return {
        "jobs": jobs,
        "oldest_job_seconds": (db_time(session) - oldest).total_seconds() if oldest else 0.0,
        "agents": agents,
        "films": session.scalar(select(func.count()).select_from(FilmRow)),
        "restorations": {
            state.value: count
            for state, count in session.execute(
                select(RestorationRow.state, func.count()).group_by(RestorationRow.state)
            )
        },
        "takes": takes,
        "take_bytes": int(session.execute(kept).scalar_one()),
        "frames": int(frames),
        "seconds": float(seconds),
        "gpu_seconds": float(gpu_seconds),
        "flagged_scenes": session.execute(flagged).scalar_one(),
        "masters": session.scalar(
            select(func.count()).select_from(MasterRow).where(MasterRow.state == MasterState.OK)
        ),
    }
