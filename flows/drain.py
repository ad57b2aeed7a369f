"""Drain: claim a job, do it, commit it, until none is left. An agent is a process that drains.

While the model works at one scene, the next is claimed and decoded, and the one before is encoded,
published and committed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext

import av
from sqlalchemy.orm import Session

from catalog.agents import count_work, record_environment
from catalog.base import JobKind, JobState
from catalog.commits import (
    NewTake,
    commit_caption,
    commit_scores,
    commit_take,
    reuse_take,
    scores_of,
)
from catalog.jobs import Lease, finish, job_counts
from catalog.models import RestorationRow, RestorationSceneRow, TakeRow
from catalog.proxies import ProxyOf, commit_proxy
from catalog.redo import scene_recipe
from catalog.restorations import (
    find_take,
    lock_restoration,
    restoration_scene,
    restoration_scenes,
)
from flows.bench import DRAINED, Bench, Drained, Ready, Shift, Trade
from flows.chains import Chains, plan_here
from flows.choose import choose
from flows.leases import Leases
from flows.shrink import want_less
from flows.stop import Interrupted, Stop
from flows.wants import queue_score, record_words, want_scene
from media.proxy import ALGORITHM
from restar.errors import LeaseLost, StoreError
from restar.failures import Failure, failure_of
from restar.log import about
from restar.memory import give_back_freed
from restar.progress import track
from restar.recipe import Recipe
from restar.spec import Spec
from tasks.announce import announce
from tasks.caption import Teller
from tasks.channel import Channel
from tasks.environment import environment
from tasks.guard import guard_take, guard_wanted
from tasks.house import House, OpenFilm
from tasks.proxy import make_proxy
from tasks.restore import MadeTake, TakeInWork, decoded, restore_scene
from tasks.score import flags_of, new_scores, score_take

__all__ = ["DRAINED", "Drained", "Shift", "drain", "work"]

_log = logging.getLogger("restar.drain")


def drain(house: House, restoration_id: str | None = None) -> Drained:
    """Do the queued work of a restoration, or of all, until none is left.

    Work that another living process has claimed is waited for; that of a dead one is taken over.
    Raises StoreError, CatalogError or DamagedMediaError where going on makes no sense.
    """
    return work(house, Shift(restoration_id=restoration_id))


def work(house: House, shift: Shift, stop: Stop | None = None) -> Drained:
    """Work a shift; return what was done. Raises as `drain`, and UnfitError.

    A `stop` that was asked for ends it early: `stopped` says why, and what was not finished is back
    in the queue. Called in the main thread it takes the process's signals while it works.
    """
    with (
        Leases(house) as leases,
        track("restoring", "scenes", _restores(house, shift.restoration_id)) as advance,
    ):
        bench = Bench(house, shift, _TRADES, leases, stop or Stop(), advance)

        def last_resort() -> None:
            for lease in leases.held():
                leases.hand_back(lease)

        try:
            with stop.watching(last_resort) if stop is not None else nullcontext():
                bench.run()
        except Interrupted as interrupted:
            bench.drained.stopped = str(interrupted)
    return bench.drained


def _restore(bench: Bench, ready: Ready) -> None:
    lease, film, spec = ready.lease, ready.film, ready.spec
    assert film is not None and spec is not None and ready.recipe is not None  # noqa: S101
    if ready.pictures is None:
        _reuse(bench, ready)
        return
    bench.members.free()  # what captions does not need memory while takes are made
    give_back_freed()  # of the scene before
    if bench.model not in ("", ready.model) and ready.model:
        bench.workshop.release()
    bench.model = ready.model or bench.model
    began = time.monotonic()
    looks = threading.Event()

    def check() -> None:
        if bench.leases.lost(lease):
            raise LeaseLost(f"job {lease.id} was cancelled or taken over; it is given up")
        bench.stop.check()
        bench.look_at_take()
        left = ready.expected(bench.pace) - time.monotonic() + began
        if bench.stop.wanted and left > bench.stop.left:
            raise Interrupted(bench.stop.reason)

    def put() -> None:
        looks.set()  # the model gives frames: time to look for what comes next
        check()

    take = TakeInWork(
        bench.house, film, spec,
        then=lambda made: _commit(bench, ready, made),
        otherwise=lambda error: bench.failed(lease, error),
        check=put,
    )  # fmt: skip
    bench.look_ahead(looks, ready.expected(bench.pace))
    bench.drained.gaps.append(time.monotonic() - bench.free_since)
    try:
        seconds = restore_scene(
            bench.workshop, film, spec, ready.frames, _checked(ready.pictures, check), take,
            number=lease.scene_number or 0, use=spec.steps[-1].use, attempt=lease.attempt,
        )  # fmt: skip
        bench.pace[ready.sort] = seconds / ready.frames.count
        bench.finish_take()
    except BaseException as error:
        looks.set()
        take.abandon()
        if failure_of(error) is Failure.OUT_OF_MEMORY and want_less(bench, ready, error):
            return
        raise
    looks.set()
    take.end(seconds)
    bench.take = take
    if bench.shift.alone:
        bench.finish_take()  # whoever kills a run of their own loses one scene at most, never two


def _commit(bench: Bench, ready: Ready, made: MadeTake) -> None:
    """In the thread of the take: record it, with all that follows from it."""
    lease, scene, spec, house = ready.lease, ready.scene, ready.spec, bench.house
    assert scene is not None and spec is not None and ready.recipe is not None  # noqa: S101
    recipe, key = ready.recipe, str(lease.payload["take_key"])
    recorded = bench.environment

    def record(session: Session) -> None:
        nonlocal recorded
        recorded = recorded or record_environment(session, environment())
        take = NewTake(
            take_key=key,
            film_id=str(lease.film_id),
            start=scene.start,
            end=scene.end,
            spec=spec.to_json(),
            sha256=made.sha256,
            checksums_sha256=made.checksums_sha256,
            bytes=made.bytes,
            seconds=made.seconds,
            environment=recorded,
            agent_id=house.agent_id,
            gpu_seconds=made.model_seconds if bench.shift.device else 0.0,
        )
        # in this transaction and before the take, so that the assembly waits for its scores
        queue_score(session, scene, take.film_id, key, recipe, reopen=True, priority=lease.priority)
        commit_take(session, lease, take, agent=house.who)
        count_work(session, house.agent_id, frames=scene.end - scene.start,
                   seconds=made.seconds, model=bench.model)  # fmt: skip

    with about(take=key[:12]):
        bench.leases.commit(lease, record)
        bench.environment = recorded
        _log.info("take made in %.1f s", made.seconds)
    bench.done(lease.kind)


def _reuse(bench: Bench, ready: Ready) -> None:
    """The take was made meanwhile, for another restoration, and is whole."""
    lease, recipe, scene = ready.lease, ready.recipe, ready.scene
    key = str(lease.payload["take_key"])

    def record(session: Session) -> None:
        if reuse_take(session, lease, key) is None:
            raise StoreError(f"take {key[:12]}: was lost at this moment; run it again")
        if recipe is not None and scene is not None:
            queue_score(
                session, scene, str(lease.film_id), key, recipe, reopen=True,
                priority=lease.priority,
            )  # fmt: skip

    bench.leases.commit(lease, record)
    bench.done(lease.kind)


def _assemble(bench: Bench, ready: Ready) -> None:
    from flows.finish import finish_claimed

    lease = ready.lease
    bench.finish_take()
    bench.leases.let_go(lease)  # it is renewed there
    finish_claimed(bench.house, lease)
    bench.done(lease.kind)


def _prepare(bench: Bench, ready: Ready) -> None:
    """Gather what a scene takes and begin to decode it, unless its take was made meanwhile."""
    key = str(ready.lease.payload["take_key"])
    with bench.house.catalog.read() as session:
        ready.scene = _scene_of(session, ready.lease)
        ready.recipe = _recipe_of(session, ready.scene)
        take = find_take(session, key)
    ready.spec = Spec.from_json(ready.lease.payload["spec"])
    if ready.film is not None and not _is_whole(bench.house, take):
        ready.pictures = decoded(ready.film, ready.spec, ready.frames)


def _score(bench: Bench, lease: Lease, film: OpenFilm) -> None:
    house, key = bench.house, str(lease.payload["take_key"])
    with house.catalog.read() as session:
        scene = _scene_of(session, lease)
        recipe = _recipe_of(session, scene)
        take = find_take(session, key)
    wanted = recipe.score
    if take is None:  # it was lost meanwhile; its remaking queues this again
        with house.catalog.begin() as session:
            finish(session, lease)
        return
    with house.catalog.read() as session:
        known = scores_of(session, take)
    scored = score_take(house, film, take, wanted, number=lease.scene_number or 0, known=known)
    flags = flags_of((one.series for one in scored), wanted, take.start)
    scores = new_scores(scored)
    if guard_wanted(recipe):
        teller = Teller(house, film, recipe, plan_here(house, film, recipe), bench.members)
        guarded = guard_take(teller, scene, take)
        scores.append(guarded.score)
        flags += guarded.flags
    with house.catalog.begin() as session:
        choose(session, house, film, lease, take, flags)
        commit_scores(session, lease, key, scores, flags=flags)
    about_take = {"scene": scene.number, "take": key, "film": film.path.name, "flags": flags}
    announce("take.scored", f"restar.film.{film.row.id}", **about_take)
    if flags:
        announce("take.flagged", f"restar.film.{film.row.id}", **about_take)


def _caption(bench: Bench, lease: Lease, film: OpenFilm) -> None:
    """Find a scene's words, resolve its chain and want its take.

    Where a person asks otherwise of the scene meanwhile, it is all done again for that.
    """
    house = bench.house
    with house.catalog.read() as session:
        restoration = session.get_one(RestorationRow, str(lease.restoration_id))
    chains = Chains(house, film, restoration, members=bench.members)
    while True:
        scene = _scene(house, lease)
        teller = chains.teller(scene)
        with house.catalog.read() as session:
            scenes = restoration_scenes(session, scene.restoration_id)
        teller.look(scene, scenes)
        words = teller.words(scene)
        assert words is not None  # noqa: S101  it was looked at
        with house.catalog.begin() as session:
            lock_restoration(session, scene.restoration_id)
            now = restoration_scene(session, scene.restoration_id, scene.number)
            if now.overrides != scene.overrides:
                continue
            record_words(session, house, restoration, {scene.number: words}, teller)
            scene.prompt, scene.marks = words.prompt.text, list(words.marks)
            want_scene(
                session, house, restoration, scene, teller.plan, teller.recipe,
                priority=lease.priority,
            )  # fmt: skip
            commit_caption(
                session, lease, words.caption.text, words.prompt.text, words.caption.revision,
                record=words.prompt.to_json(), marks=words.marks,
            )  # fmt: skip
        return


def _proxy(bench: Bench, ready: Ready) -> None:
    lease, of = ready.lease, ProxyOf.from_json(ready.lease.payload["proxy"])
    made = make_proxy(bench.house, of=of)
    bench.leases.commit(lease, lambda session: commit_proxy(session, lease, of, made, ALGORITHM))
    bench.done(lease.kind)


def _is_whole(house: House, take: TakeRow | None) -> bool:
    """Whether the take of a job was made meanwhile, and is whole."""
    if take is None:
        return False
    try:
        house.store.verify(take.sha256)
    except StoreError:
        return False
    return True


def _scene(house: House, lease: Lease) -> RestorationSceneRow:
    with house.catalog.read() as session:
        return _scene_of(session, lease)


def _scene_of(session: Session, lease: Lease) -> RestorationSceneRow:
    return restoration_scene(session, str(lease.restoration_id), lease.scene_number or 0)


def _recipe_of(session: Session, scene: RestorationSceneRow) -> Recipe:
    return scene_recipe(session, session.get_one(RestorationRow, scene.restoration_id), scene)


def _restores(house: House, restoration_id: str | None) -> int | None:
    if restoration_id is None:
        return None
    with house.catalog.read() as session:
        counts = job_counts(session, restoration_id, (JobKind.RESTORE,))
    return counts.get(JobState.QUEUED, 0) + counts.get(JobState.LEASED, 0)


def _checked(
    pictures: Channel[av.VideoFrame], check: Callable[[], None]
) -> Iterator[av.VideoFrame]:
    with closing(pictures):
        for picture in pictures:
            check()
            yield picture


def _plain(do: Callable[[Bench, Lease, OpenFilm], None]) -> Trade:
    """A kind of job that is done in one go."""

    def all_of_it(bench: Bench, ready: Ready) -> None:
        assert ready.film is not None  # noqa: S101
        do(bench, ready.lease, ready.film)
        bench.leases.let_go(ready.lease)
        bench.done(ready.lease.kind)

    return Trade(all_of_it)


_TRADES: Mapping[JobKind, Trade] = {
    JobKind.CAPTION: _plain(_caption),
    JobKind.RESTORE: Trade(_restore, _prepare),
    JobKind.SCORE: _plain(_score),
    JobKind.PROXY: Trade(_proxy),
    JobKind.ASSEMBLE: Trade(_assemble),
}
