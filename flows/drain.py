"""Drain: claim a job, do it, commit it, until none is left. An agent is a process that drains.

A lease is renewed while its work goes on. What can't be done is recorded with its reason and the next
job is taken; what no job could do (no space, no source) ends the run, with the job handed back.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from catalog.agents import record_environment
from catalog.base import JobKind, JobState
from catalog.commits import (
    NewScore,
    NewTake,
    commit_caption,
    commit_scores,
    commit_take,
    reuse_take,
)
from catalog.jobs import (
    Lease,
    NewJob,
    claim,
    dedupe_key,
    enqueue,
    fail,
    finish,
    hand_back,
    job_counts,
    renew,
)
from catalog.models import RestorationRow, RestorationSceneRow, TakeRow
from catalog.restorations import find_take, recipe_of, restoration_scene
from flows.prepare import take_back_dead_work, want_scene
from restar.errors import (
    CatalogError,
    DamagedMediaError,
    LeaseLost,
    RestarError,
    StoreError,
)
from restar.log import about
from restar.progress import Advance, track
from restar.recipe import Recipe
from restar.spec import Spec
from restar.timeline import FrameRange
from tasks.caption import caption_scene
from tasks.environment import environment
from tasks.house import House, OpenFilm, open_film
from tasks.plan import plan_restoration
from tasks.restore import Workshop, restore_scene
from tasks.score import flags_of, score_take

__all__ = ["Drained", "drain", "held"]

DRAINED = (JobKind.CAPTION, JobKind.RESTORE, JobKind.SCORE)
_POLL_SECONDS = 0.5
_log = logging.getLogger("restar.drain")


@dataclass
class Drained:
    """What one drain did: how many jobs of each kind."""

    done: dict[str, int] = field(default_factory=dict)


@dataclass
class _Bench:
    """What stays open from job to job: warm restorers, films, restorations."""

    house: House
    workshop: Workshop = field(default_factory=Workshop)
    films: dict[str, OpenFilm] = field(default_factory=dict)

    def film(self, film_id: str) -> OpenFilm:
        if film_id not in self.films:
            self.films[film_id] = open_film(self.house, film_id)
        return self.films[film_id]


def drain(house: House, restoration_id: str | None = None) -> Drained:
    """Do the queued work of a restoration, or of all, until none is left.

    Work that another living process has claimed is waited for; that of a dead one is taken over.
    Raises StoreError, CatalogError or DamagedMediaError where going on makes no sense.
    """
    bench, drained = _Bench(house), Drained()
    with track("restoring", "scenes", _restores(house, restoration_id)) as advance:
        _drain(bench, drained, restoration_id, advance)
    return drained


def _drain(bench: _Bench, drained: Drained, restoration_id: str | None, advance: Advance) -> None:
    house = bench.house
    while True:
        with house.catalog.begin() as session:
            lease = claim(
                session,
                house.agent_id,
                DRAINED,
                house.settings.lease_seconds,
                restoration_id=restoration_id,
            )
        if lease is not None:
            _do(bench, lease)
            drained.done[str(lease.kind)] = drained.done.get(str(lease.kind), 0) + 1
            advance(lease.kind == JobKind.RESTORE)
        elif restoration_id is not None and _open_elsewhere(house, restoration_id):
            time.sleep(_POLL_SECONDS)
            take_back_dead_work(house)
        else:
            return


@contextmanager
def held(house: House, lease: Lease, *, raising: bool = False) -> Iterator[None]:
    """Renew a lease at a third of its time; hand it back where the work ends by an interruption.

    A failure of the work itself is recorded with the job, and raised too where `raising`; one that
    would meet every job is always raised.
    """
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(house, lease, stop), daemon=True)
    keeper.start()
    try:
        yield
    except LeaseLost:
        _log.warning("job %s was taken over by another agent; its result is dropped", lease.id)
    except (StoreError, CatalogError, DamagedMediaError, KeyboardInterrupt):
        _settle(house, lease, lambda session: hand_back(session, lease))
        raise
    except Exception as error:
        expected = isinstance(error, RestarError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        _log.error("%s of scene %s failed: %s", lease.kind, lease.scene_number, reason,
                   exc_info=not expected)  # fmt: skip
        _settle(house, lease, lambda session: fail(session, lease, reason))
        if raising:
            raise
    finally:
        stop.set()
        keeper.join()


def _keep(house: House, lease: Lease, stop: threading.Event) -> None:
    while not stop.wait(house.settings.lease_seconds / 3):
        try:
            with house.catalog.begin() as session:
                renew(session, lease, house.settings.lease_seconds)
        except LeaseLost:
            return
        except CatalogError as error:
            _log.warning("lease of job %s not renewed: %s", lease.id, error)


def _settle(house: House, lease: Lease, change: Callable[[Session], object]) -> None:
    try:
        with house.catalog.begin() as session:
            change(session)
    except (LeaseLost, CatalogError) as error:
        _log.warning("job %s: %s", lease.id, error)


def _do(bench: _Bench, lease: Lease) -> None:
    assert lease.film_id is not None  # noqa: S101  drained kinds always belong to a film
    work = {JobKind.CAPTION: _caption, JobKind.RESTORE: _restore, JobKind.SCORE: _score}
    with (
        about(film=lease.film_id[:12], scene=lease.scene_number or 0, job=lease.id),
        held(bench.house, lease),
    ):
        work[lease.kind](bench, lease, bench.film(lease.film_id))


def _restore(bench: _Bench, lease: Lease, film: OpenFilm) -> None:
    house, key = bench.house, str(lease.payload["take_key"])
    spec = Spec.from_json(lease.payload["spec"])
    scene, recipe = _scene(house, lease), _recipe(house, lease)
    with about(take=key[:12]):
        if _is_there(house, key):
            with house.catalog.begin() as session:
                if reuse_take(session, lease, key) is not None:
                    _queue_score(session, lease, key, recipe)
                    return
        frames = FrameRange(scene.start, scene.end)
        made = restore_scene(house, bench.workshop, film, spec, frames, number=scene.number)
        with house.catalog.begin() as session:
            take = NewTake(
                take_key=key,
                film_id=film.row.id,
                start=scene.start,
                end=scene.end,
                spec=spec.to_json(),
                sha256=made.sha256,
                checksums_sha256=made.checksums_sha256,
                bytes=made.bytes,
                seconds=made.seconds,
                environment=record_environment(session, environment()),
                agent_id=house.agent_id,
            )
            _queue_score(session, lease, key, recipe)
            commit_take(session, lease, take, agent=house.who)
        _log.info("take made in %.1f s", made.seconds)


def _score(bench: _Bench, lease: Lease, film: OpenFilm) -> None:
    house, key = bench.house, str(lease.payload["take_key"])
    wanted = _recipe(house, lease).score
    with house.catalog.read() as session:
        take = find_take(session, key)
    if take is None:  # it was lost meanwhile; its remaking queues this again
        with house.catalog.begin() as session:
            finish(session, lease)
        return
    scored = score_take(house, film, take, wanted, number=lease.scene_number or 0)
    scores = [
        NewScore(metric=one.metric, summary=one.summary, series_sha256=one.series_sha256)
        for one in scored
    ]
    with house.catalog.begin() as session:
        commit_scores(session, lease, key, scores, flags=flags_of(scored, wanted))


def _caption(bench: _Bench, lease: Lease, film: OpenFilm) -> None:
    house, scene, recipe = bench.house, _scene(bench.house, lease), _recipe(bench.house, lease)
    frames = FrameRange(scene.start, scene.end)
    caption = caption_scene(film, recipe.prompt, frames, number=scene.number)
    plan = plan_restoration(film, recipe)
    with house.catalog.begin() as session:
        scene.caption = caption.text
        restoration = session.get_one(RestorationRow, scene.restoration_id)
        want_scene(session, house, restoration, scene, plan, recipe)
        prompt = recipe.prompt.template.replace("{caption}", caption.text)
        commit_caption(session, lease, caption.text, prompt)


def _queue_score(session: Session, lease: Lease, key: str, recipe: Recipe) -> None:
    """In the take's own transaction and before its commit, so that the assembly waits for it."""
    if not recipe.score.scorers:
        return
    job = NewJob(
        JobKind.SCORE,
        dedupe_key(JobKind.SCORE, str(lease.restoration_id), key),
        restoration_id=lease.restoration_id,
        film_id=lease.film_id,
        scene_number=lease.scene_number,
        payload={"take_key": key},
    )
    enqueue(session, job, reopen=True)


def _is_there(house: House, key: str) -> bool:
    """Whether a take of this key was made meanwhile, and is whole."""
    with house.catalog.read() as session:
        take: TakeRow | None = find_take(session, key)
    if take is None:
        return False
    try:
        house.store.verify(take.sha256)
    except StoreError:
        return False
    return True


def _scene(house: House, lease: Lease) -> RestorationSceneRow:
    with house.catalog.read() as session:
        return restoration_scene(session, str(lease.restoration_id), lease.scene_number or 0)


def _recipe(house: House, lease: Lease) -> Recipe:
    with house.catalog.read() as session:
        row = session.get_one(RestorationRow, str(lease.restoration_id))
        return recipe_of(session, row)


def _restores(house: House, restoration_id: str | None) -> int | None:
    if restoration_id is None:
        return None
    with house.catalog.read() as session:
        counts = job_counts(session, restoration_id, (JobKind.RESTORE,))
    return counts.get(JobState.QUEUED, 0) + counts.get(JobState.LEASED, 0)


def _open_elsewhere(house: House, restoration_id: str) -> bool:
    with house.catalog.read() as session:
        counts = job_counts(session, restoration_id, DRAINED)
    return bool(counts.get(JobState.LEASED) or counts.get(JobState.QUEUED))
