"""Tidying: files of takes on which nothing rests any more are dropped, on a person's word.

First the catalog says so, as an event, then the object goes: a crash in between leaves an object that
the next tidying removes, never a row that names what is not there.
"""

from dataclasses import dataclass

from catalog.lifecycle import drop_take, droppable, left_behind
from restar.progress import track
from tasks.house import House

__all__ = ["Tidied", "tidy"]


@dataclass(frozen=True)
class Tidied:
    """How many takes were, or may be, dropped, and their bytes."""

    takes: int
    bytes: int


def tidy(
    house: House, *, older_than_s: float, film_id: str | None = None, dry_run: bool = True
) -> Tidied:
    """Drop what may go and was made longer ago than `older_than_s`; with `dry_run` only count it."""
    with house.catalog.read() as session:
        takes = droppable(session, older_than_s=older_than_s, film_id=film_id)
    if dry_run:
        return Tidied(len(takes), sum(take.bytes for take in takes))
    count, size = 0, 0
    with house.catalog.read() as session:
        objects = left_behind(session)
    for sha256 in objects:
        house.store.remove(sha256)
    with track("tidying", "takes", len(takes)) as advance:
        for take in takes:
            with house.catalog.begin() as session:
                dropped = drop_take(
                    session, take.take_key, agent=house.who, older_than_s=older_than_s
                )
            if dropped is not None:
                for sha256 in dropped.objects:
                    house.store.remove(sha256)
                count, size = count + 1, size + dropped.bytes
            advance(1)
    return Tidied(count, size)
