"""Reviews: which takes a scene has to choose from, and what a person decided, with reason and name."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.base import JobKind
from catalog.events import EventType, append, restoration_stream
from catalog.models import (
    JobRow,
    RestorationRow,
    RestorationSceneRow,
    ReviewDecision,
    ReviewRow,
    TakeRow,
)
from catalog.restorations import (
    RULE_PERSON,
    enqueue_assemble,
    find_take,
    lock_restoration,
    select_take,
)
from restar.errors import UsageError

__all__ = ["RULE_PERSON", "accept_take", "candidates"]


def accept_take(
    session: Session,
    restoration: RestorationRow,
    scene: int,
    take: TakeRow,
    *,
    reviewer: str,
    reason: str,
) -> None:
    """Select a take for a scene because a person says so; no rule overrides it.

    Adds a review and an event, and queues the assembly if this was what it waited for. Raises
    UsageError for a take of another format than the restoration's.
    """
    lock_restoration(session, restoration.id)
    if take.spec["format"] != restoration.take_format:
        raise UsageError(
            f"take {take.take_key[:12]} has another size or pixel format than this restoration's "
            "takes; it can't be in the same master"
        )
    session.add(
        ReviewRow(
            restoration_id=restoration.id,
            scene_number=scene,
            take_id=take.id,
            decision=ReviewDecision.ACCEPT,
            reason=reason,
            reviewer=reviewer,
        )
    )
    select_take(session, restoration.id, scene, take, decided_by=reviewer, rule=RULE_PERSON)
    append(
        session,
        restoration_stream(restoration.id),
        EventType.APPRAISAL,
        film_id=restoration.film_id,
        agent=reviewer,
        detail={"scene": scene, "take_key": take.take_key, "decision": "accept", "reason": reason},
    )
    session.flush()
    enqueue_assemble(session, restoration.id)


def candidates(session: Session, scene: RestorationSceneRow) -> dict[str, TakeRow]:
    """Return a scene's takes that are there by role: first, second, plain."""
    found = {"first": scene.wanted_take_key or ""}
    jobs = session.scalars(
        select(JobRow)
        .where(
            JobRow.restoration_id == scene.restoration_id,
            JobRow.scene_number == scene.number,
            JobRow.kind == JobKind.RESTORE,
        )
        .order_by(JobRow.id)
    )
    for job in jobs:
        role = job.payload.get("role")
        if role and job.payload.get("beside") == scene.wanted_take_key:
            found[role] = job.payload["take_key"]
    takes = {role: find_take(session, key) for role, key in found.items()}
    return {role: take for role, take in takes.items() if take is not None}
