"""Captions and measures of films: kept by film, range and who made them, for every restoration to use.

So the same film, scene and captioner revision is never captioned twice, whatever recipe asks, and an
edited shot list finds the captions of the scenes that it left alone. What a person wrote stands before
what any captioner says.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.models import CaptionRow, MeasureRow
from catalog.types import insert_missing, now, plain_text
from restar.timeline import FrameRange

__all__ = [
    "PERSON",
    "clear_person",
    "find_caption",
    "find_measure",
    "forget_caption",
    "person_caption",
    "record_caption",
    "record_measure",
]

PERSON = "person"  # the revision of a caption that somebody wrote


def record_measure(
    session: Session, film_id: str, kind: str, algorithm: int, series_sha256: str
) -> None:
    """Record where in the store a film's measured series lies; a newer one takes its place."""
    key = {"film_id": film_id, "kind": kind, "algorithm": algorithm}
    if not insert_missing(session, MeasureRow, {**key, "series_sha256": series_sha256}, list(key)):
        row = session.get_one(MeasureRow, tuple(key.values()))
        row.series_sha256, row.measured_at = series_sha256, now()
        session.flush()


def find_measure(session: Session, film_id: str, kind: str, algorithm: int) -> str | None:
    """Return the hash of a film's series by a kind and version of measure."""
    row = session.get(MeasureRow, (film_id, kind, algorithm))
    return row.series_sha256 if row else None


def record_caption(
    session: Session,
    film_id: str,
    frames: FrameRange,
    revision: str,
    text: str,
    *,
    captioner: str,
    made_by: str,
    detail: Mapping[str, Any] | None = None,
) -> CaptionRow:
    """Record the caption of a scene by a captioner's revision; the one that is there already stays.

    `PERSON` as revision: a person's, which replaces an earlier one.
    """
    key = {
        "film_id": film_id, "start": frames.start, "end": frames.end, "revision": revision,
    }  # fmt: skip
    values = {
        "captioner": captioner,
        "text": plain_text(text),
        "detail": dict(detail or {}),
        "made_by": made_by,
    }
    new = insert_missing(session, CaptionRow, {**key, **values}, list(key))
    row = session.get_one(CaptionRow, tuple(key.values()), populate_existing=True)
    if not new and revision == PERSON:
        for name, value in values.items():
            setattr(row, name, value)
        row.made_at = now()
        session.flush()
        session.refresh(row)
    return row


def find_caption(
    session: Session, film_id: str, frames: FrameRange, revision: str
) -> CaptionRow | None:
    """Return what a captioner's revision said of a scene."""
    return session.get(CaptionRow, (film_id, frames.start, frames.end, revision))


def person_caption(session: Session, film_id: str, frames: FrameRange) -> CaptionRow | None:
    """Return what a person wrote of a scene, which stands before any captioner."""
    return find_caption(session, film_id, frames, PERSON)


def clear_person(session: Session, film_id: str, frames: FrameRange) -> bool:
    """Remove a person's caption of a scene; whether there was one."""
    return forget_caption(session, film_id, frames, PERSON)


def forget_caption(session: Session, film_id: str, frames: FrameRange, revision: str) -> bool:
    """Remove a caption, so that the scene is captioned again; whether there was one."""
    row = session.scalars(
        select(CaptionRow).filter_by(
            film_id=film_id, start=frames.start, end=frames.end, revision=revision
        )
    ).first()
    if row is None:
        return False
    session.execute(
        delete(CaptionRow).where(
            CaptionRow.film_id == film_id,
            CaptionRow.start == frames.start,
            CaptionRow.end == frames.end,
            CaptionRow.revision == revision,
        )
    )
    session.expire_all()
    return True
