"""Chains: what each scene of a restoration is made with, and what it is told.

Most scenes are made by the restoration's recipe. Where a person asked for another recipe or strength
for a scene (catalog.redo), that scene has a chain of its own, and somebody else may find its words.
"""

import logging
from dataclasses import dataclass

from catalog.hints import memory_hint
from catalog.models import RestorationRow, RestorationSceneRow
from catalog.redo import scene_recipe
from catalog.restorations import settled_before
from catalog.shots import latest_shot_list
from media.format import TakeFormat
from restar.errors import RecipeError
from restar.recipe import Recipe
from tasks.caption import Members, Teller, Words
from tasks.house import House, OpenFilm
from tasks.plan import Plan, plan_restoration

__all__ = ["Chains", "Settled", "plan_here", "size_of"]

_log = logging.getLogger("restar.prepare")


@dataclass(frozen=True)
class Settled:
    """A scene's wish, resolved: its recipe and chain, who speaks of it, its words (None = later)."""

    recipe: Recipe
    plan: Plan
    teller: Teller
    words: Words | None


class Chains:
    """The chains of a restoration, each resolved once. `teller` is the one of its own recipe."""

    def __init__(
        self,
        house: House,
        film: OpenFilm,
        restoration: RestorationRow,
        teller: Teller | None = None,
        members: Members | None = None,
    ) -> None:
        self.house, self.film, self.restoration = house, film, restoration
        self._members = members
        self._plans: dict[str, Plan] = {}
        self._tellers: dict[str, Teller] = {}
        if teller is not None:
            self._plans[teller.recipe.sha256] = teller.plan
            self._tellers[teller.recipe.sha256] = teller

    def settle(self, scene: RestorationSceneRow) -> Settled:
        """Resolve what is wanted of a scene by its overrides; raises as `chain` and `Teller`."""
        teller = self.teller(scene)
        return Settled(teller.recipe, teller.plan, teller, teller.words(scene))

    def teller(self, scene: RestorationSceneRow) -> Teller:
        """Return who finds words for a scene."""
        recipe, plan = self.chain(scene)
        if recipe.sha256 not in self._tellers:
            teller = Teller(self.house, self.film, recipe, plan, self._members)
            self._tellers[recipe.sha256] = teller
        return self._tellers[recipe.sha256]

    def chain(self, scene: RestorationSceneRow) -> tuple[Recipe, Plan]:
        """Return the recipe and the chain that a scene is made with.

        Raises RecipeError or MediaError where a person asked for what can't be made of this film, or
        can't join the other takes of its restoration.
        """
        with self.house.catalog.read() as session:
            recipe = scene_recipe(session, self.restoration, scene)
        if recipe.sha256 not in self._plans:
            plan = plan_restoration(self.film, recipe, self.restoration.settled)
            self._refuse_other_format(scene, plan)
            self._plans[recipe.sha256] = plan
        return recipe, self._plans[recipe.sha256]

    def _refuse_other_format(self, scene: RestorationSceneRow, plan: Plan) -> None:
        if plan.take_format.to_json() == self.restoration.take_format:
            return
        ours, made = (
            TakeFormat.from_json(self.restoration.take_format).video,
            plan.take_format.video,
        )
        raise RecipeError(
            f"scene {scene.number}: this chain gives takes of {made.width}x{made.height} "
            f"{made.pix_fmt}, and those of the restoration are {ours.width}x{ours.height} "
            f"{ours.pix_fmt}: they could not join; choose another recipe"
        )


def plan_here(house: House, film: OpenFilm, recipe: Recipe) -> Plan:
    """Plan a film's restoration; what is left to `auto` is as when it was opened, if it was.

    Else it is what the memory limit allows, or less, where that once ran out of memory.
    """
    with house.catalog.read() as session:
        shots = latest_shot_list(session, film.row.id)
        answers = {} if shots is None else settled_before(session, film.row.id, recipe, shots.id)
        hint = {} if answers else memory_hint(session, recipe.sha256, size_of(film))
    plan = plan_restoration(film, recipe, answers)
    if not hint:
        return plan
    less = plan_restoration(film, recipe, hint)
    if less.needs.memory_bytes >= plan.needs.memory_bytes:
        return plan
    _log.warning(
        "%s: planned with smaller windows than the memory limit allows, since frames of %s ran out "
        "of memory by this recipe before", film.path.name, size_of(film),
    )  # fmt: skip
    return less


def size_of(film: OpenFilm) -> str:
    """Return the size of a film's frames, "720x576"."""
    return f"{film.info.format.width}x{film.info.format.height}"
