"""The guard: the captioner describes the take, too, and a change of content is the flag `caption-drift`.

It compares what the captioner itself said of the source with what it says of the take, whatever a person
wrote meanwhile. Before it flags, it asks how far the captioner wavers by itself: it has the source
described in a few more ways, once a scene, and flags only what is unlike all of them. Where captions do
not come from a model that looks, or from one that does not agree with itself, it says `not applicable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from captioners import SceneView, describe
from captioners.drift import Tower
from captioners.waver import VERSION, WAYS, Verdict, judged, ways_of
from catalog.captions import find_caption, record_caption
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

__all__ = ["FLAG", "Guarded", "guard_take", "guard_wanted", "waver_revision"]

FLAG = "caption-drift"
_BLIND = frozenset({"facts", "file", "fixed"})
_LONGEST = 200  # characters of a caption in a flag; the whole is in the score
_ALGORITHM = 2
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
    said, tower = [_said_of_source(teller, scene)], _tower(teller)
    stills = _stills_of_take(teller, scene, take)
    view = SceneView(tuple(stills), teller.view(scene).facts, scene.number)
    now = clean(describe(teller.member, [view], teller.options)[0].text)
    verdict = judged(said, now, tower)
    if verdict.drifted:
        said += _said_in_other_ways(teller, scene)
        verdict = judged(said, now, tower)
    return _found(verdict, said, now)


def waver_revision(revision: str) -> str:
    """Under which revision it is kept what a captioner says of a source shown in other ways."""
    return f"{revision}+ways-{VERSION}"


def _found(verdict: Verdict, said: list[str], now: str) -> Guarded:
    if verdict.agreement is None:
        note = "not applicable: the caption names nothing to compare"
        return Guarded(_score(None, note, said, now, verdict))
    if verdict.babbled:
        note = (
            "not applicable: the captioner does not agree with itself on this scene "
            f"({verdict.own:.2f})"
        )
        return Guarded(_score(None, note, said, now, verdict))
    times = "" if len(said) == 1 else f", with the likest of {len(said)} of the source"
    note = f"compared by {verdict.means}{times}"
    flags = (_sentence(said[0], now, verdict),) if verdict.drifted else ()
    return Guarded(_score(verdict.agreement, note, said, now, verdict), flags)


def _tower(teller: Teller) -> Tower | None:
    tower = getattr(teller.member, "tower", None)
    return None if tower is None else lambda words: tower(words, teller.options)


def _sentence(source: str, take: str, verdict: Verdict) -> str:
    """The flag with both texts, as data: whoever shows it escapes it."""
    one, other = (shorten(text, _LONGEST, placeholder=" ...") for text in (source, take))
    return (
        f'{FLAG}: the source shows "{one}", the take "{other}" (alike by {verdict.agreement:.2f}; '
        f"what is said of the source by {verdict.own:.2f})"
    )


def _said_in_other_ways(teller: Teller, scene: RestorationSceneRow) -> list[str]:
    """What the captioner says of the source shown in other ways: asked once, and kept."""
    frames = FrameRange(scene.start, scene.end)
    revision = waver_revision(teller.revision)
    with teller.house.catalog.read() as session:
        row = find_caption(session, teller.film.row.id, frames, revision)
    if row is not None:
        return list(row.detail["said"])
    shown = ways_of(stills_of(teller, scene), stills_of(teller, scene, between=True))
    facts = teller.view(scene).facts
    views = [SceneView(tuple(stills), facts, scene.number) for stills in shown]
    texts = [clean(one.text) for one in describe(teller.member, views, teller.options)]
    with teller.house.catalog.begin() as session:
        record_caption(
            session, teller.film.row.id, frames, revision, "\n".join(texts),
            captioner=teller.name, made_by=teller.house.who,
            detail={"said": texts, "ways": list(WAYS)},
        )  # fmt: skip
    return texts


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


def _score(
    value: float | None,
    note: str,
    said: Sequence[str] = (),
    take: str = "",
    verdict: Verdict | None = None,
) -> NewScore:
    """`said`: of the source, first as it is, then in other ways."""
    summary: dict[str, Any] = {
        "algorithm": _ALGORITHM,
        "unit": "",
        "better": "higher",
        "mean": value,
        "worst": value,
        "worst_frame": None,
        "measured": 0 if value is None else 1,
        "note": note,
        "source": said[0] if said else "",
        "take": take,
        "said_in_other_ways": list(said[1:]),
        "own_agreement": verdict.own if verdict else None,
    }
    return NewScore(metric=FLAG, summary=summary, algorithm=_ALGORITHM, licence="Apache-2.0")
