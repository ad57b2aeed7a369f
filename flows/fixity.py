"""Fixity: every object that the catalog names is hashed again, and every one that fails is an event.

To be run now and then (monthly, by prefect.yaml). A take that is not what it was is lost: it is nowhere
selected until it is made again, which the next `restar restore` or `restar bulk` does. What else is
altered is set aside, and found again by reading the film. A film all of whose objects are whole gets one
event that says so, with their count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.commits import mark_take_lost
from catalog.events import EventType, Outcome, append, film_stream, restoration_stream
from catalog.models import (
    FilmRow,
    MasterRow,
    MasterState,
    MeasureRow,
    RestorationRow,
    ScoreRow,
    TakeRow,
    TakeState,
)
from media.parts import film_files
from restar.errors import RestarError, StoreError
from restar.hashing import sha256_of_file
from restar.progress import Advance, track
from tasks.house import House
from tasks.step import step

__all__ = ["Audited", "Failed", "audit"]


@dataclass(frozen=True)
class Failed:
    """An object that is not what it was: of which film, what it is, and what is wrong."""

    film: str
    what: str
    reason: str


@dataclass
class Audited:
    """What an audit found: objects and bytes that were hashed, and those that failed."""

    objects: int = 0
    bytes: int = 0
    failed: list[Failed] = field(default_factory=list)


@dataclass(frozen=True)
class _Object:
    """A thing to be hashed: in the store by hash, or a file at a path. `take_key` if it is a take."""

    what: str
    sha256: str
    path: Path | None = None
    take_key: str = ""
    master_id: str = ""


def audit(house: House, film_ids: tuple[str, ...] = (), *, sources: bool = False) -> Audited:
    """Hash all that the catalog names of all films, or of some; with their source files if `sources`.

    A source that is not reachable from here is a failure too. Raises CatalogError.
    """
    found = Audited()
    with house.catalog.read() as session:
        films = list(session.scalars(select(FilmRow).order_by(FilmRow.registered_at, FilmRow.id)))
    for film in films:
        if not film_ids or film.id in film_ids:
            _film(house, film, found, sources, name=Path(film.paths[-1]).name)
    return found


@step("fixity of {name}")
def _film(house: House, film: FilmRow, found: Audited, sources: bool, *, name: str) -> None:
    with house.catalog.read() as session:
        objects = [*_objects(session, film), *(_sources(film) if sources else ())]
    failed, size = 0, found.bytes
    with track(f"fixity of {name}", "bytes", None) as advance:

        def counted(count: int) -> None:
            found.bytes += count
            advance(count)

        for one in objects:
            reason = _checked(house, one, counted)
            found.objects += 1
            if reason:
                failed += 1
                found.failed.append(Failed(name, one.what, reason))
                _tell_failure(house, film, one, reason)
    if not failed:
        with house.catalog.begin() as session:
            append(
                session,
                film_stream(film.id),
                EventType.FIXITY_CHECK,
                film_id=film.id,
                agent=house.who,
                detail={"objects": len(objects), "bytes": found.bytes - size, "sources": sources},
            )


def _objects(session: Session, film: FilmRow) -> Iterator[_Object]:
    """All that the store has to hold for a film, and the masters that stand; each once."""
    yield _Object("frame index", film.frame_index)
    marks = (film.media.get("measured") or {}).get("marks")
    if marks:
        yield _Object("marks of frames", marks)
    for kind, sha256 in session.execute(
        select(MeasureRow.kind, MeasureRow.series_sha256).where(MeasureRow.film_id == film.id)
    ):
        yield _Object(f"measure {kind}", sha256)
    takes = select(TakeRow).where(TakeRow.film_id == film.id, TakeRow.state == TakeState.OK)
    for take in session.scalars(takes.order_by(TakeRow.start, TakeRow.id)):
        name = f"take {take.take_key[:12]}"
        yield _Object(name, take.sha256, take_key=take.take_key)
        yield _Object(f"checksums of {name}", take.checksums_sha256, take_key=take.take_key)
        scores = select(ScoreRow.metric, ScoreRow.series_sha256).where(
            ScoreRow.take_id == take.id, ScoreRow.series_sha256.is_not(None)
        )
        for metric, series in session.execute(scores):
            yield _Object(f"scores {metric} of {name}", str(series))
    masters = (
        select(MasterRow)
        .join(RestorationRow, RestorationRow.id == MasterRow.restoration_id)
        .where(RestorationRow.film_id == film.id, MasterRow.state == MasterState.OK)
    )
    for master in session.scalars(masters.order_by(MasterRow.made_at, MasterRow.id)):
        path = Path(master.path)
        yield _Object(f"master {path.name}", master.sha256, path, master_id=master.id)


def _sources(film: FilmRow) -> Iterator[_Object]:
    path = Path(film.paths[-1])
    try:
        files = film_files(path).all
    except RestarError:
        files = (path,)
    for source, file in zip(film.to_manifest().sources, files, strict=False):
        yield _Object(f"source {source.name}", source.sha256, file)


def _checked(house: House, one: _Object, advance: Advance) -> str:
    """Return what is wrong with an object, "" for nothing."""
    try:
        if one.path is None:
            house.store.check(one.sha256, advance)
            return ""
        actual = sha256_of_file(one.path, advance)
    except StoreError as error:
        return str(error)
    except OSError as error:
        return f"{one.path}: can't be read ({error.strerror or error})"
    return "" if actual == one.sha256 else f"{one.path}: was altered since it was recorded"


def _tell_failure(house: House, film: FilmRow, one: _Object, reason: str) -> None:
    with house.catalog.begin() as session:
        if one.take_key:
            mark_take_lost(session, one.take_key, reason, agent=house.who)
            return
        stream = film_stream(film.id)
        if one.master_id:
            master = session.get_one(MasterRow, one.master_id, with_for_update=True)
            master.state = MasterState.LOST
            stream = restoration_stream(master.restoration_id)
        append(
            session,
            stream,
            EventType.FIXITY_CHECK,
            film_id=film.id,
            agent=house.who,
            outcome=Outcome.FAIL,
            detail={"what": one.what, "sha256": one.sha256, "reason": reason},
        )
