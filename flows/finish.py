"""Finish: claim a restoration's assembly, make its master, and deliver what people look at.

The assembly was queued by the commit of the last take; whichever process comes first makes it. A take
that turns out to be altered sends its scene back to the queue instead of into the master.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from catalog.base import JobKind, JobState
from catalog.claims import claim
from catalog.commits import MasterFile, commit_master, mark_take_lost
from catalog.events import head_of, restoration_stream
from catalog.jobs import Lease, failed_jobs, job_counts
from catalog.jobs import finish as close_job
from catalog.masters import current_master, master_stands
from catalog.models import MasterRow, RestorationRow
from catalog.restorations import (
    enqueue_assemble,
    recipe_of,
    restoration_scenes,
    selected_takes,
)
from flows.chains import Chains
from flows.leases import held
from flows.prepare import take_back_dead_work
from flows.wants import want_scene
from restar.errors import CatalogError, DamagedMediaError, IncompleteError, StoreError
from restar.hashing import sha256_of_file
from restar.log import about
from restar.progress import track
from restar.timeline import format_scenes
from store import AlteredError
from tasks.announce import announce
from tasks.assemble import MadeMaster, SelectedTake, assemble_master
from tasks.deliver import deliver
from tasks.house import House, OpenFilm, open_film

__all__ = ["finish", "finish_claimed"]

_POLL_SECONDS = 0.5


def finish(house: House, restoration_id: str, target: Path, *, force: bool = False) -> Path | None:
    """Return the path of a restoration's verified master, made where it is not there yet.

    Returns None where a take was found altered and its scene has to be restored again first.
    Raises IncompleteError, naming scenes and reasons, where a scene has no take.
    """
    with house.catalog.read() as session:
        restoration = session.get_one(RestorationRow, restoration_id)
        recipe = recipe_of(session, restoration)
    film = open_film(house, restoration.film_id)
    with about(film=film.row.id[:12]):
        while True:
            master = _standing(house, restoration, target)
            if master is not None:
                with house.catalog.begin() as session:
                    master_stands(session, restoration_id)
                deliver(house, film, restoration, master, recipe, target=target)
                return target
            with house.catalog.begin() as session:
                enqueue_assemble(session, restoration_id)
                lease = claim(
                    session,
                    house.agent_id,
                    (JobKind.ASSEMBLE,),
                    house.settings.lease_seconds,
                    restoration_id=restoration_id,
                )
            if lease is not None:
                if not _assemble(house, film, restoration, lease, target, force):
                    return None
            elif not _leased(house, restoration_id):
                raise _incomplete(house, restoration_id)
            else:
                time.sleep(_POLL_SECONDS)
                take_back_dead_work(house)


def finish_claimed(house: House, lease: Lease) -> Path | None:
    """Make and deliver the master that a claimed assembly asks for; return its path as `finish` does.

    What goes wrong is recorded with the job, and raised.
    """
    with house.catalog.read() as session:
        restoration = session.get_one(RestorationRow, str(lease.restoration_id))
        recipe = recipe_of(session, restoration)
    target = Path(restoration.output)
    with held(house, lease, raising=True, ends=(CatalogError,)):
        film = open_film(house, restoration.film_id)
    if not _assemble(house, film, restoration, lease, target, False, ends=(CatalogError,)):
        return None
    with house.catalog.read() as session:
        master = current_master(session, restoration.id)
    if master is not None:
        deliver(house, film, restoration, master, recipe, target=target)
    return target


def _assemble(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    lease: Lease,
    target: Path,
    force: bool,
    ends: tuple[type[Exception], ...] = (StoreError, CatalogError, DamagedMediaError),
) -> bool:
    """Make and record the master; False where a take has to be made again first."""
    with house.catalog.read() as session:
        recipe = recipe_of(session, restoration)
        anchor = head_of(session, restoration_stream(restoration.id))
    selected = _selection(house, restoration.id)
    tags = {"RESTAR_RECIPE": recipe.name, "RESTAR_EVENTS": f"{anchor.count} {anchor.head}"}
    altered = False
    with held(house, lease, raising=True, ends=ends):
        try:
            made = assemble_master(
                house, film, restoration, selected, target=target, tags=tags,
                container=recipe.deliver.container, force=force,
            )  # fmt: skip
        except AlteredError:
            _send_back(house, film, restoration, selected, lease)
            altered = True
        else:
            _record(house, lease, made, selected)
    return not altered


def _record(house: House, lease: Lease, made: MadeMaster, selected: Sequence[SelectedTake]) -> None:
    takes = {one.scene.number: one.take for one in selected}
    master = MasterFile(str(made.path), made.sha256, made.bytes, made.framemd5)
    with house.catalog.begin() as session:
        row = commit_master(session, lease, master, takes, agent=house.who, detail=made.detail)
    announce(
        "master.assembled", f"restar.master.{row.id}",
        path=master.path, sha256=master.sha256, restoration=row.restoration_id,
    )  # fmt: skip


def _send_back(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    selected: Sequence[SelectedTake],
    lease: Lease,
) -> None:
    """Queue again the scenes whose takes are not what they were; their assembly comes after."""
    chains = Chains(house, film, restoration)
    for one in selected:
        try:
            house.store.verify(one.take.sha256)
        except StoreError as error:
            recipe, plan = chains.chain(one.scene)
            with house.catalog.begin() as session:
                mark_take_lost(session, one.take.take_key, str(error), agent=house.who)
                want_scene(session, house, restoration, one.scene, plan, recipe)
    with house.catalog.begin() as session:
        close_job(session, lease)


def _standing(house: House, restoration: RestorationRow, target: Path) -> MasterRow | None:
    """The master of the selected takes at its place, if it is there and what it was."""
    with house.catalog.read() as session:
        row = current_master(session, restoration.id)
    if row is None or row.path != str(target) or not target.is_file():
        return None
    with (
        track(f"checking {target.name}", "bytes", target.stat().st_size) as advance,
        suppress(OSError),
    ):
        if sha256_of_file(target, advance) == row.sha256:
            return row
    return None


def _selection(house: House, restoration_id: str) -> list[SelectedTake]:
    with house.catalog.read() as session:
        takes = selected_takes(session, restoration_id)
        scenes = restoration_scenes(session, restoration_id)
    return [SelectedTake(scene, takes[scene.number]) for scene in scenes]


def _leased(house: House, restoration_id: str) -> bool:
    with house.catalog.read() as session:
        counts = job_counts(session, restoration_id)
    return bool(counts.get(JobState.LEASED) or counts.get(JobState.QUEUED))


def _incomplete(house: House, restoration_id: str) -> IncompleteError:
    with house.catalog.read() as session:
        failed = failed_jobs(session, restoration_id)
        takes = selected_takes(session, restoration_id)
        scenes = restoration_scenes(session, restoration_id)
    waiting = [scene for scene in scenes if scene.number not in takes and scene.flags]
    if waiting and not failed:
        return IncompleteError(
            f"scenes {format_scenes(scene.number for scene in waiting)} wait for a person "
            f"({waiting[0].flags[0]}); look with `restar report FILM`, decide with `restar choose "
            "FILM`, and run the same command again"
        )
    numbers = format_scenes(job.scene_number for job in failed if job.scene_number)
    reason = failed[0].error if failed else "no take"
    where = f"scenes {numbers}" if numbers else "the restoration"
    return IncompleteError(
        f"{where} could not be done ({reason}); finished takes are kept: run the same command "
        "again, or look at `restar status FILM`"
    )
