"""Scoring takes that are there: on a person's word, outside the queue, with whichever measures.

Flags of the restorations that want a take follow from all its scores that are recorded, so a new
measure adds to them and takes none away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.commits import record_scores, scores_of
from catalog.films import LEAST_PREFIX, find_film
from catalog.models import (
    RestorationRow,
    RestorationSceneRow,
    SelectionRow,
    TakeRow,
    TakeState,
)
from catalog.restorations import (
    find_take,
    recipe_of,
    restoration_scenes,
    restorations_of,
    selected_takes,
)
from restar.errors import UsageError
from restar.progress import track
from restar.recipe import Score
from scorers import ScoreSeries, scorer
from tasks.guard import FLAG as GUARD
from tasks.house import House, open_film
from tasks.score import (
    Scored,
    check_scoring,
    flags_of,
    new_scores,
    score_take,
    series_from,
)

__all__ = ["ScoredTake", "score_named", "takes_named"]


@dataclass(frozen=True)
class ScoredTake:
    """A take that was scored: for which scenes of which restorations, and what they are flagged for."""

    take: TakeRow
    scored: list[Scored]
    scenes: list[RestorationSceneRow]
    flags: list[str]


def score_named(
    house: House, name: str, metrics: Sequence[str] = (), *, again: bool = False
) -> list[ScoredTake]:
    """Score a take, or all selected takes of a film; without `metrics` by their recipes.

    What was measured is taken from the catalog unless `again`. Raises UsageError for a name that is
    unknown, PluginError or CheckpointError for a measure that can't run here.
    """
    check_scoring(Score(scorers=tuple(metrics)))
    with house.catalog.read() as session:
        takes = takes_named(session, name)
        wanting = {take.id: _wanting(session, take) for take in takes}
        wanted = {take.id: _wanted(session, wanting[take.id], metrics) for take in takes}
    for one in dict.fromkeys(n for w in wanted.values() for n in w.scorers):
        member = scorer(one)
        if member.about.files or not member.about.commercial_use:
            film = takes[0].film_id
            video = open_film(house, film).info.format
            member.start(video, video)  # what is missing is told before any work
    done = []
    with track("scoring", "takes", len(takes)) as advance:
        for take in takes:
            done.append(_score(house, take, wanting[take.id], wanted[take.id], again))
            advance(1)
    return done


def takes_named(session: Session, name: str) -> list[TakeRow]:
    """Return a film's selected takes (by path, accession or id), or the take of a key's beginning."""
    try:
        film = find_film(session, name)
    except UsageError as error:
        take = _take(session, name)
        if take is None:
            raise UsageError(f"{error}; and no take's key begins so") from None
        return [take]
    takes = {}
    for restoration in restorations_of(session, film.id):
        selected = selected_takes(session, restoration.id)
        for scene in restoration_scenes(session, restoration.id):
            take = selected.get(scene.number) or find_take(session, scene.wanted_take_key or "")
            if take is not None:  # selected, or waiting for a person
                takes[take.id] = take
    if not takes:
        raise UsageError(f"{name}: has no take yet; `restar restore` makes them")
    return sorted(takes.values(), key=lambda take: (take.start, take.id))


def _take(session: Session, prefix: str) -> TakeRow | None:
    if len(prefix) < LEAST_PREFIX:
        return None
    query = select(TakeRow).where(
        TakeRow.take_key.startswith(prefix, autoescape=True), TakeRow.state == TakeState.OK
    )
    rows = session.scalars(query.limit(2)).all()
    if len(rows) > 1:
        raise UsageError(f"{prefix}: several takes' keys begin so; write more of it")
    return rows[0] if rows else None


def _wanting(session: Session, take: TakeRow) -> list[RestorationSceneRow]:
    """The scenes that this take stands for (selected, or wanted and nothing is), newest last."""
    query = (
        select(RestorationSceneRow)
        .outerjoin(
            SelectionRow,
            (SelectionRow.restoration_id == RestorationSceneRow.restoration_id)
            & (SelectionRow.scene_number == RestorationSceneRow.number),
        )
        .where(
            (SelectionRow.take_id == take.id)
            | SelectionRow.take_id.is_(None)
            & (RestorationSceneRow.wanted_take_key == take.take_key)
        )
        .join(RestorationRow, RestorationRow.id == RestorationSceneRow.restoration_id)
        .order_by(RestorationRow.opened_at, RestorationRow.id, RestorationSceneRow.number)
    )
    return list(session.scalars(query))


def _wanted(
    session: Session, scenes: Sequence[RestorationSceneRow], metrics: Sequence[str]
) -> Score:
    """What to measure, and the limits: those of the newest restoration that wants the take."""
    score = Score()
    if scenes:
        row = session.get_one(RestorationRow, scenes[-1].restoration_id)
        score = recipe_of(session, row).score
    return score.model_copy(update={"scorers": tuple(metrics) or score.scorers})


def _score(
    house: House,
    take: TakeRow,
    scenes: list[RestorationSceneRow],
    wanted: Score,
    again: bool,
) -> ScoredTake:
    film = open_film(house, take.film_id)
    number = scenes[0].number if scenes else 0
    with house.catalog.read() as session:
        known = scores_of(session, take)
    scored = score_take(house, film, take, wanted, number=number, known=() if again else known)
    names = {one.metric for one in scored}

    def series() -> Iterator[ScoreSeries]:
        yield from (one.series for one in scored)
        earlier = (series_from(house, row) for row in known if row.metric not in names)
        yield from (one for one in earlier if one is not None)

    flags: list[str] = []
    with house.catalog.begin() as session:
        record_scores(session, take, new_scores(scored))
        for scene in scenes:
            row = session.get_one(RestorationSceneRow, (scene.restoration_id, scene.number))
            restoration = session.get_one(RestorationRow, scene.restoration_id)
            guarded = [flag for flag in row.flags if flag.startswith(GUARD)]
            limits = recipe_of(session, restoration).score
            flags = row.flags = [*flags_of(series(), limits, take.start), *guarded]
    if not scenes:
        flags = flags_of(series(), wanted, take.start)
    return ScoredTake(take, scored, scenes, flags)
