"""Redo: a person wants another take of some scenes. The decision and its jobs are one transaction.

What is asked becomes the scene's overrides, beside the recipe, so that every later run of the same
recipe knows it. Earlier takes stay and can be selected again. The take that was selected, by a rule or
by a person, is so no more: whoever asks for a new one wants it in the master.

Who has restorers at hand (a command, an agent) resolves the wish at once, by `settle`. Who has none
(the review room) leaves that to an agent: a new seed alone needs no restorer to be resolved, for all
else a `caption` job is queued, which finds the scene's words, resolves its chain and wants its take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.base import JobKind, RestorationState, ReviewDecision
from catalog.jobs import NewJob, close_queued, dedupe_key, enqueue
from catalog.models import (
    JobRow,
    RecipeRow,
    RestorationRow,
    RestorationSceneRow,
    SelectionRow,
    TakeRow,
)
from catalog.restorations import (
    enqueue_assemble,
    find_take,
    lock_restoration,
    recipe_of,
    restoration_scene,
    selected_takes,
    want,
)
from catalog.reviews import record_review, refuse_outdated
from catalog.types import insert_missing
from restar.errors import UsageError
from restar.needs import Needs
from restar.prompt import MOST_CHARACTERS, clean
from restar.recipe import Recipe, Step
from restar.spec import Spec, take_key
from restar.timeline import FrameRange

__all__ = [
    "Settle",
    "Wish",
    "caption_job",
    "overrides_for",
    "record_recipe",
    "redo",
    "scene_recipe",
]

SEEDS = 1 << 63
Settle = Callable[[Session, RestorationSceneRow], None]


@dataclass(frozen=True)
class Wish:
    """What a scene's next take should have; None leaves it as it was.

    `seed` 0 to 2^63 - 1; `prompt` in a person's own words; `recipe` whose chain and prompt settings
    take the place of the restoration's; `strength` is that option of the last step. A wish for
    nothing in particular is one for the next seed that the scene has not had.
    """

    seed: int | None = None
    prompt: str | None = None
    recipe: Recipe | None = None
    strength: float | None = None

    def check(self) -> None:
        """Raise UsageError for a seed or a prompt that can't be."""
        if self.seed is not None and not 0 <= self.seed < SEEDS:
            raise UsageError(f"seed {self.seed}: give a whole number from 0 to 2^63 - 1")
        if self.prompt is not None and len(self.prompt) > MOST_CHARACTERS:
            raise UsageError(
                f"a prompt of {len(self.prompt):,} characters: give at most {MOST_CHARACTERS:,}"
            )

    @property
    def is_new_seed(self) -> bool:
        """Whether only the seed is to change."""
        return self.prompt is None and self.recipe is None and self.strength is None


def redo(
    session: Session,
    restoration_id: str,
    scenes: Mapping[int, str | None],
    wish: Wish,
    *,
    reviewer: str,
    reason: str = "",
    priority: int = 0,
    max_attempts: int = 3,
    settle: Settle | None = None,
) -> None:
    """Ask for new takes of some scenes, by a person's word; in the caller's write transaction.

    `scenes` maps each number to the key of the take that the person saw selected ("" = none was,
    None = did not look). For each there is an `appraisal` event, and a review that rejects the take
    which was selected. `settle` wants the scene's take, given its row with the new overrides; without
    it a job is queued. Raises UsageError for a scene that is not there or a wish that can't be,
    OutdatedError where another take is selected by now: nothing of it is then to be committed.
    """
    wish.check()
    restoration = lock_restoration(session, restoration_id)
    if wish.recipe is not None:
        record_recipe(session, wish.recipe)
    before = selected_takes(session, restoration_id)
    for number, seen in sorted(scenes.items()):
        scene = restoration_scene(session, restoration_id, number)
        refuse_outdated(session, restoration_id, number, seen)
        overrides = overrides_for(session, restoration, scene, wish)
        _tell(session, restoration, scene, before.get(number), overrides, reviewer, reason)
        scene.overrides = overrides
        session.execute(
            delete(SelectionRow).where(
                SelectionRow.restoration_id == restoration_id, SelectionRow.scene_number == number
            )
        )
        session.flush()
        if settle is not None:
            settle(session, scene)
        else:
            _leave_to_agents(session, restoration, scene, wish, priority, max_attempts)
    enqueue_assemble(session, restoration_id)  # where all that was asked for is there already


def overrides_for(
    session: Session, restoration: RestorationRow, scene: RestorationSceneRow, wish: Wish
) -> dict[str, Any]:
    """Return a scene's overrides with a wish put in."""
    asked: dict[str, Any] = {}
    if wish.prompt is not None:
        asked["prompt"] = clean(wish.prompt)
    if wish.recipe is not None:
        asked |= {"recipe": wish.recipe.name, "recipe_sha256": wish.recipe.sha256}
    if wish.strength is not None:
        asked["strength"] = wish.strength
    if wish.seed is not None:
        asked["seed"] = wish.seed
    elif not asked:
        asked["seed"] = _next_seed(session, restoration, scene)
    return {**scene.overrides, **asked}


def scene_recipe(
    session: Session, restoration: RestorationRow, scene: RestorationSceneRow
) -> Recipe:
    """Return the recipe of one scene: the restoration's, with what a person changed for the scene.

    A recipe that was named for the scene gives its `restore` and `prompt`; its takes get the pixel
    format of the restoration's, since all of them go into one master.
    """
    recipe = recipe_of(session, restoration)
    named = scene.overrides.get("recipe_sha256")
    if named is not None:
        other = Recipe.model_validate(session.get_one(RecipeRow, named).resolved)
        pixel_format = restoration.take_format.get("video", {}).get("pix_fmt", "auto")
        restore = other.restore.model_copy(update={"pixel_format": pixel_format})
        recipe = recipe.model_copy(update={"restore": restore, "prompt": other.prompt})
    strength = scene.overrides.get("strength")
    if strength is not None:
        *steps, last = recipe.restore.steps
        changed = Step(use=last.use, options={**last.options, "strength": strength})
        restore = recipe.restore.model_copy(update={"steps": (*steps, changed)})
        recipe = recipe.model_copy(update={"restore": restore})
    return recipe


def record_recipe(session: Session, recipe: Recipe) -> None:
    """Record a recipe, so that a scene can name it."""
    resolved = recipe.model_dump(mode="json")
    values = {"sha256": recipe.sha256, "name": recipe.name, "text": "", "resolved": resolved}
    insert_missing(session, RecipeRow, values, ["sha256"])


def caption_job(scene: RestorationSceneRow, film_id: str, priority: int = 0) -> NewJob:
    """Return the job that finds a scene's words, resolves its chain and wants its take."""
    return NewJob(
        JobKind.CAPTION,
        dedupe_key(JobKind.CAPTION, scene.restoration_id, scene.number),
        restoration_id=scene.restoration_id,
        film_id=film_id,
        scene_number=scene.number,
        priority=priority,
    )


def _leave_to_agents(
    session: Session,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    wish: Wish,
    priority: int,
    max_attempts: int,
) -> None:
    known = _needs_of_wanted(session, scene)
    if wish.is_new_seed and known is not None and scene.wanted_spec is not None:
        spec = replace(Spec.from_json(scene.wanted_spec), seed=scene.overrides["seed"])
        key = take_key(restoration.film_id, FrameRange(scene.start, scene.end), spec)
        if find_take(session, key) is None:
            want(session, restoration.id, scene.number, spec, key, priority=priority,
                 max_attempts=max_attempts, needs=known)  # fmt: skip
            return
    for kinds, number in (
        ((JobKind.RESTORE, JobKind.SCORE), scene.number),
        ((JobKind.ASSEMBLE,), None),
    ):
        close_queued(session, restoration.id, kinds, scene=number)
    scene.wanted_spec, scene.wanted_take_key, scene.flags = None, None, []
    restoration.state = RestorationState.OPEN
    session.flush()
    enqueue(session, caption_job(scene, restoration.film_id, priority), reopen=True)


def _needs_of_wanted(session: Session, scene: RestorationSceneRow) -> Needs | None:
    """What the job of the take that was wanted asked of an agent; None if there was none here."""
    key = dedupe_key(JobKind.RESTORE, scene.restoration_id, scene.wanted_take_key or "")
    payload = session.scalar(select(JobRow.payload).where(JobRow.dedupe_key == key))
    return None if payload is None else Needs.from_json(payload)


def _next_seed(session: Session, restoration: RestorationRow, scene: RestorationSceneRow) -> int:
    takes = select(TakeRow.spec).where(
        TakeRow.film_id == restoration.film_id,
        TakeRow.start == scene.start,
        TakeRow.end == scene.end,
    )
    had = {int(spec["seed"]) for spec in session.scalars(takes)}
    default = scene_recipe(session, restoration, scene).restore.seed
    seed = int(scene.overrides.get("seed", default))
    had.add(seed)
    while seed in had:
        seed = (seed + 1) % SEEDS
    return seed


def _tell(
    session: Session,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    take: TakeRow | None,
    overrides: dict[str, Any],
    reviewer: str,
    reason: str,
) -> None:
    record_review(
        session, restoration, scene.number, ReviewDecision.REJECT, take,
        reviewer=reviewer, reason=reason,
        said={"decision": "redo", "before": scene.overrides, "after": overrides},
    )  # fmt: skip
