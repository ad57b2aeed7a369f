"""A scene: source, resize and takes in the compare player, what they score, where they come from."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response

from catalog.browse import film_name, film_rate
from catalog.closeup import SceneSheet, masters_with, scene_sheet
from catalog.decisions import accept, ask_again, reject, seen_of
from catalog.models import EnvironmentRow, ModelLicenceRow, RestorationRow, TakeRow
from catalog.proxies import find_proxies, proxy_states, want_proxies
from catalog.redo import Wish
from catalog.restorations import recipe_of
from media.proxy import ALGORITHM
from restar.errors import UsageError
from restar.recipe import STANDARD_SCORERS, Recipe
from review.drawings import scene_chart
from review.look import Side, aspect_of, flag_places, frame_times, seams_of, sides_of, standing
from review.page import form_of, house_of, render, who, whole
from review.story import differences, events_of_scene, story_of
from scorers.flags import RULES
from tasks.heat import OVERLAYS, heat_of
from tasks.score import series_from

__all__ = ["router"]

router = APIRouter()
Sha = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Number = Annotated[int, Path(ge=1, lt=1 << 31)]


@router.get("/r/{restoration_id}/scene/{number}")
def scene(
    request: Request,
    restoration_id: Sha,
    number: Number,
    frame: Annotated[int | None, Query(ge=0, lt=1 << 40)] = None,
    a: Annotated[str, Query(max_length=40)] = "",
    b: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    house = house_of(request)
    with house.catalog.read() as session:
        sheet = scene_sheet(session, restoration_id, number)
        seen = seen_of(session, restoration_id, number)
        recipe = recipe_of(session, sheet.restoration)
        sides = sides_of(sheet)
        wanted = [side.proxy for side in sides]
        proxies = find_proxies(session, wanted, ALGORITHM)
        states = proxy_states(session, wanted, ALGORITHM)
    limits = _limits(recipe)
    player = _player(request, sheet, sides, proxies, frame, (a, b))
    return render(
        request, "scene.html", sheet=sheet, sides=sides, seen=seen, name=film_name(sheet.film),
        rate=film_rate(sheet.film.media), player=player, states=states,
        waiting=[side for side in sides if states[side.proxy.key] != "ready"],
        metrics=_metrics(sheet), limits=limits, differences=differences(sheet.takes, sides),
        recipe=recipe, standing=standing, takes=[side for side in sides if side.take is not None],
    )  # fmt: skip


@router.post("/r/{restoration_id}/scene/{number}/proxies")
def proxies(request: Request, restoration_id: Sha, number: Number) -> Response:
    """Queue the proxies that the scene's player lacks."""
    with house_of(request).catalog.begin() as session:
        sheet = scene_sheet(session, restoration_id, number)
        want_proxies(session, [side.proxy for side in sides_of(sheet)], ALGORITHM)
    return _back(request, restoration_id, number)


@router.get("/r/{restoration_id}/scene/{number}/sides")
def sides(request: Request, restoration_id: Sha, number: Number) -> Response:
    """Tell the player which proxies there are by now: {"sides": {id: sha256}, "waiting": n}."""
    with house_of(request).catalog.read() as session:
        found = sides_of(scene_sheet(session, restoration_id, number))
        wanted = [side.proxy for side in found]
        ready = find_proxies(session, wanted, ALGORITHM)
        states = proxy_states(session, wanted, ALGORITHM)
    there = {s.id: ready[s.proxy.key].sha256 for s in found if s.proxy.key in ready}
    waiting = sum(states[s.proxy.key] in {"queued", "under way"} for s in found)
    failed = [states[s.proxy.key] for s in found if states[s.proxy.key].startswith("failed")]
    return JSONResponse({"sides": there, "waiting": waiting, "failed": failed[:1]})


@router.get("/r/{restoration_id}/scene/{number}/chart")
def chart(
    request: Request,
    restoration_id: Sha,
    number: Number,
    metric: Annotated[str, Query(max_length=64)],
) -> Response:
    """One measure over the scene: a line for each take, the plain resize's mean, the limit."""
    house = house_of(request)
    with house.catalog.read() as session:
        sheet = scene_sheet(session, restoration_id, number)
        recipe = recipe_of(session, sheet.restoration)
        found = sides_of(sheet)
    limits = _limits(recipe)
    lines, plain, seams = [], None, set()
    for side in found:
        row = side.take.scores.get(metric) if side.take is not None else None
        series = series_from(house, row) if row is not None else None
        if series is None or row is None or side.take is None:
            continue
        lines.append((side.name, series))
        plain = row.summary.get("plain") if plain is None else plain
        seams |= set(seams_of(side.take.row.spec, sheet.scene.start, sheet.scene.end))
    svg = scene_chart(
        lines, (sheet.scene.start, sheet.scene.end), plain,
        recipe.score.thresholds.get(metric, limits.get(metric)), sorted(seams),
    )  # fmt: skip
    names = [name for name, _ in lines]
    return render(request, "scene-chart.html", svg=svg, names=names, metric=metric, plain=plain)


@router.get("/r/{restoration_id}/scene/{number}/provenance")
def provenance(
    request: Request,
    restoration_id: Sha,
    number: Number,
    frame: Annotated[int, Query(ge=0, lt=1 << 40)],
    take: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The story of one frame, and what a take was made of, by whom, under what."""
    house = house_of(request)
    with house.catalog.read() as session:
        sheet = scene_sheet(session, restoration_id, number)
        shown = next((t for t in sheet.takes if t.row.id == take), None) or next(
            iter(sheet.takes), None
        )
        environment = licences = None
        masters = []
        if shown is not None:
            row = session.get(EnvironmentRow, shown.row.environment_sha256)
            environment = row.content if row else {}
            hashes = [s["model_sha256"] for s in shown.row.spec["steps"] if s["model_sha256"]]
            licences = {h: session.get(ModelLicenceRow, h) for h in hashes}
            masters = masters_with(session, shown.row.id)
        events = events_of_scene(session, sheet, shown)
    return render(
        request, "provenance.html", sheet=sheet, take=shown, environment=environment or {},
        licences=licences or {}, masters=masters, events=events,
        story=story_of(house, sheet, shown, frame), name=film_name(sheet.film),
    )  # fmt: skip


@router.get("/heat/{restoration_id}/{take_id}/{metric}/{frame}.json")
async def heat(
    request: Request,
    restoration_id: Sha,
    take_id: Annotated[int, Path(ge=1, lt=1 << 31)],
    metric: Annotated[str, Path(max_length=64)],
    frame: Annotated[int, Path(ge=0, lt=1 << 40)],
) -> Response:
    """Where on one frame a take is worst by one measure: {"rows", "heat" [[..]], "better", "unit"}."""
    if metric not in OVERLAYS:
        raise UsageError(f"there is no overlay of '{metric}'; known: {', '.join(OVERLAYS)}")
    house = house_of(request)

    def make() -> dict[str, Any]:
        with house.catalog.read() as session:
            take = session.get(TakeRow, take_id)
            restoration = session.get(RestorationRow, restoration_id)
        if take is None or restoration is None or take.film_id != restoration.film_id:
            raise UsageError(f"there is no take {take_id} of this film in the catalog")
        return heat_of(request.app.state.stills, take, metric, frame)

    found = await run_in_threadpool(make)
    return JSONResponse(found, headers={"cache-control": "private, max-age=86400"})


@router.post("/r/{restoration_id}/scene/{number}/accept")
async def accept_take(request: Request, restoration_id: Sha, number: Number) -> Response:
    return await _decided(request, restoration_id, number, accept)


@router.post("/r/{restoration_id}/scene/{number}/reject")
async def reject_take(request: Request, restoration_id: Sha, number: Number) -> Response:
    return await _decided(request, restoration_id, number, reject)


@router.post("/r/{restoration_id}/scene/{number}/redo")
async def redo_scene(request: Request, restoration_id: Sha, number: Number) -> Response:
    """Ask for another take: a seed (the next one where none is given), and a prompt where it is new."""
    fields = await _decision(request)
    seed = whole(fields, "seed") if fields.get("seed", "").strip() else None
    prompt = fields.get("prompt", "").strip()
    wish = Wish(seed=seed, prompt=prompt if prompt != fields.get("was", "").strip() else None)
    attempts = house_of(request).settings.max_attempts

    def write() -> None:
        with house_of(request).catalog.begin() as session:
            ask_again(
                session, restoration_id, number, wish, seen=fields["seen"], reviewer=who(request),
                reason=fields.get("reason", ""), max_attempts=attempts,
            )  # fmt: skip

    await run_in_threadpool(write)
    return _back(request, restoration_id, number)


async def _decided(
    request: Request, restoration_id: str, number: int, decide: Callable[..., None]
) -> Response:
    """Do what a person decided on the take that the form names; then the scene again."""
    fields = await _decision(request)

    def write() -> None:
        with house_of(request).catalog.begin() as session:
            decide(
                session, restoration_id, number, whole(fields, "take"), seen=fields["seen"],
                reviewer=who(request), reason=fields.get("reason", ""),
            )  # fmt: skip

    await run_in_threadpool(write)
    return _back(request, restoration_id, number)


async def _decision(request: Request) -> dict[str, str]:
    fields = await form_of(request)
    if "seen" not in fields:
        raise UsageError("the form does not say what was seen; open the page again")
    return fields


def _back(request: Request, restoration_id: str, number: int) -> Response:
    """To the scene again: as a whole page, which is what a form without scripts expects."""
    return RedirectResponse(f"/r/{restoration_id}/scene/{number}", 303)


def _player(
    request: Request,
    sheet: SceneSheet,
    sides: list[Side],
    proxies: dict[str, Any],
    frame: int | None,
    asked: tuple[str, str],
) -> dict[str, Any]:
    scene, house = sheet.scene, house_of(request)
    times, exact = frame_times(house, sheet.film, scene.start, scene.end)
    ids = [side.id for side in sides]
    takes = [side.id for side in sides if side.take is not None]
    right = asked[1] if asked[1] in ids else (takes or ids)[0]
    left = asked[0] if asked[0] in ids else "source"
    at = frame if frame is not None and scene.start <= frame < scene.end else scene.start
    chosen = next((s.take for s in sides if s.take is not None), None)
    return {
        "id": "scene", "aspect": aspect_of(sheet.film), "start": scene.start, "end": scene.end, "at": at,
        "times": times, "exact": exact, "rate": float(film_rate(sheet.film.media) or 25),
        "a": left, "b": right, "restoration": sheet.restoration.id,
        "state": f"/r/{sheet.restoration.id}/scene/{scene.number}/sides",
        "overlays": [(metric, name) for metric, name in OVERLAYS.items()] if takes else [],
        "seams": seams_of(chosen.row.spec, scene.start, scene.end) if chosen else [],
        "flags": flag_places(scene.flags),
        "sides": [
            {
                "id": side.id, "name": side.name, "still": side.still,
                "take": side.take.row.id if side.take else None,
                "proxy": proxies[side.proxy.key].sha256 if side.proxy.key in proxies else None,
            }
            for side in sides
        ],
    }  # fmt: skip


def _limits(recipe: Recipe) -> dict[str, float]:
    """Return from where on a scorer's measure is flagged, by the scorer's name."""
    return {rule.scorer: recipe.score.thresholds.get(rule.flag, rule.limit) for rule in RULES}


def _metrics(sheet: SceneSheet) -> list[str]:
    place = {name: number for number, name in enumerate(STANDARD_SCORERS)}
    names = {name for take in sheet.takes for name in take.scores}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))
