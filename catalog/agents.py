"""Who worked, on what, and under which licences: agents, environments, models and metrics.

An agent is known by host, process id and the process's start time; a process id alone is given to
another process sooner or later, and a dead agent would then look alive.
"""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from catalog.models import AgentRow, EnvironmentRow, MetricLicenceRow, ModelLicenceRow
from catalog.types import insert_missing, now
from restar.hashing import sha256_of

__all__ = [
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
) -> int:
    """Return the id under which a process claims jobs; the same process gets the same one.

    `create_time` is when the process began, in seconds since 1970 (psutil). `name` is the person or
    service on whose behalf it works.
    """
    process = {"host": host, "pid": pid, "create_time": create_time}
    values = {"name": name, "kind": kind, "software": software, **process}
    insert_missing(session, AgentRow, values, ["host", "pid", "create_time"])
    return session.scalars(select(AgentRow.id).filter_by(**process)).one()


def seen(session: Session, agent_id: int) -> None:
    """Note that an agent is alive now."""
    session.execute(update(AgentRow).where(AgentRow.id == agent_id).values(last_seen=now()))


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
