"""What is under way and what is done: the figures of `restar status`, counted by the database.

A fixed number of queries, however many films there are; they read one moment and wait for no writer.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from catalog.models import (
    FilmRow,
    JobRow,
    JobState,
    MasterRow,
    MasterState,
    RecipeRow,
    RestorationRow,
    RestorationSceneRow,
    ScoreRow,
    SelectionRow,
    TakeRow,
    TakeState,
)

__all__ = ["scene_table", "status"]

Counts = dict[str, int]


def status(session: Session, film_id: str | None = None) -> dict[str, Any]:
    """Return the state of all films, or of one, as plain data.

    {"films": [{"film", "scenes", "takes_done", "jobs": {state: n}, "flags", "masters",
    "restorations": [{"id", "recipe", "scenes", "takes_done", "masters"}]}]}: "film" is the film's
    id, "takes_done" counts scenes whose selected take is there, "flags" counts flagged scenes, and
    "masters" are paths. A film's figures are sums over its restorations.
    """
    films = select(FilmRow.id).order_by(FilmRow.registered_at, FilmRow.id)
    if film_id is not None:
        films = films.where(FilmRow.id == film_id)
    scenes, takes, flags = _scenes(session), _takes(session), _flags(session)
    masters, jobs = _masters(session), _jobs(session)
    by_film: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for restoration_id, owner, recipe in session.execute(
        select(RestorationRow.id, RestorationRow.film_id, RecipeRow.name)
        .join(RecipeRow, RecipeRow.sha256 == RestorationRow.recipe_sha256)
        .order_by(RestorationRow.opened_at, RestorationRow.id)
    ):
        by_film[owner].append(
            {
                "id": restoration_id,
                "recipe": recipe,
                "scenes": scenes.get(restoration_id, 0),
                "takes_done": takes.get(restoration_id, 0),
                "masters": masters[restoration_id],
            }
        )
    return {
        "films": [_film(film, by_film[film], jobs, flags) for film in session.scalars(films).all()]
    }


def scene_table(session: Session, restoration_id: str) -> list[dict[str, Any]]:
    """Return a restoration scene by scene: its frames, selected take, scores, flags, last error."""
    rows = session.execute(
        select(RestorationSceneRow, TakeRow)
        .outerjoin(
            SelectionRow,
            (SelectionRow.restoration_id == RestorationSceneRow.restoration_id)
            & (SelectionRow.scene_number == RestorationSceneRow.number),
        )
        .outerjoin(TakeRow, (TakeRow.id == SelectionRow.take_id) & (TakeRow.state == TakeState.OK))
        .where(RestorationSceneRow.restoration_id == restoration_id)
        .order_by(RestorationSceneRow.number)
    )
    found = list(rows)
    scores = _scores(session, [take.id for _, take in found if take is not None])
    errors = _errors(session, restoration_id)
    return [
        {
            "scene": scene.number,
            "start": scene.start,
            "end": scene.end,
            "take_key": take.take_key if take else None,
            "sha256": take.sha256 if take else None,
            "bytes": take.bytes if take else None,
            "seconds": take.seconds if take else None,
            "overrides": scene.overrides,
            "caption": scene.caption,
            "prompt": scene.prompt,
            "scores": scores[take.id] if take else {},
            "flags": scene.flags,
            "error": errors.get(scene.number),
        }
        for scene, take in found
    ]


def _film(
    film_id: str, restorations: list[dict[str, Any]], jobs: dict[str, Counts], flags: Counts
) -> dict[str, Any]:
    ids = [r["id"] for r in restorations]
    return {
        "film": film_id,
        "scenes": sum(r["scenes"] for r in restorations),
        "takes_done": sum(r["takes_done"] for r in restorations),
        "jobs": {state.value: sum(jobs[i].get(state, 0) for i in ids) for state in JobState},
        "flags": sum(flags.get(i, 0) for i in ids),
        "masters": [path for r in restorations for path in r["masters"]],
        "restorations": restorations,
    }


def _scenes(session: Session) -> Counts:
    column = RestorationSceneRow.restoration_id
    return dict(session.execute(select(column, func.count()).group_by(column)).all())


def _takes(session: Session) -> Counts:
    query = (
        select(SelectionRow.restoration_id, func.count())
        .join(TakeRow, TakeRow.id == SelectionRow.take_id)
        .where(TakeRow.state == TakeState.OK)
        .group_by(SelectionRow.restoration_id)
    )
    return dict(session.execute(query).all())


def _flags(session: Session) -> Counts:
    column = RestorationSceneRow.restoration_id
    flagged = cast(RestorationSceneRow.flags, Text) != "[]"
    return dict(session.execute(select(column, func.count()).where(flagged).group_by(column)).all())


def _masters(session: Session) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = defaultdict(list)
    for restoration_id, path in session.execute(
        select(MasterRow.restoration_id, MasterRow.path)
        .where(MasterRow.state == MasterState.OK)
        .order_by(MasterRow.made_at, MasterRow.id)
    ):
        paths[restoration_id].append(path)
    return paths


def _jobs(session: Session) -> dict[str, Counts]:
    counts: dict[str, Counts] = defaultdict(dict)
    for restoration_id, state, count in session.execute(
        select(JobRow.restoration_id, JobRow.state, func.count())
        .where(JobRow.restoration_id.is_not(None))
        .group_by(JobRow.restoration_id, JobRow.state)
    ):
        if restoration_id is not None:
            counts[restoration_id][state] = count
    return counts


def _scores(session: Session, take_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    scores: dict[int, dict[str, Any]] = defaultdict(dict)
    for score in session.scalars(
        select(ScoreRow).where(ScoreRow.take_id.in_(take_ids)).order_by(ScoreRow.algorithm)
    ):
        scores[score.take_id][score.metric] = score.summary
    return scores


def _errors(session: Session, restoration_id: str) -> dict[int, str]:
    rows = session.execute(
        select(JobRow.scene_number, JobRow.error)
        .where(JobRow.restoration_id == restoration_id, JobRow.state == JobState.FAILED)
        .order_by(JobRow.id)
    )
    return {number: error or "" for number, error in rows if number is not None}
