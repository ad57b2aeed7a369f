"""Prepare: a film and a recipe become a restoration with its queued work. Nothing is restored here.

Running it again is safe and cheap: what is there is checked by hash and used again; what is missing,
altered, or wanted otherwise by now is queued, and nothing else.
"""

import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from catalog.commits import mark_take_lost
from catalog.jobs import requeue_dead, requeue_expired
from catalog.models import RestorationRow, RestorationSceneRow
from catalog.restorations import (
    find_takes,
    open_restoration,
    recipe_of,
    restoration_scenes,
    restorations_of,
    set_output,
    set_overrides,
)
from catalog.shots import latest_shot_list
from flows.chains import Chains, Settled, plan_here
from flows.wants import settle_scenes, wanted_take
from restar.errors import CatalogError, RecipeError, StoreError, UsageError
from restar.film import Identifiers
from restar.progress import track
from restar.recipe import Recipe
from restar.timeline import format_scenes
from tasks.assemble import claim_place, master_path
from tasks.assumptions import record_assumptions
from tasks.caption import Teller
from tasks.house import House, OpenFilm, open_film, place, process_is_alive
from tasks.ingest import ingest
from tasks.plan import Plan
from tasks.score import check_scoring
from tasks.shots import shots_of

__all__ = [
    "Order",
    "Prepared",
    "open_for",
    "prepare",
    "take_back_dead_work",
]


_log = logging.getLogger("restar.prepare")
_ALWAYS_CARRIED: tuple[str, ...] = ("prompt", "seed")
_CARRIED_IN_A_FORMAT = ("recipe", "recipe_sha256", "strength")


@dataclass(frozen=True)
class Order:
    """What is asked of a film. `scenes` and `seed` together give some scenes a seed of their own."""

    recipe: Recipe
    output: Path
    scenes: tuple[int, ...] = ()
    seed: int | None = None
    force: bool = False
    allow_damaged: bool = False
    identifiers: Identifiers = field(default_factory=Identifiers)
    priority: int = 0


@dataclass(frozen=True)
class Prepared:
    """A restoration that is ready to be drained, and where its master goes."""

    film_id: str
    restoration_id: str
    target: Path
    scenes: int
    queued: int


def prepare(house: House, path: Path, order: Order, film_id: str | None = None) -> Prepared:
    """Make a film known, open its restoration, queue what has to be done.

    `film_id` says that it was ingested just now. Raises MediaError, RecipeError or StoreError before
    anything is queued.
    """
    check_scoring(order.recipe.score)
    film_id = film_id or ingest(
        house, path=path, identifiers=order.identifiers, allow_damaged=order.allow_damaged,
        rounding=order.recipe.restore.rounds,
    )  # fmt: skip
    film = open_film(house, film_id)
    plan = plan_here(house, film, order.recipe)
    _refuse_unknown_scenes(house, film, order.scenes)
    teller = Teller(
        house, film, order.recipe, plan
    )  # what it lacks is told before anything is opened
    target = master_path(order.output, film.path, order.recipe.name, order.recipe.deliver.container)
    claim_place(target, film_id, order.force)
    restoration, scenes = open_for(house, film, plan, order.recipe, output=str(target))
    before = {scene.number: scene.overrides for scene in scenes}
    chains = Chains(house, film, restoration, teller)
    settled: dict[int, Settled] = {}
    for scene in scenes:
        scene.overrides = _overrides(scene, order)
        settled[scene.number] = chains.settle(scene)
    _check_takes(house, film_id, scenes, settled)
    queued = 0
    with house.catalog.begin() as session:
        now = {one.number: one.overrides for one in restoration_scenes(session, restoration.id)}
        mine = [scene for scene in scenes if now[scene.number] == before[scene.number]]
        for scene in mine:  # a scene that somebody changed meanwhile is theirs
            if scene.overrides != now[scene.number]:
                set_overrides(session, restoration.id, scene.number, scene.overrides)
        queued = settle_scenes(session, house, restoration, mine, settled, order.priority)
    return Prepared(film_id, restoration.id, target, len(scenes), queued)


def take_back_dead_work(house: House) -> None:
    """Queue the jobs again whose lease ran out, or whose process on this host is gone."""
    with house.catalog.begin() as session:
        requeue_expired(session, grace=house.settings.lease_seconds)
        requeue_dead(
            session,
            socket.gethostname(),
            lambda agent: process_is_alive(agent.pid, agent.create_time),
            place=place(),
        )


def _refuse_unknown_scenes(house: House, film: OpenFilm, numbers: tuple[int, ...]) -> None:
    _, scenes = shots_of(house, film.row.id)
    unknown = set(numbers) - {scene.number for scene in scenes}
    if unknown:
        raise UsageError(
            f"{film.path.name} has scenes 1-{len(scenes)}, not {format_scenes(unknown)}"
        )


def open_for(
    house: House,
    film: OpenFilm,
    plan: Plan,
    recipe: Recipe,
    numbers: tuple[int, ...] = (),
    output: str | None = None,
) -> tuple[RestorationRow, list[RestorationSceneRow]]:
    """Open the restoration of a film by a recipe over its newest shot list.

    Raises UsageError where it has no scene of one of `numbers`.
    """
    _refuse_unknown_scenes(house, film, numbers)
    take_back_dead_work(house)
    with house.catalog.begin() as session:
        shots = latest_shot_list(session, film.row.id)
        if shots is None:
            raise CatalogError(f"{film.path}: has no shot list; `restar shots` makes one")
        restoration = open_restoration(
            session, film.row.id, recipe, shots.id, plan.take_format.to_json(),
            agent=house.who, settled=plan.settled,
        )  # fmt: skip
        if restoration.take_format != plan.take_format.to_json():
            raise RecipeError(
                f"restoration {restoration.id[:12]} was begun with takes of another format by "
                "another version of restar; give the recipe a new name to begin again"
            )
        record_assumptions(session, restoration, film.info.format, plan, house.who)
        _carry_overrides(session, restoration, recipe)
        if output is not None:
            set_output(session, restoration.id, output)
        scenes = restoration_scenes(session, restoration.id)
    return restoration, scenes


def _carry_overrides(session: Session, restoration: RestorationRow, recipe: Recipe) -> None:
    """Give a new restoration what people asked for scenes under a recipe of the same name.

    A changed threshold or an edited shot list makes another restoration, but does not unsay prompts
    and seeds. A chain of a scene's own is carried where takes have the format that it was asked for.
    """
    scenes = restoration_scenes(session, restoration.id)
    if any(scene.wanted_take_key or scene.caption is not None for scene in scenes):
        return
    earlier = [
        row
        for row in restorations_of(session, restoration.film_id)
        if row.id != restoration.id and recipe_of(session, row).name == recipe.name
    ]
    if not earlier:
        return
    same_format = earlier[-1].take_format == restoration.take_format
    carried = _ALWAYS_CARRIED + (_CARRIED_IN_A_FORMAT if same_format else ())
    asked = {
        (scene.start, scene.end): {k: v for k, v in scene.overrides.items() if k in carried}
        for scene in restoration_scenes(session, earlier[-1].id)
    }
    for scene in scenes:
        overrides = {**asked.get((scene.start, scene.end), {}), **scene.overrides}
        if overrides != scene.overrides:
            set_overrides(session, restoration.id, scene.number, overrides)


def _check_takes(
    house: House,
    film_id: str,
    scenes: Sequence[RestorationSceneRow],
    settled: Mapping[int, Settled],
) -> None:
    """Hash every take that would be used again; one that is not what it was is lost."""
    keys = [
        wanted_take(film_id, scene, one.plan, one.recipe, one.words.prompt.text, one.words.card)[1]
        for scene in scenes
        if (one := settled[scene.number]).words is not None
    ]
    with house.catalog.read() as session:
        takes = find_takes(session, keys)
    with track("checking takes", "bytes", sum(take.bytes for take in takes)) as advance:
        for take in takes:
            try:
                house.store.verify(take.sha256, advance)
                house.store.verify(take.checksums_sha256)
            except StoreError as error:
                with house.catalog.begin() as session:
                    mark_take_lost(session, take.take_key, str(error), agent=house.who)


def _overrides(scene: RestorationSceneRow, order: Order) -> dict[str, Any]:
    if scene.number not in order.scenes or order.seed is None:
        return dict(scene.overrides)
    return {**scene.overrides, "seed": order.seed}
