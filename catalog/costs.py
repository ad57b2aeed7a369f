"""What takes cost: frames, time, and the time that they had a GPU, by film and device."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog.models import AgentRow, FilmRow, TakeRow

__all__ = ["costs"]


def costs(session: Session, film_id: str | None = None) -> list[dict[str, Any]]:
    """Return what the takes of all films, or of one, cost, as plain data.

    {"film", "path", "device" ("" = not known), "takes", "frames", "seconds", "gpu_seconds"}: one row
    for each film and device. Takes that were lost are counted: they were paid for.
    """
    device = func.coalesce(AgentRow.device, "")
    query = (
        select(
            TakeRow.film_id,
            device,
            func.count(),
            func.sum(TakeRow.end - TakeRow.start),
            func.sum(TakeRow.seconds),
            func.sum(TakeRow.gpu_seconds),
        )
        .outerjoin(AgentRow, AgentRow.id == TakeRow.agent_id)
        .group_by(TakeRow.film_id, device)
        .order_by(TakeRow.film_id, device)
    )
    if film_id is not None:
        query = query.where(TakeRow.film_id == film_id)
    paths = dict(session.execute(select(FilmRow.id, FilmRow.paths)).all())
    return [
        {
            "film": film,
            "path": paths[film][-1],
            "device": name,
            "takes": takes,
            "frames": int(frames),
            "seconds": round(seconds, 3),
            "gpu_seconds": round(gpu_seconds, 3),
        }
        for film, name, takes, frames, seconds, gpu_seconds in session.execute(query)
    ]
