"""Choosing: what follows from a take's flags, by the `select` section of a recipe.

`first` lets the take stand and its flags warn. Where the recipe gives a second try, a flagged take is
made once more with other options. `best` then takes the one with fewer flags, and of equals the better
by a score; `ask` selects a flagged take not at all: it waits for a person. Whatever the rule, a flagged
take that a model made gets a plain resize beside it, which invents nothing.
"""

import logging
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from catalog.base import JobKind
from catalog.commits import scores_of
from catalog.jobs import Lease, NewJob, dedupe_key, enqueue
from catalog.models import RestorationRow, RestorationSceneRow, TakeRow
from catalog.redo import scene_recipe
from catalog.restorations import select_take, unselect
from catalog.reviews import candidates
from media.format import TakeFormat
from restar.errors import RestarError
from restar.needs import NONE, Needs
from restar.recipe import Recipe, Step
from restar.spec import Spec, take_key
from restar.timeline import FrameRange
from restorers import invents
from tasks.house import House, OpenFilm
from tasks.plan import Answers, plain_scale, plan_restoration, spec_of

__all__ = ["choose", "plain_spec"]

_log = logging.getLogger("restar.choose")


def choose(
    session: Session, house: House, film: OpenFilm, lease: Lease, take: TakeRow, flags: list[str]
) -> None:
    """Do what the recipe says once a take is scored; in the transaction that records its scores."""
    restoration = session.get_one(RestorationRow, lease.restoration_id)
    scene = session.get_one(RestorationSceneRow, (restoration.id, lease.scene_number))
    recipe = scene_recipe(session, restoration, scene)
    role = lease.payload.get("role") or _role(session, scene, take)
    if role == "plain":
        return
    if role == "first":
        if not flags:
            return
        spec = plain_spec(film, restoration, take)
        if spec is not None:
            _queue(session, restoration, scene, spec, "plain", priority=lease.priority)
        second = None
        if recipe.select.second_try and _invents(take):
            second = _second_spec(film, recipe, restoration.settled, scene, take)
        if recipe.select.rule == "ask":
            unselect(session, restoration.id, scene.number)
        if second is not None:
            _queue(
                session, restoration, scene, second[0], "second", second[1],
                priority=lease.priority,
            )  # fmt: skip
        return
    _after_second(session, house, restoration, scene, recipe, take, flags)


def plain_spec(film: OpenFilm, restoration: RestorationRow, take: TakeRow) -> Spec | None:
    """Return the spec of a plain resize in the take's format; None where the take is one, or can't be."""
    if not _invents(take):
        return None
    video, source = TakeFormat.from_json(restoration.take_format).video, film.info.format
    scale = plain_scale(source, video)
    if scale is None:
        _log.warning("no plain resize beside a take of %dx%d: not a whole multiple of the source",
                     video.width, video.height)  # fmt: skip
        return None
    recipe = Recipe.model_validate(
        {
            "name": "plain",
            "restore": {
                "steps": [{"use": "resize", "options": {"scale": scale}}],
                "pixel_format": video.pix_fmt,
            },
        }
    )
    try:
        plan = plan_restoration(film, recipe)
    except RestarError as error:
        _log.warning("no plain resize beside a flagged take: %s", error)
        return None
    spec = spec_of(plan, recipe, "", 0)
    return replace(spec, format=restoration.take_format)


def _invents(take: TakeRow) -> bool:
    return any(invents(step["use"]) for step in take.spec["steps"])


def _second_spec(
    film: OpenFilm,
    recipe: Recipe,
    answers: Answers,
    scene: RestorationSceneRow,
    take: TakeRow,
) -> tuple[Spec, Needs] | None:
    """The take's spec with the second try's options in its last step, and what it needs of an agent.

    None where these options change nothing.
    """
    options: dict[str, Any] = dict(recipe.select.second_try)
    seed = options.pop("seed", take.spec["seed"])
    *steps, last = recipe.restore.steps
    changed = Step(use=last.use, options={**last.options, **options})
    restore = recipe.restore.model_copy(update={"steps": (*steps, changed)})
    changed_recipe = recipe.model_copy(update={"restore": restore})
    plan = plan_restoration(film, changed_recipe, answers)
    first = Spec.from_json(take.spec)
    spec = replace(first, steps=plan.steps, seed=int(seed))
    if spec == first or plan.take_format.to_json() != take.spec["format"]:
        return None
    return spec, plan.needs


def _queue(
    session: Session,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    spec: Spec,
    role: str,
    needs: Needs = NONE,
    priority: int = 0,
) -> None:
    key = take_key(restoration.film_id, FrameRange(scene.start, scene.end), spec)
    payload = {
        "take_key": key, "spec": spec.to_json(), "role": role, "beside": scene.wanted_take_key,
        **needs.to_json(),
    }  # fmt: skip
    job = NewJob(
        JobKind.RESTORE,
        dedupe_key(JobKind.RESTORE, restoration.id, key),
        restoration_id=restoration.id,
        film_id=restoration.film_id,
        scene_number=scene.number,
        payload=payload,
        priority=priority,
    )
    enqueue(session, job, reopen=True)


def _role(session: Session, scene: RestorationSceneRow, take: TakeRow) -> str:
    for role, one in candidates(session, scene).items():
        if one.take_key == take.take_key:
            return role
    return "plain"  # of an older wish: nothing follows from it


def _after_second(
    session: Session,
    house: House,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    recipe: Recipe,
    take: TakeRow,
    flags: list[str],
) -> None:
    if not flags:
        pick = True
    elif recipe.select.rule == "best":
        pick = _rank(session, house, recipe, take, len(flags)) > _rank(
            session, house, recipe, candidates(session, scene)["first"], len(scene.flags)
        )
    else:
        pick = False
    if pick:
        select_take(
            session, restoration.id, scene.number, take, decided_by="restar", rule="second-try"
        )
        scene.flags = flags
        session.flush()


def _rank(
    session: Session, house: House, recipe: Recipe, take: TakeRow, flags: int
) -> tuple[float, float]:
    row = next((r for r in scores_of(session, take) if r.metric == recipe.select.by), None)
    mean = row.summary["mean"] if row else None
    if mean is None:
        return (-flags, 0.0)
    return (-flags, mean if row and row.summary["better"] == "higher" else -mean)
