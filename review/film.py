"""A film: its timeline, its scenes before and after, its shot list, its masters."""

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.browse import film_cards, film_name, film_rate
from catalog.closeup import FilmSheet, film_sheet, masters_of, restoration_by_id
from catalog.models import (
    FilmRow,
    ScoreRow,
    SelectionRow,
    TakeRow,
)
from catalog.restorations import recipe_of, restorations_of
from catalog.shots import (
    edit_shot_list,
    latest_shot_list,
    scenes_of,
    shot_lists_of,
    undo_edit,
)
from restar.errors import UsageError
from restar.film import Scene
from restar.recipe import STANDARD_SCORERS
from review.drawings import scene_strip
from review.look import aspect_of, seams_of
from review.media import files_of_master
from review.page import form_of, house_of, render, who, whole
from review.rights import may_download
from scorers.flags import RULES, find_flags
from tasks.charts import SceneSeries, timeline
from tasks.score import series_from
from tasks.shots import merged, split_at

__all__ = ["router"]

router = APIRouter()
Sha = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.get("/film/{film_id}")
def film(request: Request, film_id: Sha) -> Response:
    """Lead to the film's newest restoration, or show a film that has none."""
    with house_of(request).catalog.read() as session:
        row = session.get(FilmRow, film_id)
        if row is None:
            raise UsageError(f"there is no film {film_id[:12]} in the catalog")
        found = restorations_of(session, film_id)
        cards = film_cards(session, [film_id])
    if found:
        return RedirectResponse(f"/r/{found[-1].id}/", 307)
    return render(request, "unrestored.html", card=cards[0])


@router.get("/r/{restoration_id}/")
def restoration(request: Request, restoration_id: Sha) -> Response:

    with house_of(request).catalog.read() as session:
        sheet = film_sheet(session, restoration_id)
        card = film_cards(session, [sheet.film.id])[0]
        masters = masters_of(session, restoration_id)
        metrics = _metrics(session, restoration_id)
        seams = _seams(session, sheet)
        versions = shot_lists_of(session, sheet.film.id)
    files = {
        one.row.id: [
            (what, path.name)
            for what, path in files_of_master(FilePath(one.row.path)).items()
            if one.stands and path.is_file()
        ]
        for one in masters
    }
    return render(
        request, "film.html", sheet=sheet, name=film_name(sheet.film), card=card,
        rate=film_rate(sheet.film.media), masters=masters, files=files,
        allowed=may_download(sheet.film), metrics=metrics,
        versions=versions, strip=scene_strip(sheet.scenes, seams), player=_player(sheet),
        waiting=sum(1 for one in sheet.scenes if one.take_id is None),
        undecided=sum(1 for one in sheet.scenes if one.open_flags),
    )  # fmt: skip


@router.get("/r/{restoration_id}/chart")
def chart(
    request: Request, restoration_id: Sha, metric: Annotated[str, Query(max_length=64)]
) -> Response:
    """One measure along the film: the chosen takes' line, the plain resize's, the limit, the flags."""
    house = house_of(request)
    with house.catalog.read() as session:
        sheet = film_sheet(session, restoration_id)
        recipe = recipe_of(session, sheet.restoration)
        rows = _scores(session, restoration_id, metric)
    limits = {rule.scorer: recipe.score.thresholds.get(rule.flag, rule.limit) for rule in RULES}
    limit = recipe.score.thresholds.get(metric, limits.get(metric))
    along = []
    for scene in sheet.scenes:
        row = rows.get(scene.number)
        series = series_from(house, row) if row is not None else None
        findings = (
            find_flags([series], recipe.score.thresholds, recipe.score.ignore) if series else []
        )
        plain = row.summary.get("plain") if row is not None else None
        along.append(SceneSeries(scene.number, scene.start, scene.end, series, plain, findings))
    summary = next(iter(rows.values())).summary if rows else {}
    return render(
        request, "chart.html", metric=metric, svg=timeline(along, limit), limit=limit,
        unit=summary.get("unit", ""), better=summary.get("better", ""),
        total=sheet.scenes[-1].end if sheet.scenes else 1,
    )  # fmt: skip


@router.get("/r/{restoration_id}/shots")
def shots(request: Request, restoration_id: Sha) -> Response:
    """The scenes of the newest shot list, to choose from what is merged or split."""
    with house_of(request).catalog.read() as session:
        sheet = film_sheet(session, restoration_id)
        newest = latest_shot_list(session, sheet.film.id)
        scenes = scenes_of(session, newest.id) if newest else ()
    return render(
        request, "shotlist.html", scenes=scenes, film=sheet.film, rate=film_rate(sheet.film.media)
    )


@router.post("/r/{restoration_id}/shots")
async def edit_shots(request: Request, restoration_id: Sha) -> Response:
    """Merge or split scenes, or take the last edit back; each makes a new version."""
    fields = await form_of(request)
    seen = whole(fields, "version")
    changes: dict[str, Callable[[list[Scene], str], list[Scene]]] = {
        "merge": merged, "split": split_at,
    }  # fmt: skip
    do, what = fields.get("do", ""), fields.get("what", "").strip()
    if do != "undo" and do not in changes:
        raise UsageError("say what to do with the scenes: merge, split or undo")
    house, me = house_of(request), who(request)

    def write() -> None:
        with house.catalog.begin() as session:
            film = restoration_by_id(session, restoration_id).film_id
            if do == "undo":
                undo_edit(session, film, seen, made_by=me)
                return
            edit_shot_list(
                session, film, seen, lambda scenes: changes[do](scenes, what),
                how=f"{do} {what}", made_by=me, note=fields.get("note", "")[:2000],
            )  # fmt: skip

    await run_in_threadpool(write)
    return RedirectResponse(f"/r/{restoration_id}/#shots", 303)


def _player(sheet: FilmSheet) -> dict[str, object]:
    """What the monitor is told: the whole film in stills, source beside what is chosen."""
    rate = film_rate(sheet.film.media)
    return {
        "id": "film", "aspect": aspect_of(sheet.film), "start": 0, "end": sheet.film.frames,
        "at": sheet.film.frames // 2,
        "overlays": [], "rate": float(rate) if rate else 25.0,
        "sides": [
            {"id": "source", "name": "source", "still": f"/still/film/{sheet.film.id}/"},
            {"id": "chosen", "name": "restored",
             "parts": [[s.start, s.end, s.take_id] for s in sheet.scenes]},
        ],
        "scenes": [[s.start, s.end, s.number] for s in sheet.scenes],
    }  # fmt: skip


def _metrics(session: Session, restoration_id: str) -> list[str]:
    """The measures that the first scenes' takes have, standard ones in their order."""
    query = (
        select(ScoreRow.metric)
        .join(SelectionRow, SelectionRow.take_id == ScoreRow.take_id)
        .where(SelectionRow.restoration_id == restoration_id, SelectionRow.scene_number <= 20)
        .distinct()
    )
    place = {name: number for number, name in enumerate(STANDARD_SCORERS)}
    return sorted(session.scalars(query), key=lambda name: (place.get(name, len(place)), name))


def _scores(session: Session, restoration_id: str, metric: str) -> dict[int, ScoreRow]:
    rows = session.execute(
        select(SelectionRow.scene_number, ScoreRow)
        .join(ScoreRow, ScoreRow.take_id == SelectionRow.take_id)
        .where(SelectionRow.restoration_id == restoration_id, ScoreRow.metric == metric)
        .order_by(ScoreRow.algorithm)
    )
    return {number: row for number, row in rows}


def _seams(session: Session, sheet: FilmSheet) -> dict[int, list[int]]:
    """Where windows of frames meet in the chosen takes."""
    rows = session.execute(
        select(SelectionRow.scene_number, TakeRow.spec)
        .join(TakeRow, TakeRow.id == SelectionRow.take_id)
        .where(SelectionRow.restoration_id == sheet.restoration.id)
    )
    specs = dict(rows.all())
    return {
        one.number: seams_of(specs[one.number], one.start, one.end)
        for one in sheet.scenes
        if one.number in specs
    }
