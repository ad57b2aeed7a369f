"""What is wanted of scenes: their words are recorded, their takes asked for, their scores queued.

Whoever prepares a film, redoes a scene, captions it or gives it smaller windows comes here, so that the
same wish is the same take whoever had it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy.orm import Session

from catalog.agents import record_model_licence
from catalog.base import JobKind
from catalog.events import EventType, append, restoration_stream
from catalog.jobs import NewJob, dedupe_key, enqueue
from catalog.models import RestorationRow, RestorationSceneRow
from catalog.redo import caption_job
from catalog.restorations import set_words, unselect, want
from flows.chains import Settled
from restar.needs import NONE
from restar.recipe import Recipe
from restar.spec import Spec, take_key
from restar.timeline import FrameRange, format_scenes
from restorers import licence_of
from tasks.caption import Teller, Words, is_resized
from tasks.guard import guard_wanted
from tasks.house import House
from tasks.plan import Plan, replaced, spec_of

__all__ = [
    "hold_back",
    "queue_score",
    "record_words",
    "settle_scenes",
    "want_scene",
    "wanted_take",
]

_log = logging.getLogger("restar.prepare")


def settle_scenes(
    session: Session,
    house: House,
    restoration: RestorationRow,
    scenes: Sequence[RestorationSceneRow],
    settled: Mapping[int, Settled],
    priority: int = 0,
) -> int:
    """Record the words of scenes and want their takes; return how many jobs that needs."""
    by_teller: dict[int, tuple[Teller, dict[int, Words | None]]] = {}
    for scene in scenes:
        one = settled[scene.number]
        by_teller.setdefault(id(one.teller), (one.teller, {}))[1][scene.number] = one.words
    for teller, words in by_teller.values():
        _record_licences(session, teller.plan)
        record_words(session, house, restoration, words, teller)
    queued = 0
    for scene in scenes:
        one = settled[scene.number]
        if one.words is None:
            enqueue(session, caption_job(scene, restoration.film_id, priority), reopen=True)
            queued += 1
            continue
        scene.prompt, scene.marks = one.words.prompt.text, list(one.words.marks)
        queued += want_scene(
            session, house, restoration, scene, one.plan, one.recipe, priority=priority
        )
    return queued


def _record_licences(session: Session, plan: Plan) -> None:
    for step in plan.steps:
        found = licence_of(step) if step.model_sha256 else None
        if found is not None:
            record_model_licence(session, model_sha256=step.model_sha256, **asdict(found))


def record_words(
    session: Session,
    house: House,
    restoration: RestorationRow,
    words: Mapping[int, Words | None],
    teller: Teller,
) -> list[int]:
    """Record what is told of scenes; return which are new. Their captioner is named in one event."""
    new = [
        number
        for number, said in words.items()
        if said is not None
        and set_words(
            session,
            restoration.id,
            number,
            caption=said.caption.text,
            captioner=said.caption.revision,
            prompt=said.prompt.text,
            record=said.prompt.to_json(),
            marks=said.marks,
        )
    ]
    if new and any(said.caption.text for said in words.values() if said is not None):
        append(
            session,
            restoration_stream(restoration.id),
            EventType.METADATA_EXTRACTION,
            film_id=restoration.film_id,
            agent=house.who,
            detail={
                "captioner": teller.name, "revision": teller.revision, "chosen": teller.why,
                "scenes": format_scenes(new),
            },
        )  # fmt: skip
    cards = [number for number in new if (said := words[number]) is not None and said.card]
    if cards:
        append(
            session, restoration_stream(restoration.id), EventType.POLICY_ASSIGNMENT,
            film_id=restoration.film_id, agent=house.who,
            detail={"text_cards": "resize", "scenes": format_scenes(cards)},
        )  # fmt: skip
    return new


def want_scene(
    session: Session,
    house: House,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    plan: Plan,
    recipe: Recipe,
    *,
    priority: int = 0,
) -> bool:
    """Say what take a scene, whose prompt is known, should have; return whether it has to be made.

    One that is there is scored for this restoration, whose limits may be others than when it was made.
    """
    card = is_resized(plan, scene.marks, scene.overrides)
    spec, key = wanted_take(restoration.film_id, scene, plan, recipe, scene.prompt or "", card)
    changed = scene.wanted_take_key != key
    if changed:
        _tell_of_replaced(session, house, restoration, scene, plan)
    made = want(
        session,
        restoration.id,
        scene.number,
        spec,
        key,
        overrides=scene.overrides,
        prompt=spec.prompt,
        priority=priority,
        max_attempts=house.settings.max_attempts,
        needs=NONE if card else plan.needs,
    )
    if not made:
        queue_score(
            session, scene, restoration.film_id, key, recipe, reopen=changed, priority=priority
        )
        hold_back(session, restoration.id, scene.number, recipe)
    return made


def _tell_of_replaced(
    session: Session,
    house: House,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    plan: Plan,
) -> None:
    """Say, and record as an event, where a scene gets another step than its recipe asks for."""
    for number, (step, reason) in replaced(plan, scene.prompt or "").items():
        wanted = plan.steps[number].use
        _log.warning("scene %d gets %s in place of %s: %s", scene.number, step.use, wanted, reason)
        append(
            session,
            restoration_stream(restoration.id),
            EventType.POLICY_ASSIGNMENT,
            film_id=restoration.film_id,
            agent=house.who,
            detail={"scene": scene.number, "step": wanted, "instead": step.use, "reason": reason},
        )


def queue_score(
    session: Session,
    scene: RestorationSceneRow,
    film_id: str,
    key: str,
    recipe: Recipe,
    *,
    reopen: bool = False,
    priority: int = 0,
) -> None:
    """Queue the scoring of a take for a restoration, where its recipe has scorers; once, or `reopen`."""
    if not recipe.score.scorers and not guard_wanted(recipe):
        return
    job = NewJob(
        JobKind.SCORE,
        dedupe_key(JobKind.SCORE, scene.restoration_id, key),
        restoration_id=scene.restoration_id,
        film_id=film_id,
        scene_number=scene.number,
        payload={"take_key": key},
        priority=priority,
    )
    enqueue(session, job, reopen=reopen)


def hold_back(session: Session, restoration_id: str, number: int, recipe: Recipe) -> None:
    """Under the rule `ask` a flagged take is not selected, unless a person has decided so."""
    scene = session.get_one(RestorationSceneRow, (restoration_id, number))
    if recipe.select.rule == "ask" and scene.flags:
        unselect(session, restoration_id, number)


def wanted_take(
    film_id: str,
    scene: RestorationSceneRow,
    plan: Plan,
    recipe: Recipe,
    prompt: str,
    card: bool,
) -> tuple[Spec, str]:
    """Return the spec of the take that a scene should have, told `prompt`, and the take's key."""
    seed = scene.overrides.get("seed", recipe.restore.seed)
    settled = plan.changed(scene.overrides.get("settled", {}))
    spec = spec_of(settled, recipe, prompt, seed, card=card)
    return spec, take_key(film_id, FrameRange(scene.start, scene.end), spec)
