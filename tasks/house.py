"""What every step works with: settings, catalog, store, who is at work, and the films that are open."""

import getpass
import os
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil

from catalog.agents import register_agent
from catalog.engine import Catalog, open_catalog
from catalog.films import film_by_id
from catalog.models import FilmRow
from media.frames import FrameIndex
from media.parts import film_files, probe_film
from media.probe import MediaInfo
from restar import __version__
from restar.errors import CatalogError, MediaError, NoSourceError, UsageError
from restar.memory import share_arenas
from restar.settings import Settings
from store import Store, open_store

__all__ = [
    "NOMINAL_RATE",
    "SOFTWARE",
    "House",
    "OpenFilm",
    "elsewhere",
    "is_here",
    "measured_of",
    "open_film",
    "open_house",
    "place",
    "process_is_alive",
    "started_at",
]

# Frames a second where a film says no rate: for finding cuts and for showing times, never for PTS.
NOMINAL_RATE = Fraction(25)
SOFTWARE = f"restar {__version__}"


@dataclass(frozen=True)
class House:
    """One installation, opened by one process. `agent_id` is this process in the catalog."""

    settings: Settings
    catalog: Catalog
    store: Store
    who: str
    agent_id: int


@dataclass(frozen=True)
class OpenFilm:
    """A film whose source is here: its row, path, streams, the index of its frames, their marks."""

    row: FilmRow
    path: Path
    info: MediaInfo
    index: FrameIndex
    marks: Path


@contextmanager
def open_house(settings: Settings) -> Iterator[House]:
    """Open catalog and store, made where they are missing, and register this process."""
    share_arenas()
    who = settings.agent or _user()
    store = open_store(settings.store_place, settings.store_root, settings.store_cache_gib)
    with open_catalog(settings.database_url, idle_seconds=settings.lease_seconds) as catalog:
        with catalog.begin() as session:
            agent_id = register_agent(
                session,
                name=who,
                host=socket.gethostname(),
                place=place(),
                pid=os.getpid(),
                create_time=started_at(os.getpid()),
                software=SOFTWARE,
            )
        yield House(settings, catalog, store, who, agent_id)


def open_film(house: House, film_id: str) -> OpenFilm:
    """Return a film ready to be read; raise NoSourceError where its source is gone or another."""
    with house.catalog.read() as session:
        row = film_by_id(session, film_id)
    if row is None:
        raise CatalogError(f"film {film_id[:12]}: not in the catalog; `restar restore` adds one")
    measured = measured_of(row)
    if measured is None:
        raise CatalogError(
            f"film {film_id[:12]} ({row.paths[-1]}): was made known by an older restar, which looked at "
            "less; name its file again with `restar restore FILM`, which looks again and keeps its takes"
        )
    for path in map(Path, reversed(row.paths)):
        if is_here(row, path):
            info = probe_film(path, rounding="rounded" in measured)
            info = replace(info, tolerant=bool(measured["gaps"]))
            index = FrameIndex.load(house.store.open_local(row.frame_index), info.video.time_base)
            marks = house.store.open_local(measured["marks"])
            return OpenFilm(row, path, info, index, marks)
    raise NoSourceError(
        f"film {film_id[:12]}: its source is no longer at {', '.join(row.paths)}; name it again "
        "with `restar restore FILM`"
    )


def measured_of(row: FilmRow) -> dict[str, Any] | None:
    """Return what ingest measured on a film; None where that was before this was measured."""
    measured = row.media.get("measured", {})
    return measured if {"gaps", "marks"} <= measured.keys() else None


def elsewhere(row: FilmRow, path: Path, most: int = 3) -> list[Path]:
    """Return the other places where a film was seen and, by the sizes of its files, still is."""
    others = [place for place in map(Path, row.paths) if place != path and is_here(row, place)]
    return others[-most:]


def is_here(row: FilmRow, path: Path) -> bool:
    """Whether the files of a film are at a path, by their sizes; assembly hashes them."""
    sizes = [source.size for source in row.to_manifest().sources]
    try:
        return [file.stat().st_size for file in film_files(path).all] == sizes
    except (OSError, MediaError, UsageError):
        return False


def process_is_alive(pid: int, create_time: float) -> bool:
    """Whether a process of this place still runs (a process id alone may be another's by now)."""
    try:
        same = abs(started_at(pid) - create_time) < _SAME_S
        return bool(same and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def started_at(pid: int) -> float:
    """Return when a process began: on Linux in seconds since the host started, else since 1970.

    The wall clock may be set while agents work, and on Linux the start of every process would seem
    to move with it. Raises psutil.NoSuchProcess.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return float(psutil.Process(pid).create_time())
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def place() -> str:
    """Return a name for where process ids mean something: one boot of one host, one container.

    Containers often share a host's name, and hosts have been cloned with theirs; the id of a process
    in one is no process, or another one, in the next. Empty where the system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot[:8]} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


_SAME_S = 0.005  # Linux counts in 1/100 s


def _user() -> str:
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):
        return f"uid {os.getuid()}@{platform.node()}"
