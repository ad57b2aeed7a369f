"""Prepare: a film and a recipe become a restoration with its queued work. Nothing is restored here.

Running it again is safe and cheap: what is there is checked by hash and used again; what is missing,
altered, or wanted otherwise by now is queued, and nothing else.
"""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from captioners import captioner
from catalog.base import JobKind
from catalog.commits import mark_take_lost
from catalog.jobs import NewJob, dedupe_key, enqueue, requeue_dead, requeue_expired
from catalog.models import RestorationRow, RestorationSceneRow
from catalog.restorations import (
    find_take,
    open_restoration,
    restoration_scenes,
    set_output,
    set_overrides,
    unselect,
    want,
)
from catalog.shots import latest_shot_list
from restar.errors import CatalogError, RecipeError, StoreError, UsageError
from restar.film import Identifiers
from restar.progress import track
from restar.recipe import Recipe
from restar.spec import Spec, take_key
from restar.timeline import FrameRange, format_scenes
from tasks.assemble import claim_place, master_path
from tasks.caption import caption_options, needs_stills
from tasks.house import House, OpenFilm, open_film, process_is_alive
from tasks.ingest import ingest
from tasks.plan import Plan, plan_restoration, spec_of
from tasks.score import check_scoring

__all__ = [
    "Order",
    "Prepared",
    "hold_back",
    "prepare",
    "queue_score",
    "take_back_dead_work",
    "want_scene",
]


@dataclass(frozen=True)
class Order:
    """What is asked of a film. `scenes` and `seed` together give some scenes a seed of their own."""

    recipe: Recipe
    output: Path
    scenes: tuple[int, ...] = ()
    seed: int | None = None
    force: bool = False
    identifiers: Identifiers = field(default_factory=Identifiers)


@dataclass(frozen=True)
class Prepared:
    """A restoration that is ready to be drained, and where its master goes."""

    film_id: str
    restoration_id: str
    target: Path
    scenes: int
    queued: int


def prepare(house: House, path: Path, order: Order) -> Prepared:
    """Make a film known, open its restoration, queue what has to be done.

    Raises MediaError, RecipeError or StoreError before anything is queued.
    """
    check_scoring(order.recipe.score)
    film_id = ingest(house, path=path, identifiers=order.identifiers)
    film = open_film(house, film_id)
    plan = plan_restoration(film, order.recipe)
    target = master_path(order.output, film.path, order.recipe.name)
    claim_place(target, film_id, order.force)
    restoration, scenes = _open(house, film, plan, order, target)
    _check_takes(house, film, plan, order, scenes)
    queued = 0
    with house.catalog.begin() as session:
        for scene in scenes:
            overrides = _overrides(scene, order)
            if overrides != scene.overrides:
                set_overrides(session, restoration.id, scene.number, overrides)
                scene.overrides = overrides
            if scene.caption is None and needs_stills(order.recipe.prompt):
                enqueue(session, _caption_job(restoration, scene), reopen=True)
                queued += 1
                continue
            queued += want_scene(session, house, restoration, scene, plan, order.recipe)
    return Prepared(film_id, restoration.id, target, len(scenes), queued)


def want_scene(
    session: Session,
    house: House,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    plan: Plan,
    recipe: Recipe,
) -> bool:
    """Say what take a scene should have; return whether it has to be made.

    One that is there is scored for this restoration, whose limits may be others than when it was made.
    """
    spec, key = _wanted(restoration.film_id, scene, plan, recipe)
    made = want(
        session,
        restoration.id,
        scene.number,
        spec,
        key,
        overrides=scene.overrides,
        prompt=spec.prompt,
        max_attempts=house.settings.max_attempts,
    )
    if not made:
        queue_score(session, scene, restoration.film_id, key, recipe)
        hold_back(session, restoration.id, scene.number, recipe)
    return made


def queue_score(
    session: Session,
    scene: RestorationSceneRow,
    film_id: str,
    key: str,
    recipe: Recipe,
    *,
    reopen: bool = False,
) -> None:
    """Queue the scoring of a take for a restoration, where its recipe has scorers; once, or `reopen`."""
    if not recipe.score.scorers:
        return
    job = NewJob(
        JobKind.SCORE,
        dedupe_key(JobKind.SCORE, scene.restoration_id, key),
        restoration_id=scene.restoration_id,
        film_id=film_id,
        scene_number=scene.number,
        payload={"take_key": key},
    )
    enqueue(session, job, reopen=reopen)


def hold_back(session: Session, restoration_id: str, number: int, recipe: Recipe) -> None:
    """Under the rule `ask` a flagged take is not selected, unless a person has decided so."""
    scene = session.get_one(RestorationSceneRow, (restoration_id, number))
    if recipe.select.rule == "ask" and scene.flags:
        unselect(session, restoration_id, number)


def take_back_dead_work(house: House) -> None:
    """Queue the jobs again whose lease ran out, or whose process on this host is gone."""
    with house.catalog.begin() as session:
        requeue_expired(session)
        requeue_dead(
            session,
            socket.gethostname(),
            lambda agent: process_is_alive(agent.pid, agent.create_time),
        )


def _open(
    house: House, film: OpenFilm, plan: Plan, order: Order, target: Path
) -> tuple[RestorationRow, list[RestorationSceneRow]]:
    take_back_dead_work(house)
    with house.catalog.begin() as session:
        shots = latest_shot_list(session, film.row.id)
        if shots is None:
            raise CatalogError(f"{film.path}: has no shot list; `restar shots` makes one")
        restoration = open_restoration(
            session, film.row.id, order.recipe, shots.id, plan.take_format.to_json(),
            agent=house.who,
        )  # fmt: skip
        if restoration.take_format != plan.take_format.to_json():
            raise RecipeError(
                f"restoration {restoration.id[:12]} was begun with takes of another format by "
                "another version of restar; give the recipe a new name to begin again"
            )
        set_output(session, restoration.id, str(target))
        scenes = restoration_scenes(session, restoration.id)
    unknown = set(order.scenes) - {scene.number for scene in scenes}
    if unknown:
        raise UsageError(
            f"{film.path.name} has scenes 1-{len(scenes)}, not {format_scenes(unknown)}"
        )
    return restoration, scenes


def _check_takes(
    house: House, film: OpenFilm, plan: Plan, order: Order, scenes: list[RestorationSceneRow]
) -> None:
    """Hash every take that would be used again; one that is not what it was is lost."""
    keys = [_wanted(film.row.id, scene, plan, order.recipe)[1] for scene in scenes]
    with house.catalog.read() as session:
        takes = [take for key in keys if (take := find_take(session, key)) is not None]
    with track("checking takes", "bytes", sum(take.bytes for take in takes)) as advance:
        for take in takes:
            try:
                house.store.verify(take.sha256, advance)
                house.store.verify(take.checksums_sha256)
            except StoreError as error:
                with house.catalog.begin() as session:
                    mark_take_lost(session, take.take_key, str(error), agent=house.who)


def _wanted(
    film_id: str, scene: RestorationSceneRow, plan: Plan, recipe: Recipe
) -> tuple[Spec, str]:
    caption = scene.caption
    if caption is None:
        caption = _said(recipe)
    seed = scene.overrides.get("seed", recipe.restore.seed)
    spec = spec_of(plan, recipe, caption, seed)
    return spec, take_key(film_id, FrameRange(scene.start, scene.end), spec)


def _said(recipe: Recipe) -> str:
    """The caption of a captioner that looks at nothing, so that it is no work of its own."""
    if needs_stills(recipe.prompt):
        return ""
    return captioner(recipe.prompt.captioner).caption([], caption_options(recipe.prompt)).text


def _overrides(scene: RestorationSceneRow, order: Order) -> dict[str, int]:
    if scene.number not in order.scenes or order.seed is None:
        return dict(scene.overrides)
    return {**scene.overrides, "seed": order.seed}


def _caption_job(restoration: RestorationRow, scene: RestorationSceneRow) -> NewJob:
    return NewJob(
        JobKind.CAPTION,
        dedupe_key(JobKind.CAPTION, restoration.id, scene.number),
        restoration_id=restoration.id,
        film_id=restoration.film_id,
        scene_number=scene.number,
    )
