"""Who worked, on what, and under which licences: agents, environments, models and metrics.

An agent is known by host, process id and the process's start time; a process id alone is given to
another process sooner or later, and a dead agent would then look alive.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, or_, select, update
from sqlalchemy.orm import Session

from catalog.models import (
    AgentRow,
    EnvironmentRow,
    FilmRow,
    JobRow,
    JobState,
    MetricLicenceRow,
    ModelLicenceRow,
)
from catalog.types import db_time, insert_missing, now
from restar.hashing import sha256_of

__all__ = [
    "begin_shift",
    "count_work",
    "end_shift",
    "list_agents",
    "note_error",
    "record_environment",
    "record_metric_licence",
    "record_model_licence",
    "register_agent",
    "seen",
]


def register_agent(
    session: Session,
    *,
    name: str,
    host: str,
    pid: int,
    create_time: float,
    kind: str = "run",
    software: str = "",
    place: str = "",
) -> int:
    """Return the id under which a process claims jobs; the same process gets the same one.

    `create_time` is when the process began, in seconds, by a clock of its host that is never set;
    `place` is where its pid means that process. `name` is the person or service on whose behalf it
    works; several agents may have the same.
    """
    process = {"host": host, "pid": pid, "create_time": create_time}
    values = {"name": name, "kind": kind, "software": software, "place": place, **process}
    insert_missing(session, AgentRow, values, ["host", "pid", "create_time"])
    return session.scalars(select(AgentRow.id).filter_by(**process)).one()


def seen(session: Session, agent_id: int) -> None:
    """Note that an agent is alive now."""
    session.execute(update(AgentRow).where(AgentRow.id == agent_id).values(last_seen=now()))


def begin_shift(session: Session, agent_id: int, *, kind: str, device: str) -> None:
    """Note what an agent is and works on, when it begins."""
    values = {"kind": kind, "device": device, "last_seen": now(), "ended_at": None, "ended": ""}
    session.execute(update(AgentRow).where(AgentRow.id == agent_id).values(**values))


def end_shift(session: Session, agent_id: int, why: str) -> None:
    """Note that an agent has left, and why."""
    values = {"ended_at": now(), "ended": why, "model": "", "last_seen": now()}
    session.execute(update(AgentRow).where(AgentRow.id == agent_id).values(**values))


def count_work(
    session: Session, agent_id: int, *, frames: int, seconds: float, model: str = ""
) -> None:
    """Count a job that an agent has committed, in the transaction of the commit."""
    agents = cast("Table", AgentRow.__table__)
    session.execute(
        update(agents)
        .where(agents.c.id == agent_id)
        .values(
            jobs=agents.c.jobs + 1,
            frames=agents.c.frames + frames,
            seconds=agents.c.seconds + seconds,
            model=model,
            last_seen=now(),
        )
    )


def note_error(session: Session, agent_id: int, error: str) -> None:
    """Keep an agent's last failure, for those who look why it makes no progress."""
    session.execute(update(AgentRow).where(AgentRow.id == agent_id).values(error=error))


def list_agents(
    session: Session, *, every: bool = False, silent_after: float = 60.0
) -> list[dict[str, Any]]:
    """Return the agents as plain data, those at work first; with `every` also those that have left.

    {"id", "name", "kind", "host", "pid", "device", "model", "state", "seen_ago", "jobs", "frames",
    "frames_per_second", "error", "ended", "holds": [{"job", "kind", "scene", "film", "attempt",
    "held_for", "lease_left"}]}. The state is "working", "idle", "silent" (has not been heard of for
    `silent_after` seconds), or "ended". Ages are in seconds, by the database's clock.
    """
    time = db_time(session)
    holds: dict[int, list[dict[str, Any]]] = {}
    leased = (
        select(JobRow, FilmRow.paths)
        .outerjoin(FilmRow, FilmRow.id == JobRow.film_id)
        .where(JobRow.state == JobState.LEASED)
        .order_by(JobRow.changed_at)
    )
    for job, paths in session.execute(leased):
        assert job.owner_id is not None and job.lease_until is not None  # noqa: S101
        one = {
            "job": job.id,
            "kind": job.kind.value,
            "scene": job.scene_number,
            "film": paths[-1] if paths else None,
            "attempt": job.attempt,
            "held_for": round((time - job.changed_at).total_seconds(), 1),
            "lease_left": round((job.lease_until - time).total_seconds(), 1),
        }
        holds.setdefault(job.owner_id, []).append(one)
    query = select(AgentRow).order_by(AgentRow.id)
    if not every:
        at_work = AgentRow.id.in_(holds)
        query = query.where(
            or_(at_work, AgentRow.ended_at.is_(None)), or_(at_work, AgentRow.kind == "agent")
        )
    found = [
        _plain(row, holds.get(row.id, []), time, silent_after) for row in session.scalars(query)
    ]
    rank = {"working": 0, "idle": 1, "silent": 2, "ended": 3}
    wanted = [one for one in found if every or one["holds"] or one["state"] in ("working", "idle")]
    return sorted(wanted, key=lambda one: (rank[one["state"]], one["id"]))


def _plain(
    row: AgentRow, holds: list[dict[str, Any]], time: datetime, silent_after: float
) -> dict[str, Any]:
    seen_ago = (time - row.last_seen).total_seconds()
    if row.ended_at is not None and not holds:
        state = "ended"
    elif seen_ago > silent_after:
        state = "silent"
    else:
        state = "working" if holds else "idle"
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "host": row.host,
        "pid": row.pid,
        "device": row.device,
        "model": row.model,
        "state": state,
        "seen_ago": round(seen_ago, 1),
        "jobs": row.jobs,
        "frames": row.frames,
        "frames_per_second": round(row.frames / row.seconds, 3) if row.seconds else None,
        "error": row.error,
        "ended": row.ended,
        "holds": holds,
    }


def record_environment(session: Session, environment: dict[str, Any]) -> str:
    """Record the versions and hardware under which takes are made; return the record's sha256."""
    sha256 = sha256_of(environment)
    insert_missing(session, EnvironmentRow, {"sha256": sha256, "content": environment}, ["sha256"])
    return sha256


def record_model_licence(
    session: Session,
    *,
    model_sha256: str,
    name: str,
    licence: str,
    commercial_use: bool,
    source: str = "",
) -> None:
    """Record under which licence a model's weights are used; what was recorded before is replaced."""
    values = {"name": name, "licence": licence, "commercial_use": commercial_use, "source": source}
    key = {"model_sha256": model_sha256}
    if not insert_missing(session, ModelLicenceRow, {**key, **values}, list(key)):
        session.execute(update(ModelLicenceRow).filter_by(**key).values(**values))


def record_metric_licence(
    session: Session, *, metric: str, licence: str, commercial_use: bool, source: str = ""
) -> None:
    """Record under which licence a metric is computed; what was recorded before is replaced."""
    values = {"licence": licence, "commercial_use": commercial_use, "source": source}
    key = {"metric": metric}
    if not insert_missing(session, MetricLicenceRow, {**key, **values}, list(key)):
        session.execute(update(MetricLicenceRow).filter_by(**key).values(**values))
