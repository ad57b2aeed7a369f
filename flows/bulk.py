"""Bulk: many films, one after the other, highest priority first; none stops another.

How each film stands is read from the catalog, so the same list can be given every night: what is done
is not even read again, what was interrupted goes on, what failed is tried again. Run inline it makes
the masters; with `queue` it only queues the work of all films, for agents.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from catalog.base import JobState
from catalog.films import film_by_path
from catalog.jobs import failed_jobs, job_counts
from catalog.masters import current_master
from catalog.models import FilmRow, RestorationRow
from catalog.restorations import (
    enqueue_assemble,
    restoration_scenes,
    restorations_of,
    selected_takes,
)
from catalog.shots import latest_shot_list
from flows.prepare import Order, prepare
from flows.restore import complete
from restar.errors import CatalogError, IncompleteError, RestarError, StoreError
from restar.log import about
from restar.progress import track
from tasks.assemble import master_path
from tasks.bulkreport import write_bulk_report
from tasks.deliver import report_path
from tasks.filmlist import Entry
from tasks.house import House, is_here
from tasks.ingest import ingest
from tasks.step import step

__all__ = [
    "Outcome", "State", "bulk", "counted", "how_it_stands", "with_duplicates", "write_report",
]  # fmt: skip

_log = logging.getLogger("restar.bulk")


class State(StrEnum):
    """How a film of a list stands."""

    DONE = "done"
    FLAGGED = "flagged"
    QUEUED = "queued"
    WAITING = "waits for a person"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True)
class Outcome:
    """What became of a film. `seconds`, `gpu_seconds` and `bytes` are those of its selected takes."""

    entry: Entry
    state: State
    reason: str = ""
    film_id: str = ""
    restoration_id: str = ""
    master: str = ""
    scenes: int = 0
    frames: int = 0
    flagged: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    bytes: int = 0


def bulk(
    house: House,
    entries: Sequence[Entry],
    output: Path,
    *,
    queue: bool = False,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Restore the films of a list, or queue their work; return what became of each, in its order.

    `told` hears of each as it is done with. Raises CatalogError, and StoreError where the disk is
    nearly full: these would meet every film.
    """
    outcomes: list[Outcome] = []
    seen: dict[tuple[str, str], Path] = {}
    with track("bulk", "films", len(entries)) as advance:
        for entry in entries:
            with about(film=entry.path.name):
                outcome = _one(house, entry, output, seen, queue, name=entry.path.name)
            outcomes.append(outcome)
            told(outcome)
            advance(1)
    return outcomes


def how_it_stands(house: House, entry: Entry, output: Path) -> Outcome:
    """Return how a film of a list stands by the catalog; nothing is read or begun."""
    with house.catalog.read() as session:
        film = film_by_path(session, entry.path)
        if film is None or not is_here(film, entry.path):
            return Outcome(entry, State.NOT_BEGUN)
        restoration = _restoration(session, film, entry)
        if restoration is None:
            return Outcome(entry, State.NOT_BEGUN, film_id=film.id, frames=film.frames)
        return _standing(session, film, restoration, entry, output)


def with_duplicates(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return outcomes with films marked that stand in the list a second time under another name."""
    first: dict[tuple[str, str], Path] = {}
    marked = []
    for one in outcomes:
        place = one.entry.path
        twin = first.setdefault((one.film_id or str(place), one.entry.recipe.sha256), place)
        again = twin != place and one.state is not State.DUPLICATE
        same = Outcome(one.entry, State.DUPLICATE, f"the same film as {twin}", one.film_id)
        marked.append(same if again else one)
    return marked


def write_report(
    source: Path, outcomes: Sequence[Outcome], output: Path, price: float | None = None
) -> Path:
    """Write the report of a list into the output folder, HTML with CSV beside it; return the page.

    `price` is that of a GPU's hour.
    """
    rows = [_row(one, price) for one in outcomes]
    name = source.absolute().stem or "films"
    target = output.absolute() / f"{name}.bulk.html"
    return write_bulk_report(target, source.absolute().name, rows, datetime.now(UTC))[0]


def _row(outcome: Outcome, price: float | None) -> dict[str, Any]:
    entry = outcome.entry
    page = report_path(Path(outcome.master)) if outcome.master else None
    gpu_hours = outcome.gpu_seconds / 3600
    return {
        "film": str(entry.path),
        "name": entry.path.name,
        "state": str(outcome.state),
        "reason": outcome.reason,
        "recipe": entry.recipe.name,
        "priority": entry.priority,
        "accession": entry.identifiers.accession,
        "title": entry.identifiers.title,
        "scenes": outcome.scenes,
        "flagged": outcome.flagged,
        "frames": outcome.frames,
        "hours": outcome.seconds / 3600,
        "gpu_hours": gpu_hours,
        "gib": outcome.bytes / 2**30,
        "price": None if price is None else gpu_hours * price,
        "master": outcome.master,
        "report": page.as_uri() if page is not None and page.exists() else "",
        "film_id": outcome.film_id,
        "restoration": outcome.restoration_id,
    }


def counted(outcomes: Sequence[Outcome]) -> str:
    """Return a summary as a line: "4 done, 1 failed"."""
    counts = Counter(one.state for one in outcomes)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state]) or "nothing"


@step("film {name}")
def _one(
    house: House,
    entry: Entry,
    output: Path,
    seen: dict[tuple[str, str], Path],
    queue: bool,
    *,
    name: str,
) -> Outcome:
    """Do one film (`name` names the run); what befalls it is in the outcome."""
    before = how_it_stands(house, entry, output)
    try:
        return _done(house, entry, output, seen, queue, before)
    except CatalogError:
        raise
    except IncompleteError as error:
        now = how_it_stands(house, entry, output)
        return replace(now, reason=now.reason or str(error))
    except RestarError as error:
        full = house.store.free_bytes() < house.settings.min_free_mib << 20
        if isinstance(error, StoreError) and full:
            raise
        return _failed(house, entry, output, error)
    except Exception as error:
        _log.exception("a fault of restar at %s", entry.path)
        return _failed(house, entry, output, error)


def _done(
    house: House,
    entry: Entry,
    output: Path,
    seen: dict[tuple[str, str], Path],
    queue: bool,
    before: Outcome,
) -> Outcome:
    film_id = before.film_id or ingest(
        house, path=entry.path, identifiers=entry.identifiers, allow_damaged=entry.allow_damaged,
        rounding=entry.recipe.restore.rounds,
    )  # fmt: skip
    twin = seen.setdefault((film_id, entry.recipe.sha256), entry.path)
    if twin != entry.path:
        return Outcome(entry, State.DUPLICATE, f"the same film as {twin}", film_id)
    if before.state in (State.DONE, State.FLAGGED):
        return replace(before, reason="was done before")
    _restore(house, entry, output, film_id, queue)
    return how_it_stands(house, entry, output)


def _restore(house: House, entry: Entry, output: Path, film_id: str, queue: bool) -> None:
    order = Order(
        recipe=entry.recipe,
        output=output,
        allow_damaged=entry.allow_damaged,
        identifiers=entry.identifiers,
        priority=entry.priority,
    )
    prepared = prepare(house, entry.path, order, film_id)
    if queue:
        with house.catalog.begin() as session:
            enqueue_assemble(session, prepared.restoration_id)
    else:
        complete(house, prepared)


def _failed(house: House, entry: Entry, output: Path, error: Exception) -> Outcome:
    expected = isinstance(error, RestarError)
    reason = str(error) if expected else f"{type(error).__name__}: {error} (a fault of restar)"
    now = how_it_stands(house, entry, output)
    return replace(now, state=State.FAILED, reason=" ".join(reason.split()))


def _restoration(session: Session, film: FilmRow, entry: Entry) -> RestorationRow | None:
    """The restoration by this recipe over the film's newest shot list."""
    shots = latest_shot_list(session, film.id)
    mine = [
        row
        for row in restorations_of(session, film.id)
        if row.recipe_sha256 == entry.recipe.sha256 and shots and row.shot_list_id == shots.id
    ]
    return mine[-1] if mine else None


def _standing(
    session: Session, film: FilmRow, restoration: RestorationRow, entry: Entry, output: Path
) -> Outcome:
    scenes = restoration_scenes(session, restoration.id)
    takes = selected_takes(session, restoration.id)
    waiting = [s for s in scenes if s.flags and s.number not in takes]
    failed = failed_jobs(session, restoration.id)
    counts = job_counts(session, restoration.id)
    found = Outcome(
        entry,
        State.NOT_BEGUN,
        film_id=film.id,
        restoration_id=restoration.id,
        scenes=len(scenes),
        frames=film.frames,
        flagged=sum(bool(scene.flags) for scene in scenes),
        seconds=sum(take.seconds for take in takes.values()),
        gpu_seconds=sum(take.gpu_seconds for take in takes.values()),
        bytes=sum(take.bytes for take in takes.values()),
    )
    master = current_master(session, restoration.id)
    target = master_path(output, entry.path, entry.recipe.name, entry.recipe.deliver.container)
    if master is not None and _stands(Path(master.path), master.bytes, target.parent):
        state = State.FLAGGED if found.flagged else State.DONE
        return replace(found, state=state, master=master.path)
    if failed:
        where = f"scene {failed[0].scene_number}: " if failed[0].scene_number else ""
        return replace(found, state=State.FAILED, reason=f"{where}{failed[0].error}")
    if counts[JobState.QUEUED] + counts[JobState.LEASED]:
        return replace(found, state=State.QUEUED)
    if waiting:
        reason = f"{len(waiting)} scenes, the first for {waiting[0].flags[0]}"
        return replace(found, state=State.WAITING, reason=reason)
    return found


def _stands(master: Path, size: int, folder: Path) -> bool:
    """Whether a master is where it should be, by its size; the fixity audit hashes it."""
    try:
        return master.parent == folder and master.stat().st_size == size
    except OSError:
        return False
