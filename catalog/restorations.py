"""Restorations: a film under a recipe and a shot list, and what is wanted of each of its scenes.

A scene's wish is a spec, and so a take key. A take of that key which is there is selected at once,
whichever restoration it was made for; only a take that is not there becomes a job.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from catalog.jobs import NewJob, close_queued, close_stale, dedupe_key, enqueue
from catalog.models import (
    FilmRow,
    JobKind,
    JobRow,
    JobState,
    RecipeRow,
    RestorationRow,
    RestorationSceneRow,
    RestorationState,
    ReviewDecision,
    ReviewRow,
    SelectionRow,
    TakeRow,
    TakeState,
)
from catalog.shots import scenes_of
from catalog.turns import work_is_open
from catalog.types import insert_missing, now, plain_text
from restar.errors import UsageError
from restar.hashing import sha256_of
from restar.needs import NONE, Needs
from restar.recipe import Recipe
from restar.spec import Spec

__all__ = [
    "enqueue_assemble",
    "find_restoration",
    "find_take",
    "find_takes",
    "is_rejected",
    "lock_restoration",
    "open_restoration",
    "recipe_of",
    "restoration_scene",
    "restoration_scenes",
    "restorations_of",
    "select_take",
    "selected_takes",
    "set_output",
    "set_overrides",
    "set_words",
    "settled_before",
    "unselect",
    "want",
]

_AT_ONCE = 500  # keys in one query: SQLite takes 32,766 parameters, older ones 999
RULE_FIRST = "first"  # the take of the wanted key, as it is made
RULE_PERSON = "person"


def open_restoration(
    session: Session,
    film_id: str,
    recipe: Recipe,
    shot_list_id: int,
    take_format: dict[str, Any],
    *,
    agent: str,
    recipe_text: str = "",
    settled: Mapping[str, Any] | None = None,
) -> RestorationRow:
    """Return the restoration of a film by a recipe over a shot list; the same three, the same one.

    `take_format` is what all its takes will share, `settled` what the recipe left to `auto`, by the
    number of the step; those that were recorded first stay, and are in the row. `recipe_text` is the
    recipe as it was written.
    """
    resolved = recipe.model_dump(mode="json")
    insert_missing(
        session,
        RecipeRow,
        {"sha256": recipe.sha256, "name": recipe.name, "text": recipe_text, "resolved": resolved},
        ["sha256"],
    )
    key = {"film_id": film_id, "recipe_sha256": recipe.sha256, "shot_list_id": shot_list_id}
    restoration_id = sha256_of(key)
    values = {
        "id": restoration_id, **key, "take_format": take_format, "settled": dict(settled or {}),
        "opened_by": agent,
    }  # fmt: skip
    if insert_missing(session, RestorationRow, values, ["id"]):
        session.add_all(
            RestorationSceneRow(
                restoration_id=restoration_id, number=scene.number, start=scene.start, end=scene.end
            )
            for scene in scenes_of(session, shot_list_id)
        )
        session.flush()
    return session.get_one(RestorationRow, restoration_id, populate_existing=True)


def settled_before(
    session: Session, film_id: str, recipe: Recipe, shot_list_id: int
) -> dict[str, Any]:
    """Return what `auto` came to when the restoration was opened; {} where there is none yet."""
    key = {"film_id": film_id, "recipe_sha256": recipe.sha256, "shot_list_id": shot_list_id}
    row = session.get(RestorationRow, sha256_of(key))
    return {} if row is None else dict(row.settled)


def set_output(session: Session, restoration_id: str, output: str) -> None:
    """Say in which folder the next master goes; a queued assembly for another one is cancelled."""
    row = lock_restoration(session, restoration_id)
    if row.output != output:
        row.output = output
        session.flush()
        close_queued(session, restoration_id, (JobKind.ASSEMBLE,))


def set_overrides(
    session: Session, restoration_id: str, scene: int, overrides: dict[str, Any]
) -> None:
    """Record what a person changed for one scene against the recipe, such as {"seed": 7}."""
    _scene(session, restoration_id, scene).overrides = overrides
    session.flush()


def set_words(
    session: Session,
    restoration_id: str,
    scene: int,
    *,
    caption: str,
    captioner: str,
    prompt: str,
    record: Mapping[str, Any] | None = None,
    marks: Sequence[str] = (),
) -> bool:
    """Record a scene's caption (by a captioner's revision), the prompt made of it and how, and marks.

    Returns whether any of it is new.
    """
    row = _scene(session, restoration_id, scene)
    new = {
        "caption": plain_text(caption), "captioner": captioner, "prompt": plain_text(prompt),
        "prompt_record": dict(record) if record else None, "marks": list(marks),
    }  # fmt: skip
    if all(getattr(row, name) == value for name, value in new.items()):
        return False
    for name, value in new.items():
        setattr(row, name, value)
    session.flush()
    return True


def want(
    session: Session,
    restoration_id: str,
    scene: int,
    spec: Spec,
    take_key: str,
    *,
    overrides: dict[str, Any] | None = None,
    prompt: str | None = None,
    priority: int = 0,
    max_attempts: int = 3,
    needs: Needs = NONE,
) -> bool:
    """Say which take a scene should have; return whether it has to be made.

    If a take of that key is there it is selected and nothing is queued. Else a `restore` job is queued
    with payload {"take_key", "spec"} and what it `needs`, or opened again if it was done, failed or
    cancelled. Jobs still queued for an older wish of the scene are cancelled.
    """
    restoration = lock_restoration(session, restoration_id)
    row = _scene(session, restoration_id, scene)
    changed = row.wanted_take_key != take_key
    row.wanted_spec, row.wanted_take_key = spec.to_json(), take_key
    row.overrides = row.overrides if overrides is None else overrides
    row.prompt = row.prompt if prompt is None else prompt
    row.flags = [] if changed else row.flags
    session.flush()
    job_key = dedupe_key(JobKind.RESTORE, restoration_id, take_key)
    take = find_take(session, take_key)
    if take is not None:
        done = JobState.DONE
        close_queued(session, restoration_id, (JobKind.RESTORE,), only=job_key, state=done)
    if changed or take is None:
        close_stale(session, restoration_id, scene)
    if take is not None:
        select_take(session, restoration_id, scene, take, decided_by="restar", asked=changed)
        return False
    unselect(session, restoration_id, scene)
    restoration.state = RestorationState.OPEN
    session.flush()
    payload = {"take_key": take_key, "spec": spec.to_json(), **needs.to_json()}
    enqueue(
        session,
        NewJob(
            JobKind.RESTORE,
            job_key,
            restoration_id,
            restoration.film_id,
            scene,
            payload,
            priority,
            max_attempts,
            cost=float(row.end - row.start),
        ),
        reopen=True,
    )
    return True


def enqueue_assemble(session: Session, restoration_id: str) -> int | None:
    """Queue the assembly if every scene has the take that is wanted and nothing is open before it.

    Returns the job's id, or None if it is too early. An assembly of the same takes into the same
    folder that was done before is opened again: ask only if its master is missing.
    """
    restoration = lock_restoration(session, restoration_id)
    if work_is_open(session, restoration_id):
        return None
    scenes = restoration_scenes(session, restoration_id)
    takes = selected_takes(session, restoration_id)
    if len(takes) < len(scenes):
        return None
    chosen = [[number, take.take_key] for number, take in sorted(takes.items())]
    payload = {"output": restoration.output}
    result = sha256_of({"takes": chosen, **payload})
    key = dedupe_key(JobKind.ASSEMBLE, restoration_id, result)
    priority = session.scalar(
        select(func.max(JobRow.priority)).where(JobRow.restoration_id == restoration_id)
    )
    job = NewJob(
        JobKind.ASSEMBLE, key, restoration_id, restoration.film_id, payload=payload,
        priority=priority or 0,
    )  # fmt: skip
    return enqueue(session, job, reopen=True)


def select_take(
    session: Session,
    restoration_id: str,
    scene: int,
    take: TakeRow,
    *,
    decided_by: str,
    rule: str = RULE_FIRST,
    asked: bool = False,
) -> None:
    """Select a take for a scene. The rule `first` does not override what a person decided.

    What a person rejected there no rule selects again, unless a wish for it is new (`asked`).
    """
    if rule != RULE_PERSON and not asked and is_rejected(session, restoration_id, scene, take.id):
        return
    key = {"restoration_id": restoration_id, "scene_number": scene}
    choice = {"take_id": take.id, "rule": rule, "decided_by": decided_by}
    if insert_missing(session, SelectionRow, {**key, **choice}, list(key)):
        return
    changed = or_(SelectionRow.take_id != take.id, SelectionRow.rule != rule)
    query = update(SelectionRow).filter_by(**key).where(changed)
    if rule == RULE_FIRST:
        query = query.where(SelectionRow.rule == RULE_FIRST)
    session.execute(query.values(**choice, selected_at=now()))


def is_rejected(session: Session, restoration_id: str, scene: int, take_id: int) -> bool:
    """Whether a person's last word on a take for a scene was no."""
    last = session.scalar(
        select(ReviewRow.decision)
        .where(
            ReviewRow.restoration_id == restoration_id,
            ReviewRow.scene_number == scene,
            ReviewRow.take_id == take_id,
        )
        .order_by(ReviewRow.id.desc())
        .limit(1)
    )
    return last is ReviewDecision.REJECT


def selected_takes(session: Session, restoration_id: str) -> dict[int, TakeRow]:
    """Return the selected takes that are there, by scene number; a scene without one is left out."""
    rows = session.execute(
        select(SelectionRow.scene_number, TakeRow)
        .join(TakeRow, TakeRow.id == SelectionRow.take_id)
        .where(SelectionRow.restoration_id == restoration_id, TakeRow.state == TakeState.OK)
        .order_by(SelectionRow.scene_number)
        .execution_options(populate_existing=True)
    )
    return {number: take for number, take in rows}


def find_take(session: Session, take_key: str) -> TakeRow | None:
    """Return the take of a key if it is there and not lost."""
    return session.scalars(
        select(TakeRow)
        .where(TakeRow.take_key == take_key, TakeRow.state == TakeState.OK)
        .execution_options(populate_existing=True)
    ).first()


def find_takes(session: Session, keys: Collection[str]) -> list[TakeRow]:
    """Return the takes of those keys that are there and not lost."""
    found: list[TakeRow] = []
    ordered = sorted(set(keys))
    for start in range(0, len(ordered), _AT_ONCE):
        some = TakeRow.take_key.in_(ordered[start : start + _AT_ONCE])
        query = select(TakeRow).where(some, TakeRow.state == TakeState.OK)
        found += session.scalars(query.execution_options(populate_existing=True))
    return found


def restoration_scenes(session: Session, restoration_id: str) -> list[RestorationSceneRow]:
    """Return what is wanted of each scene, in order."""
    return list(
        session.scalars(
            select(RestorationSceneRow)
            .where(RestorationSceneRow.restoration_id == restoration_id)
            .order_by(RestorationSceneRow.number)
        )
    )


def restoration_scene(session: Session, restoration_id: str, number: int) -> RestorationSceneRow:
    """Return what is wanted of one scene; raise UsageError if there is none of that number."""
    return _scene(session, restoration_id, number)


def restorations_of(session: Session, film_id: str) -> list[RestorationRow]:
    """Return a film's restorations, oldest first."""
    return list(
        session.scalars(
            select(RestorationRow)
            .where(RestorationRow.film_id == film_id)
            .order_by(RestorationRow.opened_at, RestorationRow.id)
        )
    )


def find_restoration(session: Session, film_id: str, prefix: str | None = None) -> RestorationRow:
    """Return a film's only restoration, or the one whose id begins with `prefix`.

    Raises UsageError, which lists the candidates if there are several.
    """
    film = session.get_one(FilmRow, film_id)
    name = film.title or film.accession or film.paths[0]
    every = restorations_of(session, film_id)
    rows = [row for row in every if row.id.startswith(prefix or "")]
    if len(rows) == 1:
        return rows[0]
    if not every:
        raise UsageError(f"{name}: has no restoration yet; `restar restore` makes one")
    has = f"{len(rows)} restorations" if rows else f"no restoration {prefix}"
    named = "; ".join(f"{row.id[:12]} ({recipe_of(session, row).name})" for row in rows or every)
    raise UsageError(f"{name}: has {has}, choose by --restoration: {named}")


def recipe_of(session: Session, restoration: RestorationRow) -> Recipe:
    """Return the recipe of a restoration as it was understood when it was opened."""
    row = session.get_one(RecipeRow, restoration.recipe_sha256)
    return Recipe.model_validate(row.resolved)


def lock_restoration(session: Session, restoration_id: str) -> RestorationRow:
    """Return a restoration and hold it until the transaction ends.

    Two agents that commit a restoration's last two takes at once would each still see the other's
    job open, and neither would queue the assembly.
    """
    return session.get_one(
        RestorationRow, restoration_id, with_for_update=True, populate_existing=True
    )


def _scene(session: Session, restoration_id: str, number: int) -> RestorationSceneRow:
    row = session.get(RestorationSceneRow, (restoration_id, number), populate_existing=True)
    if row is None:
        known = len(restoration_scenes(session, restoration_id))
        raise UsageError(f"there is no scene {number}: the shot list has scenes 1 to {known}")
    return row


def unselect(session: Session, restoration_id: str, scene: int) -> None:
    """Take back what the rule `first` selected; what a person or another rule chose stays."""
    session.execute(
        delete(SelectionRow).where(
            SelectionRow.restoration_id == restoration_id,
            SelectionRow.scene_number == scene,
            SelectionRow.rule == RULE_FIRST,
        )
    )
