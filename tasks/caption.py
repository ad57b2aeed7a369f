"""Captions and prompts: what a scene shows, in words, and what a restorer is told of it.

A `Teller` knows one film under one recipe: which captioner speaks, what was said before, what a person
wrote, and the policy that makes a prompt of it. Captions are kept by film, range and revision, so none is
made twice; a captioner that looks at stills is asked for several scenes at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from captioners import Caption, Captioner, SceneView, captioner, describe
from captioners.auto import best_captioner
from captioners.facts import condition_in_words, picture_in_words
from captioners.scenefacts import SceneFacts
from captioners.similar import near_identical
from captioners.tags import tags_of
from catalog.captions import find_caption, person_caption, record_caption
from catalog.models import RestorationSceneRow
from media.convert import to_rgb
from media.frames import decode_range
from restar.progress import track
from restar.prompt import PromptRecord, clean, make_prompt
from restar.recipe import Recipe
from restar.timeline import FrameRange
from restorers import Restorer, restorer
from tasks.condition import condition_of
from tasks.house import House, OpenFilm
from tasks.measure import FactsOfFilm, measures_of
from tasks.plan import Plan
from tasks.step import step

__all__ = ["TEXT_CARD", "Members", "Teller", "Words", "caption_scenes", "is_resized", "stills_of"]

Still = NDArray[np.uint8]

TEXT_CARD = "text-card"
_LONG_SIDE = 768
_NOTHING_LISTENS = "no step of the recipe listens to text"
_CARD = "a text card: resized, as the recipe says"


@dataclass
class Members:
    """Captioners kept from scene to scene; `free` lets go of their models."""

    _members: dict[str, Captioner] = field(default_factory=dict)

    def get(self, name: str, house: House) -> Captioner:
        if name not in self._members:
            member = captioner(name)
            if hasattr(member, "weights"):
                member.weights = house.settings.home / "weights"
            self._members[name] = member
        return self._members[name]

    def free(self) -> None:
        for member in self._members.values():
            getattr(member, "free", lambda: None)()


@dataclass(frozen=True)
class Words:
    """What is known of a scene in words: caption, prompt, and marks such as `text-card`.

    `card`: it is a text card which the recipe gives to a plain resize.
    """

    caption: Caption
    prompt: PromptRecord
    marks: tuple[str, ...] = ()
    card: bool = False


class Teller:
    """Finds words for the scenes of a film under a recipe.

    Raises PluginError or CheckpointError where the recipe's captioner is not here.
    """

    def __init__(
        self,
        house: House,
        film: OpenFilm,
        recipe: Recipe,
        plan: Plan,
        members: Members | None = None,
    ) -> None:
        self.house, self.film, self.recipe, self.plan = house, film, recipe, plan
        self._listeners = [
            (member, resolved)
            for resolved in plan.steps
            if getattr(member := restorer(resolved.use), "uses_prompt", True)
        ]
        self.name, self.options, self.why = self._chosen()
        self.member = (members or Members()).get(self.name, house)
        self.revision = self.member.revision(self.options)
        self.looks = self.member.stills(self.options) > 0
        self._facts: FactsOfFilm | None = None

    def words(self, scene: RestorationSceneRow) -> Words | None:
        """Return a scene's words; None where the captioner has yet to look at it."""
        caption = self._caption(scene)
        if caption is None:
            return None
        facts = self._facts_of(scene)
        marks = _marks(facts)
        if is_resized(self.plan, marks, scene.overrides):
            return Words(caption, PromptRecord("", _CARD), marks, card=True)
        return Words(caption, self._prompt(scene, caption, facts), marks)

    def look(self, scene: RestorationSceneRow, scenes: Sequence[RestorationSceneRow]) -> None:
        """Have a scene captioned, and as many of the following ones of `scenes` as make a batch."""
        count = int(getattr(self.member, "batch", lambda _options: 1)(self.options))
        waiting = [
            one for one in scenes if one.number >= scene.number and self._caption(one) is None
        ]
        if waiting:
            caption_scenes(self, scenes, waiting[:count], number=scene.number)

    def view(self, scene: RestorationSceneRow) -> SceneView:
        """Return what the captioner may know of a scene, without stills."""
        stated = self._facts_of(scene)
        facts = {} if stated is None else stated.to_json()
        return SceneView((), facts, scene.number, self.film.path)

    def _chosen(self) -> tuple[str, dict[str, Any], str]:
        prompt, settings = self.recipe.prompt, self.house.settings
        if prompt.captioner == "auto":
            name, options, why = best_captioner(settings.home / "weights", bool(self._listeners))
        else:
            name, options, why = prompt.captioner, dict(prompt.options), "the recipe names it"
        if name == "fixed":
            options = {"text": prompt.text, **options}
        if name == "transformers":
            options = {
                "device": settings.caption_device, "dtype": settings.caption_dtype, **options,
            }  # fmt: skip
        return name, options, why

    def _caption(self, scene: RestorationSceneRow) -> Caption | None:
        frames = FrameRange(scene.start, scene.end)
        with self.house.catalog.read() as session:
            written = person_caption(session, self.film.row.id, frames)
            if written is not None:
                return Caption(written.text, written.revision, "person")
            if self.looks:
                row = find_caption(session, self.film.row.id, frames, self.revision)
                return None if row is None else Caption(row.text, row.revision, "model")
        return describe(self.member, [self.view(scene)], self.options)[0]

    def _facts_of(self, scene: RestorationSceneRow) -> SceneFacts | None:
        blind = self.name == "fixed" and not self._listeners and self.plan.card_steps is None
        if blind and not _wants_facts(self.recipe):
            return None
        if self._facts is None:
            self._facts = measures_of(self.house, self.film)
        return self._facts.of(scene.start, scene.end)

    def _prompt(
        self, scene: RestorationSceneRow, caption: Caption, facts: SceneFacts | None
    ) -> PromptRecord:
        prompt = self.recipe.prompt
        count, counted = _counter(self._listeners)
        by_person = scene.overrides.get("prompt")
        if by_person is not None:  # somebody's own words: nothing is left out
            return make_prompt(
                "{caption}", {"caption": by_person}, source="person", limit=prompt.limit,
                names_blocked=False, count=count, counted=counted,
            )  # fmt: skip
        template = prompt.template
        if template is None and not self._listeners and self.name != "fixed":
            return PromptRecord("", _NOTHING_LISTENS)
        stated = facts.to_json() if facts is not None else {}
        picture = picture_in_words(stated)
        return make_prompt(
            _card_template(self._listeners) if template is None else template,
            {
                # what became of the print is told to people; a restorer would draw it
                "caption": picture if caption.kind == "template" else caption.text,
                "facts": picture,
                "condition": self._condition(scene) or condition_in_words(stated),
            },
            source=caption.revision,
            limit=prompt.limit,
            names_blocked=prompt.names == "leave out" and caption.kind not in {"person", "fixed"},
            block=prompt.block,
            allow=prompt.allow,
            count=count,
            counted=counted,
        )

    def _condition(self, scene: RestorationSceneRow) -> str | None:
        """The condition in the words of the one that listens; None where it has none of its own."""
        frames = FrameRange(scene.start, scene.end)
        said = (
            condition_of(self.house, self.film, frames, member, resolved)
            for member, resolved in self._listeners
        )
        return next((one for one in said if one), None)


def is_resized(plan: Plan, marks: Sequence[str], overrides: Mapping[str, Any]) -> bool:
    """Whether a scene is a text card that gets a plain resize.

    Not where a person wrote its prompt: that is what a restorer is to be told, card or no card.
    """
    return plan.card_steps is not None and TEXT_CARD in marks and "prompt" not in overrides


@step("caption scene {number}")
def caption_scenes(
    teller: Teller,
    scenes: Sequence[RestorationSceneRow],
    wanted: Sequence[RestorationSceneRow],
    *,
    number: int,
) -> None:
    """Caption scenes by their stills and record it (`number` names the run).

    A scene that looks the same as the one before it gets that one's caption, and says so.
    """
    house, film = teller.house, teller.film
    looked: list[tuple[RestorationSceneRow, list[Still]]] = []
    same: dict[int, RestorationSceneRow] = {}
    with track(f"looking at {film.path.name}", "scenes", len(wanted)) as advance:
        for scene in wanted:
            stills = stills_of(teller, scene)
            before = next((one for one in scenes if one.number == scene.number - 1), None)
            advance(1)
            if (
                before is not None
                and _said_already(teller, before, wanted)
                and near_identical(stills, stills_of(teller, before))
            ):
                same[scene.number] = before
            else:
                looked.append((scene, stills))
    views = [
        SceneView(tuple(stills), teller.view(scene).facts, scene.number, film.path)
        for scene, stills in looked
    ]
    said = describe(teller.member, views, teller.options) if views else []
    new = {scene.number: caption for (scene, _), caption in zip(looked, said, strict=True)}
    tags = {scene.number: tags_of(stills) for scene, stills in looked}
    with house.catalog.begin() as session:
        for scene in wanted:
            frames = FrameRange(scene.start, scene.end)
            detail: dict[str, Any] = {}
            if scene.number in same:
                shared = _first_of(same, scene)
                earlier = FrameRange(shared.start, shared.end)
                row = find_caption(session, film.row.id, earlier, teller.revision)
                text = new[shared.number].text if row is None else row.text
                began = row.detail.get("shared_with") if row is not None else None
                detail = {"shared_with": began or [shared.start, shared.end]}
            else:
                text = clean(new[scene.number].text)
                detail = {"tags": tags[scene.number]} if tags[scene.number] else {}
            record_caption(
                session, film.row.id, frames, teller.revision, text,
                captioner=teller.name, made_by=house.who, detail=detail,
            )  # fmt: skip


def stills_of(teller: Teller, scene: RestorationSceneRow, *, between: bool = False) -> list[Still]:
    """Return the stills of a scene that its captioner wants: RGB (h, w, 3), 0..255, evenly spread.

    `between`: as many from the moments between those.
    """
    film, count = teller.film, teller.member.stills(teller.options)
    frames = FrameRange(scene.start, scene.end)
    first = 0 if between else 1
    wanted = sorted(
        {frames.start + (2 * i + first) * frames.count // (2 * count) for i in range(count)}
    )
    stills = []
    for at in wanted:
        (frame,) = decode_range(film.path, film.info, film.index, FrameRange(at, at + 1))
        stills.append(as_still(to_rgb(frame)))
    return stills


def as_still(rgb: NDArray[np.float32]) -> Still:
    """Return a picture (h, w, 3), 0..1, as a still of 8 bit and no more than 768 pixels a side."""
    scale = _LONG_SIDE / max(rgb.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(n * scale)) for n in rgb.shape[1::-1])
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32)
    return np.rint(255 * np.clip(rgb, 0, 1)).astype(np.uint8)


def _said_already(
    teller: Teller, scene: RestorationSceneRow, wanted: Sequence[RestorationSceneRow]
) -> bool:
    """Whether a scene has a caption by this revision, or gets it in the same batch."""
    if any(one.number == scene.number for one in wanted):
        return True
    with teller.house.catalog.read() as session:
        frames = FrameRange(scene.start, scene.end)
        return find_caption(session, teller.film.row.id, frames, teller.revision) is not None


def _first_of(
    same: dict[int, RestorationSceneRow], scene: RestorationSceneRow
) -> RestorationSceneRow:
    """The scene that a row of near-identical ones began with."""
    while scene.number in same:
        scene = same[scene.number]
    return scene


def _marks(facts: SceneFacts | None) -> tuple[str, ...]:
    return (TEXT_CARD,) if facts is not None and facts.text_card == "yes" else ()


def _wants_facts(recipe: Recipe) -> bool:
    template = recipe.prompt.template or ""
    return "{facts}" in template or "{condition}" in template


def _listening(listeners: Sequence[tuple[Restorer, Any]], name: str) -> Iterator[tuple[Any, Any]]:
    for member, resolved in listeners:
        if hasattr(member, name):
            yield getattr(member, name), resolved


def _card_template(listeners: Sequence[tuple[Restorer, Any]]) -> str:
    """The template on a model's own card, or the caption alone: no style words are made up."""
    for ask, resolved in _listening(listeners, "prompt_template"):
        template = ask(resolved)
        if template:
            return str(template)
    return "{caption}"


def _counter(listeners: Sequence[tuple[Restorer, Any]]) -> tuple[Any, str]:
    for count, resolved in _listening(listeners, "count_tokens"):
        return count, resolved.use
    return None, ""
