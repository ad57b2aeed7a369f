"""The life of takes: which files may go, and which must not.

A take stands for ever in the catalog, with its spec, hashes and events; its file may be dropped where
nothing rests on it, and is then made again, the same, should anybody want it. Never dropped is what is
selected or wanted in any restoration, what stands in a master that is there, what a scene has to choose
from (a second try, the plain resize of a flagged scene), what a person once chose, anything of a
film with a restoration under way, and anything of a film on hold.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from catalog.events import EventType, append, film_stream
from catalog.models import (
    EventRow,
    FilmRow,
    JobRow,
    MasterRow,
    MasterState,
    MasterTakeRow,
    ProxyRow,
    RestorationRow,
    RestorationSceneRow,
    RestorationState,
    ReviewDecision,
    ReviewRow,
    ScoreRow,
    SelectionRow,
    TakeRow,
    TakeState,
)
from catalog.types import now

__all__ = ["Dropped", "drop_take", "droppable", "kept_bytes", "left_behind", "set_hold"]


@dataclass(frozen=True)
class Dropped:
    """A take that was dropped, and the objects that no row names any more."""

    take_key: str
    bytes: int
    objects: tuple[str, ...]


def droppable(
    session: Session, *, older_than_s: float, film_id: str | None = None
) -> list[TakeRow]:
    """Return the takes whose files may go, oldest first, made longer ago than `older_than_s`."""
    at_work = select(RestorationRow.film_id).where(RestorationRow.state == RestorationState.OPEN)
    held = select(FilmRow.id).where(FilmRow.hold != "")
    in_masters = (
        select(MasterTakeRow.take_id)
        .join(MasterRow, MasterRow.id == MasterTakeRow.master_id)
        .where(MasterRow.state == MasterState.OK)
    )
    chosen = select(ReviewRow.take_id).where(ReviewRow.decision == ReviewDecision.ACCEPT)
    wanted = select(RestorationSceneRow.wanted_take_key).where(
        RestorationSceneRow.wanted_take_key.is_not(None)
    )
    query = (
        select(TakeRow)
        .where(
            TakeRow.state == TakeState.OK,
            TakeRow.made_at < now(-older_than_s),
            TakeRow.film_id.not_in(at_work),
            TakeRow.film_id.not_in(held),
            TakeRow.id.not_in(select(SelectionRow.take_id)),
            TakeRow.id.not_in(chosen),
            TakeRow.id.not_in(in_masters),
            TakeRow.take_key.not_in(wanted),
        )
        .order_by(TakeRow.made_at, TakeRow.id)
    )
    if film_id is not None:
        query = query.where(TakeRow.film_id == film_id)
    found = session.scalars(query).all()
    beside = _beside(session, {take.film_id for take in found})
    return [take for take in found if take.take_key not in beside]


def drop_take(
    session: Session, take_key: str, *, agent: str, older_than_s: float
) -> Dropped | None:
    """Record that a take's file is dropped, as a `deletion` event; None if it may not go any more.

    Its proxy goes with it: it would show what is not there. The objects are to be removed from the store
    after the transaction: what is left behind by a crash in between is found by `left_behind`.
    """
    take = session.scalars(
        select(TakeRow).where(TakeRow.take_key == take_key).with_for_update()
    ).one()
    # nobody may begin to use it between the question and the answer
    session.execute(
        select(RestorationRow.id)
        .where(RestorationRow.film_id == take.film_id)
        .order_by(RestorationRow.id)
        .with_for_update()
    ).all()
    if take.id not in {
        one.id for one in droppable(session, older_than_s=older_than_s, film_id=take.film_id)
    }:
        return None
    take.state, take.dropped_at = TakeState.LOST, now()
    session.flush()
    proxy = session.execute(
        delete(ProxyRow)
        .where(ProxyRow.of == f"take:{take_key}")
        .returning(ProxyRow.sha256, ProxyRow.index_sha256)
    ).first()
    shown = [] if proxy is None else list(proxy)
    append(
        session,
        film_stream(take.film_id),
        EventType.DELETION,
        film_id=take.film_id,
        agent=agent,
        detail={
            "take_key": take.take_key,
            "sha256": take.sha256,
            "bytes": take.bytes,
            "frames": [take.start, take.end],
            **({"proxy": shown} if shown else {}),
        },
    )
    objects = (*_unnamed(session, take), *_unshown(session, shown))
    return Dropped(take.take_key, take.bytes, objects)


def left_behind(session: Session) -> list[str]:
    """Return the objects of takes that were dropped, which no row names any more."""
    dropped = select(TakeRow).where(TakeRow.dropped_at.is_not(None), TakeRow.state != TakeState.OK)
    found = [one for take in session.scalars(dropped) for one in _unnamed(session, take)]
    told = select(EventRow.detail).where(EventRow.type == EventType.DELETION)
    shown = {one for detail in session.scalars(told) for one in detail.get("proxy", ())}
    return [*found, *_unshown(session, shown)]


def kept_bytes(session: Session) -> int:
    """Return the bytes of all takes that are there."""
    query = select(func.coalesce(func.sum(TakeRow.bytes), 0)).where(TakeRow.state == TakeState.OK)
    return int(session.execute(query).scalar_one())


def set_hold(session: Session, film_id: str, reason: str, *, agent: str) -> None:
    """Put a film on hold, or take the hold off ("" as `reason`); a `policy assignment` event."""
    film = session.get_one(FilmRow, film_id, with_for_update=True)
    before, film.hold = film.hold, reason
    session.flush()
    append(
        session,
        film_stream(film_id),
        EventType.POLICY_ASSIGNMENT,
        film_id=film_id,
        agent=agent,
        detail={"hold": reason, "before": before},
    )


def _beside(session: Session, film_ids: set[str]) -> set[str]:
    """The takes that scenes of these films have to choose from, besides the wanted one."""
    rows = session.execute(
        select(JobRow.payload, RestorationSceneRow.wanted_take_key)
        .join(
            RestorationSceneRow,
            (RestorationSceneRow.restoration_id == JobRow.restoration_id)
            & (RestorationSceneRow.number == JobRow.scene_number),
        )
        .where(JobRow.film_id.in_(film_ids))
    )
    return {
        payload["take_key"]
        for payload, wanted in rows
        if payload.get("role") and payload.get("beside") == wanted
    }


def _unnamed(session: Session, take: TakeRow) -> tuple[str, ...]:
    """The objects of a take that no other row names: two takes may be the same bytes."""
    own = {take.sha256, take.checksums_sha256}
    others = session.execute(
        select(TakeRow.sha256, TakeRow.checksums_sha256).where(
            TakeRow.state == TakeState.OK,
            or_(TakeRow.sha256.in_(own), TakeRow.checksums_sha256.in_(own)),
        )
    )
    named = {one for row in others for one in row}
    named |= set(
        session.scalars(select(ScoreRow.series_sha256).where(ScoreRow.series_sha256.in_(own)))
    )
    return tuple(sorted(own - named))


def _unshown(session: Session, objects: Collection[str]) -> list[str]:
    """Those of some objects of proxies that no proxy is made of."""
    named: set[str] = set()
    for column in (ProxyRow.sha256, ProxyRow.index_sha256):
        named |= set(session.scalars(select(column).where(column.in_(objects))))
    return sorted(set(objects) - named)
