"""Who works at what: agents, the needs of jobs, and the queue itself."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.base import Base, JobKind, JobState, Json, enum_of
from catalog.types import BigId, now

__all__ = ["AgentRow", "JobRow", "NeedRow"]


class AgentRow(Base):
    """A process that claims jobs. Host, pid and start time tell whether it still lives.

    `place` is where its pid means something: one boot of one host, one container. `jobs`, `frames`
    and `seconds` count what it has committed; `error` is its last failure, `ended` why it left.
    """

    __tablename__ = "agent"
    __table_args__ = (UniqueConstraint("host", "pid", "create_time"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    create_time: Mapped[float]
    software: Mapped[str] = mapped_column(default="")
    registered_at: Mapped[datetime] = mapped_column(default=now())
    last_seen: Mapped[datetime] = mapped_column(default=now())
    place: Mapped[str] = mapped_column(default="", server_default="")
    device: Mapped[str] = mapped_column(default="", server_default="")
    model: Mapped[str] = mapped_column(default="", server_default="")
    jobs: Mapped[int] = mapped_column(default=0, server_default="0")
    frames: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    error: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    ended: Mapped[str] = mapped_column(default="", server_default="")


class NeedRow(Base):
    """What jobs ask of an agent; those that ask the same stand in one queue (catalog.turns)."""

    __tablename__ = "need"
    __table_args__ = (UniqueConstraint("kind", "model", "memory_bytes", "gpu"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JobKind] = mapped_column(enum_of(JobKind, "kind"))
    model: Mapped[str] = mapped_column(default="")
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    gpu: Mapped[str] = mapped_column(default="")


class JobRow(Base):
    """A unit of work. `attempt` is the fencing token: it only grows, by one with each claim.

    `need_id`, `turn`, `cost` and `held` are its place in the queue (catalog.turns).
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("(state = 'leased') = (owner_id IS NOT NULL)", name="owner"),
        CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name="lease"),
        Index(
            "ix_job_queue", "state", "held", "need_id", text("priority DESC"), "turn", "phase", "id"
        ),
        Index(None, "state", "held", "priority", "turn"),
        Index(None, "restoration_id", "state", "held", "phase"),
        Index(None, "restoration_id", "state", "priority", "turn"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[JobKind] = mapped_column(enum_of(JobKind, "kind"))
    state: Mapped[JobState] = mapped_column(enum_of(JobState, "state"), default=JobState.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)
    phase: Mapped[int]
    restoration_id: Mapped[str | None] = mapped_column(ForeignKey("restoration.id"))
    film_id: Mapped[str | None] = mapped_column(ForeignKey("film.id"))
    scene_number: Mapped[int | None]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    payload: Mapped[Json] = mapped_column(default=dict)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    error: Mapped[str | None]
    error_kind: Mapped[str] = mapped_column(default="", server_default="")
    need_id: Mapped[int | None] = mapped_column(ForeignKey("need.id"))
    held: Mapped[bool] = mapped_column(default=False, server_default=false())
    turn: Mapped[float] = mapped_column(default=0.0, server_default="0")
    cost: Mapped[float] = mapped_column(default=1.0, server_default="1")
    queued_at: Mapped[datetime] = mapped_column(default=now())
    changed_at: Mapped[datetime] = mapped_column(default=now())
