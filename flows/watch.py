"""Watching a folder: films that somebody puts there are taken once they are whole.

Nobody says when a copy is finished, so a film is looked at twice: it is taken where neither size nor
time of any of its files changed in between. Nothing is remembered from scan to scan but what the
catalog knows; so a scan can be lost or run twice without harm.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from flows.bulk import Outcome, State, bulk, how_it_stands
from media.parts import film_files
from restar.errors import RestarError, UsageError
from restar.recipe import Recipe
from tasks.filmlist import Entry, read_list
from tasks.house import House

__all__ = ["settled", "watch"]

Look = tuple[tuple[str, int, int], ...]


def watch(
    house: House,
    folder: Path,
    recipe: Recipe,
    output: Path,
    *,
    priority: int = 0,
    settle_s: float = 30.0,
) -> list[Outcome]:
    """Queue the work of films in a folder that are new and whole; return what became of them.

    Raises UsageError where there is no such folder; an empty one is no error.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder to watch")
    try:
        entries = read_list(folder, recipe, priority, frozenset([output.absolute()]))
    except UsageError:
        return []
    return bulk(house, settled(house, entries, output, settle_s), output, queue=True)


def settled(house: House, entries: Sequence[Entry], output: Path, settle_s: float) -> list[Entry]:
    """Return the films that are known, and those that did not change within `settle_s` seconds."""
    new = {
        entry.path: _look(entry.path)
        for entry in entries
        if how_it_stands(house, entry, output).state is State.NOT_BEGUN
    }
    if new:
        time.sleep(settle_s)
    return [e for e in entries if e.path not in new or _look(e.path) == new[e.path]]


def _look(path: Path) -> Look:
    """Name, size and time of change of each file of a film; empty where it can't be read now."""
    try:
        files = film_files(path).all
    except RestarError:
        files = (path,)
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            return ()
        found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
