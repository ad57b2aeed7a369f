"""Films as the catalog knows them: registered once by content, found by path, accession or id.

A path is only where a film was last seen. The same file under another name is the same film, and a
path that holds another film now leads to that one.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, or_, select
from sqlalchemy.orm import Session

from catalog.events import EventType, append, film_stream
from catalog.models import FilmRow, MasterRow
from catalog.types import insert_missing, json_text, now, plain_text
from restar.errors import UsageError
from restar.film import FilmManifest

__all__ = [
    "LEAST_PREFIX",
    "film_by_id",
    "film_by_path",
    "find_film",
    "find_master",
    "register_film",
]

LEAST_PREFIX = 4
_HEX = frozenset("0123456789abcdef")


def register_film(
    session: Session,
    manifest: FilmManifest,
    *,
    media: dict[str, Any],
    frame_index: str,
    frames: int,
    paths: Sequence[Path | str],
    agent: str,
    software: str = "",
) -> FilmRow:
    """Record an ingested film; one that is known gets its new paths and the identifiers given.

    `media` holds what probing found, `frame_index` is the sha256 of the index in the store, `paths`
    are those of the sources or of their folder. The first time adds an `ingestion` event.
    """
    film_id = manifest.film_id
    names = asdict(manifest.identifiers)
    places = [str(Path(path).absolute()) for path in paths]
    values = {
        "id": film_id,
        "kind": manifest.kind,
        "manifest": asdict(manifest),
        **names,
        "media": media,
        "frame_index": frame_index,
        "frames": frames,
        "paths": places,
    }
    new = insert_missing(session, FilmRow, values, ["id"])
    row = session.get_one(FilmRow, film_id, populate_existing=True, with_for_update=True)
    if new:
        sources = [{"name": s.name, "sha256": s.sha256, "bytes": s.size} for s in manifest.sources]
        append(
            session,
            film_stream(film_id),
            EventType.INGESTION,
            film_id=film_id,
            agent=agent,
            software=software,
            detail={"kind": manifest.kind, "sources": sources, "frames": frames},
        )
    else:
        row.media, row.frame_index, row.frames, row.paths = media, frame_index, frames, places
        for name, value in names.items():
            if value:
                setattr(row, name, value)
        row.seen_at = now()
    session.flush()
    session.refresh(row)
    return row


def film_by_id(session: Session, film_id: str) -> FilmRow | None:
    """Return a film by its whole id."""
    return session.get(FilmRow, film_id)


def film_by_path(session: Session, path: Path) -> FilmRow | None:
    """Return the film that was last seen at a path."""
    entry = json_text(str(path.absolute()))
    return session.scalars(
        select(FilmRow)
        .where(cast(FilmRow.paths, Text).contains(entry, autoescape=True))
        .order_by(FilmRow.seen_at.desc(), FilmRow.id)
        .limit(1)
    ).first()


def find_film(session: Session, text: str) -> FilmRow:
    """Return the film that a person names by a path, an accession, or the beginning of its id.

    Raises UsageError, which lists the candidates if there are several.
    """
    at_path = film_by_path(session, Path(text)) if text else None
    if at_path is not None:
        return at_path
    where: list[ColumnElement[bool]] = [FilmRow.accession == text] if text else []
    if _is_prefix(text):
        where.append(FilmRow.id.startswith(text))
    films = (
        session.scalars(select(FilmRow).where(or_(*where)).order_by(FilmRow.id)).all()
        if where
        else []
    )
    if len(films) == 1:
        return films[0]
    if films:
        named = "; ".join(f"{f.id[:12]} {f.title or f.accession or f.paths[0]}" for f in films)
        raise UsageError(f"'{text}' names {len(films)} films, give more of the id: {named}")
    raise UsageError(
        f"'{text}': no such film in the catalog; give a path, an accession or the first "
        f"{LEAST_PREFIX} or more characters of an id (`restar status` lists the films)"
    )


def find_master(session: Session, text: str) -> MasterRow:
    """Return the master at a path (the newest there), or by the beginning of its id.

    Raises UsageError, which lists the candidates if there are several.
    """
    path = plain_text(str(Path(text).absolute()))
    newest = MasterRow.made_at.desc()
    at_path = session.scalars(
        select(MasterRow).where(MasterRow.path == path).order_by(newest).limit(1)
    ).first()
    if at_path is not None:
        return at_path
    masters = (
        session.scalars(
            select(MasterRow).where(MasterRow.id.startswith(text)).order_by(MasterRow.id)
        ).all()
        if _is_prefix(text)
        else []
    )
    if len(masters) == 1:
        return masters[0]
    if masters:
        named = "; ".join(f"{m.id[:12]} {m.path}" for m in masters)
        raise UsageError(f"'{text}' names {len(masters)} masters, give more of the id: {named}")
    raise UsageError(f"'{text}': no such master in the catalog; `restar status` lists the masters")


def _is_prefix(text: str) -> bool:
    return len(text) >= LEAST_PREFIX and set(text) <= _HEX
