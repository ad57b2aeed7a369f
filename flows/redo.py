"""Redo and select: what a person decides about single scenes of a restoration that is there.

Only those scenes are made again, earlier takes stay, and the master is joined anew from its takes. The
decision, its event and its jobs are recorded together (catalog.redo); whether this process does the
work then, or agents do, is the caller's choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from catalog.commits import scores_of
from catalog.films import find_film
from catalog.models import FilmRow, RestorationRow, RestorationSceneRow, TakeRow
from catalog.redo import Wish, overrides_for, record_recipe, redo
from catalog.restorations import (
    find_restoration,
    restoration_scene,
    restoration_scenes,
    selected_takes,
)
from catalog.reviews import accept_take, candidates, chosen_by_person, takes_of
from flows.chains import Chains
from flows.prepare import Prepared, take_back_dead_work
from flows.restore import complete
from flows.score import takes_named
from flows.wants import settle_scenes
from restar.errors import RecipeError, UsageError
from restar.timeline import format_scenes
from tasks.house import House, open_film

__all__ = ["Choice", "Decision", "complete_film", "list_choices", "redo_scenes", "select_scenes"]

ROLES = ("first", "second", "plain")


@dataclass(frozen=True)
class Decision:
    """Which scenes of which restoration a person decides about, and why.

    `seen` is the key of the take that the person saw selected, in every one of the scenes; None =
    did not look.
    """

    film: str
    scenes: tuple[int, ...]
    restoration: str | None = None
    reason: str = ""
    seen: str | None = None


@dataclass(frozen=True)
class Choice:
    """A take that a scene has to choose from, how it came about, and whether it is selected."""

    scene: int
    take: TakeRow
    selected: bool
    scores: dict[str, float | None]


def redo_scenes(house: House, decision: Decision, wish: Wish, *, priority: int = 0) -> Prepared:
    """Ask for new takes of some scenes and queue their jobs; return what there is to complete.

    Raises UsageError, RecipeError or MediaError where that can't be made, before anything is queued;
    OutdatedError where somebody decided meanwhile.
    """
    wish.check()
    row, restoration = _named(house, decision)
    film = open_film(house, row.id)
    take_back_dead_work(house)
    chains = Chains(house, film, restoration)
    settled = {}
    for scene in _wished(house, restoration, decision.scenes, wish):
        try:
            settled[scene.number] = chains.settle(scene)
        except RecipeError as error:
            raise _with_strength(error, wish, scene.number) from None
    queued = 0

    def settle(session: Session, scene: RestorationSceneRow) -> None:
        nonlocal queued
        queued += settle_scenes(session, house, restoration, [scene], settled, priority)

    with house.catalog.begin() as session:
        redo(
            session, restoration.id, dict.fromkeys(decision.scenes, decision.seen), wish,
            reviewer=house.who, reason=decision.reason, priority=priority,
            max_attempts=house.settings.max_attempts, settle=settle,
        )  # fmt: skip
    return _prepared(row, restoration, len(decision.scenes), queued)


def select_scenes(house: House, decision: Decision, take: str) -> Prepared:
    """Select a take for some scenes by a person's word; return what there is to complete.

    Its `scenes` is how many scenes that changes: where a person chose just this take before, nothing is.

    `take` is a role (first, second, plain) or the beginning of a take's key. No rule overrides it.
    Raises UsageError for a take that is not there or not of the scene, OutdatedError as `redo_scenes`.
    """
    row, restoration = _named(house, decision)
    if take not in ROLES and len(decision.scenes) > 1:
        raise UsageError(f"--take {take} is of one scene; name one, or choose {', '.join(ROLES)}")
    changed = 0
    with house.catalog.begin() as session:
        for number in decision.scenes:
            scene = restoration_scene(session, restoration.id, number)
            chosen = _take(session, row, scene, take)
            if chosen_by_person(session, restoration.id, number) == chosen.id:
                continue
            changed += 1
            accept_take(
                session, restoration, number, chosen,
                reviewer=house.who, reason=decision.reason, seen=decision.seen,
            )  # fmt: skip
    return _prepared(row, restoration, changed, 0)


def list_choices(house: House, decision: Decision) -> list[Choice]:
    """Return the takes that each scene has to choose from, oldest first."""
    _, restoration = _named(house, decision)
    found = []
    with house.catalog.read() as session:
        selected = selected_takes(session, restoration.id)
        for number in decision.scenes:
            scene = restoration_scene(session, restoration.id, number)
            chosen = selected.get(number)
            for take in takes_of(session, restoration, scene):
                scores = {row.metric: row.summary["mean"] for row in scores_of(session, take)}
                mine = chosen is not None and chosen.id == take.id
                found.append(Choice(number, take, mine, scores))
    return found


def complete_film(house: House, prepared: Prepared) -> Path:
    """Do what is queued of a restoration and make its master; return its path."""
    if not prepared.target.name:
        raise UsageError(
            "this restoration has had no master yet; `restar restore FILM -o DIR` says where it goes"
        )
    return complete(house, prepared)


def _named(house: House, decision: Decision) -> tuple[FilmRow, RestorationRow]:
    with house.catalog.read() as session:
        film = find_film(session, decision.film)
        restoration = find_restoration(session, film.id, decision.restoration)
        numbers = {scene.number for scene in restoration_scenes(session, restoration.id)}
    unknown = set(decision.scenes) - numbers
    if unknown:
        name = Path(film.paths[-1]).name
        raise UsageError(f"{name} has scenes 1-{len(numbers)}, not {format_scenes(unknown)}")
    return film, restoration


def _with_strength(error: RecipeError, wish: Wish, number: int) -> RecipeError:
    """The error, with a word on what --strength is where that was asked for."""
    if wish.strength is None:
        return error
    return RecipeError(
        f"scene {number} can't have strength {wish.strength:g}: {error} (it is the option `strength` of "
        "the last step of a scene's recipe; not every restorer has one)"
    )


def _wished(
    house: House, restoration: RestorationRow, numbers: Sequence[int], wish: Wish
) -> list[RestorationSceneRow]:
    """The scenes as they would be, to be resolved before anything is changed."""
    with house.catalog.begin() as session:  # a recipe that is new has to be findable
        if wish.recipe is not None:
            record_recipe(session, wish.recipe)
        scenes = [restoration_scene(session, restoration.id, number) for number in numbers]
        asked = {s.number: overrides_for(session, restoration, s, wish) for s in scenes}
        session.expunge_all()
    for scene in scenes:
        scene.overrides = asked[scene.number]
    return scenes


def _take(session: Session, film: FilmRow, scene: RestorationSceneRow, name: str) -> TakeRow:
    roles = candidates(session, scene)
    if name in ROLES:
        if name not in roles:
            there = ", ".join(roles) or "none yet"
            raise UsageError(f"scene {scene.number} has no {name} take; there are: {there}")
        return roles[name]
    take = takes_named(session, name)[0]
    if (take.film_id, take.start, take.end) != (film.id, scene.start, scene.end):
        raise UsageError(f"take {take.take_key[:12]} is not of scene {scene.number} of this film")
    return take


def _prepared(film: FilmRow, restoration: RestorationRow, scenes: int, queued: int) -> Prepared:
    return Prepared(film.id, restoration.id, Path(restoration.output), scenes, queued)
