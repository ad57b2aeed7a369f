"""Decisions of people who look at the same scene at the same time, none lost and none overwritten.

A page shows a scene as it was at one moment and carries a token of that (`seen_of`). A decision is
written only if the scene is still as it was seen, under the restoration's lock, in one transaction;
else OutdatedError says who did what meanwhile, and the person looks again.
"""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.base import JobKind, RestorationState, ReviewDecision
from catalog.jobs import close_queued
from catalog.models import (
    RestorationRow,
    ReviewRow,
    SelectionRow,
    TakeRow,
    TakeState,
)
from catalog.redo import Wish, redo
from catalog.restorations import lock_restoration, restoration_scene
from catalog.reviews import accept_take, record_review
from restar.errors import OutdatedError, UsageError
from restar.hashing import sha256_of

__all__ = ["accept", "ask_again", "check_seen", "reject", "seen_of"]

LONGEST_REASON = 4000
PRIORITY = 10
"""Of what a person asked for on a page, and so perhaps waits for."""


def seen_of(session: Session, restoration_id: str, number: int) -> str:
    """Return a token of all that a decision about a scene rests on, as it is now."""
    scene = restoration_scene(session, restoration_id, number)
    selection = session.get(SelectionRow, (restoration_id, number), populate_existing=True)
    review = _last_review(session, restoration_id, number)
    chosen = None if selection is None else [
        selection.take_id, selection.rule, selection.decided_by, selection.selected_at.isoformat()
    ]  # fmt: skip
    return sha256_of(
        [scene.wanted_take_key, scene.overrides, chosen, review.id if review else None]
    )[:32]


def check_seen(session: Session, restoration_id: str, number: int, seen: str) -> RestorationRow:
    """Hold a restoration; raise OutdatedError unless a scene is as it was seen."""
    restoration = lock_restoration(session, restoration_id)
    if seen_of(session, restoration_id, number) != seen:
        raise OutdatedError(
            f"scene {number} is not as you saw it: {_what_happened(session, restoration_id, number)}. "
            "Nothing of yours was written; look again and decide"
        )
    return restoration


def accept(
    session: Session,
    restoration_id: str,
    number: int,
    take_id: int,
    *,
    seen: str,
    reviewer: str,
    reason: str = "",
) -> None:
    """Choose a take for a scene, by a person; the assembly follows where that was all it waited for.

    Raises OutdatedError as `check_seen`, UsageError for a take that is not of this scene.
    """
    restoration = check_seen(session, restoration_id, number, seen)
    take = _take_of(session, restoration, number, take_id)
    accept_take(
        session, restoration, number, take, reviewer=reviewer, reason=reason[:LONGEST_REASON]
    )


def reject(
    session: Session,
    restoration_id: str,
    number: int,
    take_id: int,
    *,
    seen: str,
    reviewer: str,
    reason: str,
) -> None:
    """Say no to a take, with a reason. Where it was chosen the scene waits for another one.

    No rule selects it again in this scene; a person may. Raises as `accept`, and UsageError without a
    reason.
    """
    if not reason.strip():
        raise UsageError("a rejection needs a reason: others will want to know why")
    restoration = check_seen(session, restoration_id, number, seen)
    take = _take_of(session, restoration, number, take_id)
    gone = session.execute(
        delete(SelectionRow)
        .where(
            SelectionRow.restoration_id == restoration_id,
            SelectionRow.scene_number == number,
            SelectionRow.take_id == take.id,
        )
        .returning(SelectionRow.take_id)
    ).first()
    if gone is not None:
        restoration.state = RestorationState.OPEN
        close_queued(session, restoration_id, (JobKind.ASSEMBLE,))
    record_review(
        session, restoration, number, ReviewDecision.REJECT, take,
        reviewer=reviewer, reason=reason[:LONGEST_REASON],
    )  # fmt: skip
    session.flush()
    session.expire_all()


def ask_again(
    session: Session,
    restoration_id: str,
    number: int,
    wish: Wish,
    *,
    seen: str,
    reviewer: str,
    reason: str = "",
    max_attempts: int = 3,
) -> None:
    """Ask for another take of a scene, as `restar redo` does: the wish and its job in one transaction.

    The job comes before those that nobody waits for. Raises OutdatedError as `check_seen`.
    """
    check_seen(session, restoration_id, number, seen)
    redo(
        session, restoration_id, {number: None}, wish, reviewer=reviewer,
        reason=reason[:LONGEST_REASON], priority=PRIORITY, max_attempts=max_attempts,
    )  # fmt: skip


def _take_of(session: Session, restoration: RestorationRow, number: int, take_id: int) -> TakeRow:
    scene = restoration_scene(session, restoration.id, number)
    take = session.get(TakeRow, take_id, populate_existing=True)
    if (
        take is None
        or take.state is not TakeState.OK
        or (take.film_id, take.start, take.end) != (restoration.film_id, scene.start, scene.end)
    ):
        raise UsageError(f"take {take_id} is not one of scene {number} (any more)")
    return take


def _last_review(session: Session, restoration_id: str, number: int) -> ReviewRow | None:
    return session.scalars(
        select(ReviewRow)
        .where(ReviewRow.restoration_id == restoration_id, ReviewRow.scene_number == number)
        .order_by(ReviewRow.id.desc())
        .limit(1)
    ).first()


def _what_happened(session: Session, restoration_id: str, number: int) -> str:
    review = _last_review(session, restoration_id, number)
    selection = session.get(SelectionRow, (restoration_id, number))
    if review is not None and (
        selection is None or review.reviewed_at >= selection.selected_at
        or selection.decided_by == review.reviewer
    ):  # fmt: skip
        done = {"accept": "accepted", "reject": "rejected"}[review.decision.value]
        reason = f" (“{review.reason}”)" if review.reason else ""
        return f"{review.reviewer} {done} a take of it at {review.reviewed_at:%H:%M:%S}{reason}"
    if selection is not None:
        return f"{selection.decided_by} chose another take at {selection.selected_at:%H:%M:%S}"
    return "another take is wanted by now"
