"""Shot lists: the scenes of a film, in versions. A version never changes; an edit makes the next one.

A restoration names the version that it was made with, so yesterday's master can still be explained
after today's edit.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog.events import EventType, append, film_stream
from catalog.models import FilmRow, SceneRow, ShotListRow
from restar.errors import OutdatedError, UsageError
from restar.film import Scene

__all__ = [
    "edit_shot_list",
    "latest_shot_list",
    "save_shot_list",
    "scenes_of",
    "shot_list_by_version",
    "shot_lists_of",
    "undo_edit",
]


def save_shot_list(
    session: Session,
    film_id: str,
    scenes: Sequence[Scene],
    *,
    detector: str,
    parameters: dict[str, Any],
    made_by: str,
    note: str = "",
    parent: int | None = None,
    field_handling: str = "none",
) -> ShotListRow:
    """Record scenes as the next version of a film's shot list.

    `parent` is the id of the shot list that was edited. Raises UsageError unless the scenes are
    numbered from 1 and cover the film's frames without gap or overlap (where fields are handled,
    the derived timeline may be of another length).
    """
    film = session.get_one(FilmRow, film_id, with_for_update=True)  # one new version at a time
    _check(scenes)
    if field_handling == "none" and scenes[-1].end != film.frames:
        raise UsageError(
            f"the last scene ends at frame {scenes[-1].end}, but the film has {film.frames} frames"
        )
    newest = session.scalar(
        select(func.max(ShotListRow.version)).where(ShotListRow.film_id == film_id)
    )
    row = ShotListRow(
        film_id=film_id,
        version=(newest or 0) + 1,
        detector=detector,
        parameters=parameters,
        parent_id=parent,
        note=note,
        made_by=made_by,
        field_handling=field_handling,
    )
    session.add(row)
    session.flush()
    session.add_all(
        SceneRow(shot_list_id=row.id, number=s.number, start=s.start, end=s.end) for s in scenes
    )
    session.flush()
    session.refresh(row)
    return row


def latest_shot_list(session: Session, film_id: str) -> ShotListRow | None:
    """Return the newest version of a film's shot list."""
    return session.scalars(
        select(ShotListRow)
        .where(ShotListRow.film_id == film_id)
        .order_by(ShotListRow.version.desc())
        .limit(1)
    ).first()


def shot_list_by_version(session: Session, film_id: str, version: int) -> ShotListRow:
    """Return one version of a film's shot list; raise UsageError if there is none."""
    row = session.scalars(
        select(ShotListRow).where(ShotListRow.film_id == film_id, ShotListRow.version == version)
    ).first()
    if row is None:
        newest = latest_shot_list(session, film_id)
        known = f"the newest is {newest.version}" if newest else "it has none yet"
        raise UsageError(f"film {film_id[:12]} has no shot list {version}; {known}")
    return row


def scenes_of(session: Session, shot_list_id: int) -> tuple[Scene, ...]:
    """Return the scenes of a shot list, in order."""
    rows = session.scalars(
        select(SceneRow).where(SceneRow.shot_list_id == shot_list_id).order_by(SceneRow.number)
    )
    return tuple(Scene(row.number, row.start, row.end) for row in rows)


def edit_shot_list(
    session: Session,
    film_id: str,
    seen: int,
    change: Callable[[list[Scene]], list[Scene]],
    *,
    how: str,
    made_by: str,
    note: str = "",
) -> ShotListRow:
    """Save what `change` makes of a film's newest scenes as its next version, with an event.

    `seen` is the version that the person saw: OutdatedError is raised where there is a newer one.
    """
    before = _as_seen(session, film_id, seen)
    scenes = change(list(scenes_of(session, before.id)))
    return _save_edit(session, before, scenes, how, made_by, note)


def undo_edit(session: Session, film_id: str, seen: int, *, made_by: str) -> ShotListRow:
    """Bring the scenes back that a film had before its newest edit, as its next version.

    Raises OutdatedError as `edit_shot_list`, UsageError where nothing was edited.
    """
    before = _as_seen(session, film_id, seen)
    if before.parent_id is None:
        raise UsageError(f"shot list {before.version} was not made by an edit: nothing to undo")
    scenes = list(scenes_of(session, before.parent_id))
    how = f"undo of version {before.version}"
    return _save_edit(session, before, scenes, how, made_by, "")


def shot_lists_of(session: Session, film_id: str) -> list[ShotListRow]:
    """Return every version of a film's shot list, newest first."""
    return list(
        session.scalars(
            select(ShotListRow)
            .where(ShotListRow.film_id == film_id)
            .order_by(ShotListRow.version.desc())
        )
    )


def _as_seen(session: Session, film_id: str, seen: int) -> ShotListRow:
    session.get_one(FilmRow, film_id, with_for_update=True)  # one new version at a time
    newest = latest_shot_list(session, film_id)
    if newest is None or newest.version != seen:
        by = f"{newest.made_by} made version {newest.version}" if newest else "there is none"
        raise OutdatedError(
            f"the shot list is not as you saw it: {by}. Nothing of yours was written; look again"
        )
    return newest


def _save_edit(
    session: Session,
    before: ShotListRow,
    scenes: list[Scene],
    how: str,
    made_by: str,
    note: str,
) -> ShotListRow:
    row = save_shot_list(
        session, before.film_id, scenes, detector="by hand", parameters={"edit": how},
        made_by=made_by, note=note, parent=before.id, field_handling=before.field_handling,
    )  # fmt: skip
    append(
        session,
        film_stream(before.film_id),
        EventType.METADATA_MODIFICATION,
        film_id=before.film_id,
        agent=made_by,
        detail={"shot_list": row.version, "before": before.version, "edit": how, "note": note},
    )
    return row


def _check(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise UsageError("a shot list needs a scene")
    if [scene.number for scene in scenes] != list(range(1, len(scenes) + 1)):
        raise UsageError("the scenes of a shot list are numbered 1, 2, 3, ...")
    for scene in scenes:
        if scene.end <= scene.start:
            raise UsageError(f"scene {scene.number} holds no frame")
    for before, after in pairwise(scenes):
        if before.end != after.start:
            raise UsageError(
                f"scene {before.number} ends at frame {before.end}, but scene {after.number} begins "
                f"at {after.start}: they have to meet"
            )
    if scenes[0].start != 0:
        raise UsageError(f"the first scene begins at frame {scenes[0].start}, not 0")
