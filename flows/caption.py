"""Captions of a film, made, shown and edited, without restoring anything.

An edit changes what a scene is told, and so its spec: the next `restar restore` makes that scene's take
and no other. A person's caption belongs to the film and stands in every recipe; a person's prompt belongs
to the restoration. Both are events, with what was there before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from catalog.captions import (
    PERSON,
    clear_person,
    find_caption,
    forget_caption,
    person_caption,
    record_caption,
)
from catalog.events import EventType, append, restoration_stream
from catalog.models import RestorationRow, RestorationSceneRow
from catalog.restorations import recipe_of, restoration_scenes, restorations_of, set_overrides
from flows.chains import plan_here
from flows.prepare import open_for
from flows.wants import record_words
from restar.errors import UsageError
from restar.progress import track
from restar.prompt import MOST_CHARACTERS, clean
from restar.recipe import Recipe, load_recipe
from restar.timeline import FrameRange
from tasks.caption import Members, Teller
from tasks.guard import waver_revision
from tasks.house import House, OpenFilm, open_film
from tasks.ingest import ingest

__all__ = ["Captioned", "Edit", "caption_film"]


@dataclass(frozen=True)
class Edit:
    """What a person asks of scenes; an empty prompt or caption is one, too (None = not asked).

    `again`: forget edits and captions of these scenes and have them captioned anew.
    """

    prompt: str | None = None
    caption: str | None = None
    again: bool = False

    def check(self) -> None:
        """Raise UsageError for edits that contradict each other or are too long."""
        if self.again and (self.prompt is not None or self.caption is not None):
            raise UsageError("--again forgets what was edited; give it without --set or --caption")
        for text in (self.prompt, self.caption):
            if text is not None and len(text) > MOST_CHARACTERS:
                raise UsageError(
                    f"a text of {len(text):,} characters: give at most {MOST_CHARACTERS:,}"
                )

    def __bool__(self) -> bool:
        return self.again or self.prompt is not None or self.caption is not None


@dataclass(frozen=True)
class Captioned:
    """The scenes of a restoration in words, and who spoke and why."""

    film_id: str
    restoration_id: str
    recipe: str
    captioner: str
    why: str
    scenes: list[dict[str, Any]]


def caption_film(
    house: House,
    path: Path,
    recipe: Recipe | None = None,
    numbers: Sequence[int] = (),
    edit: Edit | None = None,
) -> Captioned:
    """Caption the scenes of a film (all, or `numbers`), after an edit of them; return them in words.

    Without `recipe` it is the one of the film's restorations, or `default`. Raises UsageError where
    the film has several, PluginError or CheckpointError where the captioner is not here.
    """
    edit = edit or Edit()
    edit.check()
    film = open_film(house, ingest(house, path=path))
    chosen = recipe or _recipe_of(house, film)
    plan = plan_here(house, film, chosen)
    members = Members()
    teller = Teller(house, film, chosen, plan, members)
    restoration, scenes = open_for(house, film, plan, chosen, tuple(numbers))
    asked = [scene for scene in scenes if not numbers or scene.number in numbers]
    if edit:
        _apply(house, teller, restoration, asked, edit)
        with house.catalog.read() as session:
            scenes = restoration_scenes(session, restoration.id)
        asked = [scene for scene in scenes if not numbers or scene.number in numbers]
    _look(teller, scenes, asked)
    members.free()
    words = {scene.number: teller.words(scene) for scene in asked}
    with house.catalog.begin() as session:
        record_words(session, house, restoration, words, teller)
    with house.catalog.read() as session:
        shown = {scene.number: scene for scene in restoration_scenes(session, restoration.id)}
        listed = [_told(session, teller, shown[scene.number]) for scene in asked]
    return Captioned(film.row.id, restoration.id, chosen.name, teller.name, teller.why, listed)


def _recipe_of(house: House, film: OpenFilm) -> Recipe:
    with house.catalog.read() as session:
        recipes = {
            row.recipe_sha256: recipe_of(session, row)
            for row in restorations_of(session, film.row.id)
        }
    if len(recipes) > 1:
        names = ", ".join(sorted({recipe.name for recipe in recipes.values()}))
        raise UsageError(
            f"{film.path.name}: was restored by several recipes ({names}); name one by --recipe"
        )
    return next(iter(recipes.values()), None) or load_recipe("default")


def _look(
    teller: Teller, scenes: Sequence[RestorationSceneRow], asked: Sequence[RestorationSceneRow]
) -> None:
    if not teller.looks:
        return
    with track(f"captioning {teller.film.path.name}", "scenes", len(asked)) as advance:
        for scene in asked:
            teller.look(scene, scenes)
            advance(1)


def _apply(
    house: House,
    teller: Teller,
    restoration: RestorationRow,
    scenes: Sequence[RestorationSceneRow],
    edit: Edit,
) -> None:
    film_id = restoration.film_id
    with house.catalog.begin() as session:
        for scene in scenes:
            frames = FrameRange(scene.start, scene.end)
            written = person_caption(session, film_id, frames)
            before = {
                "prompt": scene.overrides.get("prompt"),
                "caption": written.text if written else None,
            }
            overrides = dict(scene.overrides)
            if edit.prompt is not None:
                overrides["prompt"] = clean(edit.prompt)
            if edit.caption is not None:
                record_caption(
                    session, film_id, frames, PERSON, clean(edit.caption),
                    captioner=PERSON, made_by=house.who,
                )  # fmt: skip
            if edit.again:
                overrides.pop("prompt", None)
                clear_person(session, film_id, frames)
                forget_caption(session, film_id, frames, teller.revision)
                forget_caption(session, film_id, frames, waver_revision(teller.revision))
            set_overrides(session, restoration.id, scene.number, overrides)
            append(
                session,
                restoration_stream(restoration.id),
                EventType.METADATA_MODIFICATION,
                film_id=film_id,
                agent=house.who,
                detail={
                    "scene": scene.number,
                    "again": edit.again,
                    "before": before,
                    "after": {
                        "prompt": overrides.get("prompt"),
                        "caption": None if edit.caption is None else clean(edit.caption),
                    },
                },
            )


def _told(session: Session, teller: Teller, scene: RestorationSceneRow) -> dict[str, Any]:
    """One scene as plain data."""
    record = scene.prompt_record or {}
    frames = FrameRange(scene.start, scene.end)
    row = find_caption(session, teller.film.row.id, frames, scene.captioner)
    facts = teller.view(scene).facts
    return {
        "scene": scene.number,
        "start": scene.start,
        "end": scene.end,
        "captioner": scene.captioner,
        "caption": scene.caption or "",
        "prompt": scene.prompt or "",
        "negative": teller.recipe.prompt.negative,
        "source": record.get("source", ""),
        "left_out": record.get("left_out", []),
        "cut": record.get("cut", ""),
        "tokens": record.get("tokens", 0),
        "limit": record.get("limit", 0),
        "marks": scene.marks,
        "facts": dict(facts),
        "tags": (row.detail.get("tags", []) if row else []),
        "shared_with": (row.detail.get("shared_with") if row else None),
    }
