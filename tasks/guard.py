"""The guard: the captioner describes the take, too, and a change of content is the flag `caption-drift`.

It compares what the captioner itself said of the source with what it says of the take, whatever a person
wrote meanwhile. Where captions do not come from a model that looks, it says `not applicable`.
"""

from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from captioners import SceneView, describe
from captioners.drift import likeness
from catalog.captions import find_caption
from catalog.commits import NewScore
from catalog.models import RestorationSceneRow, TakeRow
from media.convert import to_rgb
from media.frames import decode_all
from media.probe import probe
from restar.prompt import clean
from restar.recipe import Recipe
from restar.timeline import FrameRange
from restorers import invents, restorer
from tasks.caption import TEXT_CARD, Still, Teller, as_still, stills_of

__all__ = ["FLAG", "Guarded", "guard_take", "guard_wanted"]

FLAG = "caption-drift"
_BLIND = frozenset({"facts", "file", "fixed"})
_LONGEST = 200  # characters of a caption in a flag; the whole is in the score
_NOT_APPLICABLE = "not applicable: no model looked at the source"


@dataclass(frozen=True)
class Guarded:
    """What the guard found: a score to record, and whether to flag."""

    score: NewScore
    flags: tuple[str, ...] = ()


def guard_wanted(recipe: Recipe) -> bool:
    """Whether takes of a recipe may need a look by its captioner.

    `auto` looks at nothing where no step listens to text: then there is nothing to compare.
    """
    if not recipe.prompt.guard or recipe.prompt.captioner in _BLIND:
        return False
    if recipe.prompt.captioner != "auto":
        return True
    members = (restorer(step.use) for step in recipe.restore.steps)
    return any(getattr(member, "uses_prompt", True) for member in members)


def guard_take(teller: Teller, scene: RestorationSceneRow, take: TakeRow) -> Guarded:
    """Compare what the captioner says of a take with what it said of the source."""
    if not teller.looks:
        return Guarded(_score(None, _NOT_APPLICABLE))
    if TEXT_CARD in scene.marks and not any(invents(step["use"]) for step in take.spec["steps"]):
        return Guarded(_score(None, "not applicable: a text card that was resized"))
    said = _said_of_source(teller, scene)
    stills = _stills_of_take(teller, scene, take)
    view = SceneView(tuple(stills), teller.view(scene).facts, scene.number)
    now = clean(describe(teller.member, [view], teller.options)[0].text)
    tower = getattr(teller.member, "tower", None)
    found = likeness(
        said, now, None if tower is None else lambda words: tower(words, teller.options)
    )
    if found is None:
        return Guarded(
            _score(None, "not applicable: the caption names nothing to compare", said, now)
        )
    score = _score(found.value, f"compared by {found.means}", said, now)
    return Guarded(score, (_sentence(said, now),) if found.drifted else ())


def _sentence(source: str, take: str) -> str:
    """The flag with both texts, as data: whoever shows it escapes it."""
    one, other = (shorten(text, _LONGEST, placeholder=" ...") for text in (source, take))
    return f'{FLAG}: the source shows "{one}", the take "{other}"'


def _said_of_source(teller: Teller, scene: RestorationSceneRow) -> str:
    """The captioner's own words of the source: as recorded, else (a person wrote others) said now."""
    with teller.house.catalog.read() as session:
        frames = FrameRange(scene.start, scene.end)
        row = find_caption(session, teller.film.row.id, frames, teller.revision)
    if row is not None:
        return row.text
    view = SceneView(tuple(stills_of(teller, scene)), teller.view(scene).facts, scene.number)
    return clean(describe(teller.member, [view], teller.options)[0].text)


def _stills_of_take(teller: Teller, scene: RestorationSceneRow, take: TakeRow) -> list[Still]:
    """The same moments of the take as `stills_of` takes of the source."""
    count, length = teller.member.stills(teller.options), scene.end - scene.start
    wanted = {(2 * i + 1) * length // (2 * count) for i in range(count)}
    path = teller.house.store.open_local(take.sha256)
    return [
        as_still(to_rgb(frame))
        for number, frame in enumerate(decode_all(path, probe(path)))
        if number in wanted
    ]


def _score(value: float | None, note: str, source: str = "", take: str = "") -> NewScore:
    summary: dict[str, Any] = {
        "algorithm": 1,
        "unit": "",
        "better": "higher",
        "mean": value,
        "worst": value,
        "worst_frame": None,
        "measured": 0 if value is None else 1,
        "note": note,
        "source": source,
        "take": take,
    }
    return NewScore(metric=FLAG, summary=summary, licence="Apache-2.0")
