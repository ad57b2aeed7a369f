"""Claims: one atomic statement gives an agent the job that is next, whatever stands in the queue.

The statement looks at the head of each queue that the agent can serve (catalog.turns), ranks these few
rows and leases the best, in one round trip to the database. Agents ask for it all day long, so it is
built once for each shape of offer, and only filled in when it runs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from catalog.base import JobKind, JobState
from catalog.jobs import Lease
from catalog.models import JobRow, NeedRow
from catalog.types import now

__all__ = ["WINDOW", "Offer", "claim", "without_captions"]

WINDOW = 1000.0
"""How far, in frames of work, an agent may go past another restoration's turn to keep its model."""

_JOBS, _NEEDS = cast("Table", JobRow.__table__), cast("Table", NeedRow.__table__)
_JOB, _NEED = _JOBS.c, _NEEDS.c
_ORDER = (_JOB.priority.desc(), _JOB.turn, _JOB.phase, _JOB.id)
_READY = (_JOB.state == JobState.QUEUED, _JOB.held == literal(False))
_LEASE_COLUMNS = (
    "id", "kind", "attempt", "lease_until", "restoration_id", "film_id", "scene_number", "payload",
    "priority", "error_kind",
)  # fmt: skip
_CAPTIONERS = 0x7265_7374_6361  # PostgreSQL advisory lock: "restca"


@dataclass(frozen=True)
class Offer:
    """What an agent can do. `memory_bytes` None is without limit; `gpus` are its GPU classes.

    `model` is the one that it holds now: jobs for it are preferred within `window` frames of turn.
    """

    kinds: Sequence[JobKind]
    memory_bytes: int | None = None
    gpus: Collection[str] | None = None
    model: str = ""
    window: float = WINDOW


def claim(
    session: Session,
    agent_id: int,
    offer: Offer | Sequence[JobKind],
    lease_seconds: float,
    *,
    restoration_id: str | None = None,
) -> Lease | None:
    """Lease the next queued job that an agent can do; None if none is ready.

    Next is: highest priority, then the restoration whose turn it is, then the earliest phase, then
    the oldest; within a window, a job for the model that the agent holds (catalog.turns). A job is
    not ready while its restoration has open captions, restores or scores of an earlier phase.
    """
    if not isinstance(offer, Offer):
        offer = Offer(tuple(offer))
    limits = (offer.memory_bytes is not None, offer.gpus is not None)
    asked: dict[str, Any] = {
        "agent": agent_id,
        "seconds": float(lease_seconds),
        "kinds": list(offer.kinds),
        "memory": offer.memory_bytes,
        "gpus": ["", *(offer.gpus or ())],
        "model": offer.model,
        "window": float(offer.window),
        "restoration": restoration_id,
    }
    if restoration_id is not None:
        return _lease(session, _next_of_restoration(limits), asked)
    lease = _lease(session, _next(limits), asked)
    if lease is None and session.get_bind().dialect.name == "postgresql":
        # either nothing is ready, or others are claiming all of the best queue at this moment
        for need_id in session.execute(_ranked_needs(limits), asked).scalars().all():
            lease = _lease(session, _next_of_need(), {**asked, "need": need_id})
            if lease is not None:
                break
    return lease


def without_captions(session: Session, offer: Offer, most: int) -> Offer:
    """Return an offer without captions where `most` of them are being made already.

    To be asked in the transaction of the claim. On PostgreSQL those who ask wait for one another, so
    that not all of them see the last free place.
    """
    if JobKind.CAPTION not in offer.kinds:
        return offer
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CAPTIONERS})
    at_work = select(func.count()).where(
        _JOB.kind == JobKind.CAPTION, _JOB.state == JobState.LEASED
    )
    if session.execute(at_work).scalar_one() < most:
        return offer
    return replace(offer, kinds=tuple(k for k in offer.kinds if k is not JobKind.CAPTION))


def _lease(
    session: Session, statement: ReturningUpdate[Any], asked: Mapping[str, Any]
) -> Lease | None:
    row = session.execute(statement, asked).first()
    return None if row is None else Lease(**row._mapping, owner=int(asked["agent"]))


@cache
def _next(limits: tuple[bool, bool]) -> ReturningUpdate[Any]:
    """Lease the head of the best queue that an offer with these limits can serve."""
    best = _ranked_needs(limits).limit(1).scalar_subquery()
    return _leased(_head_of(_JOB.need_id == best))


@cache
def _next_of_need() -> ReturningUpdate[Any]:
    return _leased(_head_of(_JOB.need_id == bindparam("need")))


@cache
def _next_of_restoration(limits: tuple[bool, bool]) -> ReturningUpdate[Any]:
    needs = select(_NEED.id).where(*_able(limits))
    mine = _JOB.restoration_id == bindparam("restoration")
    return _leased(_head_of(mine, _JOB.need_id.in_(needs)))


def _head_of(*where: ColumnElement[bool]) -> ScalarSelect[int]:
    """The first job that is ready; it is locked, and what others are claiming now is skipped."""
    head = select(_JOB.id).where(*_READY, *where).order_by(*_ORDER).limit(1)
    return head.with_for_update(skip_locked=True).scalar_subquery()


def _leased(job_id: ScalarSelect[int]) -> ReturningUpdate[Any]:
    return (
        update(_JOBS)
        .where(_JOB.id == job_id)
        .values(
            state=JobState.LEASED,
            owner_id=bindparam("agent"),
            attempt=_JOB.attempt + 1,
            lease_until=now(bindparam("seconds", type_=Double)),
            changed_at=now(),
        )
        .returning(*(_JOB[name] for name in _LEASE_COLUMNS))
    )


@cache
def _ranked_needs(limits: tuple[bool, bool]) -> Select[int]:
    """The queues that an offer can serve and that are not empty, best head first."""
    heads = _heads(limits)
    by_rank = (heads.c.priority.desc(), heads.c.turn, heads.c.phase, heads.c.id)
    top = select(heads.c.priority, heads.c.turn).order_by(*by_rank).limit(1).subquery("top")
    model: ColumnElement[str] = bindparam("model")
    keeps_model = and_(
        model != "",
        heads.c.model.in_(["", model]),
        heads.c.priority == top.c.priority,
        heads.c.turn <= top.c.turn + bindparam("window", type_=Double),
    )
    return (
        select(heads.c.need_id)
        .select_from(heads.join(top, literal(True)))
        .order_by(case((keeps_model, 0), else_=1), *by_rank)
    )


def _heads(limits: tuple[bool, bool]) -> CTE:
    """The head of each queue that an offer can serve: a row each, however long the queue is."""
    head = (
        select(_JOB.id)
        .where(*_READY, _JOB.need_id == _NEED.id)
        .order_by(*_ORDER)
        .limit(1)
        .correlate(_NEEDS)
        .scalar_subquery()
    )
    first = select(_NEED.id, _NEED.model, head.label("job_id")).where(*_able(limits)).cte("first")
    rank = (_JOB.priority, _JOB.turn, _JOB.phase, _JOB.id)
    return (
        select(first.c.id.label("need_id"), first.c.model, *rank)
        .join_from(first, _JOBS, _JOB.id == first.c.job_id)
        .cte("heads")
    )


def _able(limits: tuple[bool, bool]) -> list[ColumnElement[bool]]:
    memory, gpus = limits
    able: list[ColumnElement[bool]] = [_NEED.kind.in_(bindparam("kinds", expanding=True))]
    if memory:
        able.append(_NEED.memory_bytes <= bindparam("memory"))
    if gpus:
        able.append(_NEED.gpu.in_(bindparam("gpus", expanding=True)))
    return able
