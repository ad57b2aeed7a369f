"""Reviews: which takes a scene has to choose from, and what a person decided, with reason and name."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.base import JobKind, RestorationState
from catalog.events import EventType, append, restoration_stream
from catalog.jobs import close_queued
from catalog.masters import current_master, master_stands
from catalog.models import (
    JobRow,
    RestorationRow,
    RestorationSceneRow,
    ReviewDecision,
    ReviewRow,
    SelectionRow,
    TakeRow,
    TakeState,
)
from catalog.restorations import (
    RULE_PERSON,
    enqueue_assemble,
    find_take,
    lock_restoration,
    select_take,
    selected_takes,
)
from restar.errors import OutdatedError, UsageError

__all__ = [
    "RULE_PERSON",
    "accept_take",
    "candidates",
    "chosen_by_person",
    "record_review",
    "refuse_outdated",
    "takes_of",
]


def accept_take(
    session: Session,
    restoration: RestorationRow,
    scene: int,
    take: TakeRow,
    *,
    reviewer: str,
    reason: str,
    seen: str | None = None,
) -> None:
    """Select a take for a scene because a person says so; no rule overrides it.

    Adds a review and an event, and queues the assembly if this was what it waited for; not where a master
    of just these takes stands. `seen` is as
    in `refuse_outdated`. Raises UsageError for a take of another format than the restoration's,
    OutdatedError where something else is selected by now than the person saw.
    """
    restoration = lock_restoration(session, restoration.id)
    refuse_outdated(session, restoration.id, scene, seen)
    if take.spec["format"] != restoration.take_format:
        raise UsageError(
            f"take {take.take_key[:12]} has another size or pixel format than this restoration's "
            "takes; it can't be in the same master"
        )
    select_take(session, restoration.id, scene, take, decided_by=reviewer, rule=RULE_PERSON)
    record_review(
        session, restoration, scene, ReviewDecision.ACCEPT, take, reviewer=reviewer, reason=reason
    )
    session.flush()
    enqueue_assemble(session, restoration.id)
    if current_master(session, restoration.id) is not None:
        close_queued(session, restoration.id, (JobKind.ASSEMBLE,))
        master_stands(session, restoration.id)
    elif restoration.state is RestorationState.DONE:
        restoration.state = RestorationState.OPEN
        session.flush()


def record_review(
    session: Session,
    restoration: RestorationRow,
    scene: int,
    decision: ReviewDecision,
    take: TakeRow | None,
    *,
    reviewer: str,
    reason: str,
    said: Mapping[str, Any] | None = None,
) -> None:
    """Record what a person decided on a scene's take: a review of it, and an `appraisal` event.

    `said` is what the event tells besides, or otherwise. Without a take there is only the event.
    """
    if take is not None:
        session.add(
            ReviewRow(
                restoration_id=restoration.id, scene_number=scene, take_id=take.id,
                decision=decision, reason=reason, reviewer=reviewer,
            )
        )  # fmt: skip
    append(
        session,
        restoration_stream(restoration.id),
        EventType.APPRAISAL,
        film_id=restoration.film_id,
        agent=reviewer,
        detail={
            "scene": scene, "take_key": None if take is None else take.take_key,
            "decision": decision.value, "reason": reason, **(said or {}),
        },
    )  # fmt: skip


def chosen_by_person(session: Session, restoration_id: str, scene: int) -> int | None:
    """Return the id of the take that a person selected for a scene; None where a rule did, or nobody."""
    row = session.get(SelectionRow, (restoration_id, scene), populate_existing=True)
    return row.take_id if row is not None and row.rule == RULE_PERSON else None


def refuse_outdated(session: Session, restoration_id: str, scene: int, seen: str | None) -> None:
    """Raise OutdatedError unless the take that a person saw selected still is: the optimistic lock.

    `seen` is that take's key, "" for "no take was selected", None for "I did not look". The
    restoration has to be locked.
    """
    if seen is None:
        return
    take = selected_takes(session, restoration_id).get(scene)
    now = take.take_key if take is not None else ""
    if now != seen:
        there = f"take {now[:12]} is" if now else "no take is"
        raise OutdatedError(
            f"scene {scene}: {there} selected by now, somebody decided meanwhile; look again, then "
            "decide"
        )


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


def takes_of(
    session: Session, restoration: RestorationRow, scene: RestorationSceneRow
) -> list[TakeRow]:
    """Return every take that could stand for a scene in this restoration's master, oldest first."""
    takes = session.scalars(
        select(TakeRow)
        .where(
            TakeRow.film_id == restoration.film_id,
            TakeRow.start == scene.start,
            TakeRow.end == scene.end,
            TakeRow.state == TakeState.OK,
        )
        .order_by(TakeRow.made_at, TakeRow.id)
    )
    return [take for take in takes if take.spec["format"] == restoration.take_format]
