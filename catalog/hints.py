"""What ran out of memory once: smaller answers to a recipe's `auto`, for restorations opened later.

A restoration that is under way keeps what it was opened with, but for the scene that failed. The next
film of that size need not fail first.
"""

from typing import Any

from sqlalchemy.orm import Session

from catalog.models import MemoryHintRow
from catalog.types import insert_missing

__all__ = ["memory_hint", "note_memory_hint"]

Answers = dict[str, dict[str, Any]]


def note_memory_hint(session: Session, recipe_sha256: str, size: str, answers: Answers) -> None:
    """Keep answers, by number of the step, that take less on frames of `size` ("720x576")."""
    key = {"recipe_sha256": recipe_sha256, "size": size}
    if insert_missing(session, MemoryHintRow, {**key, "answers": answers}, list(key)):
        return
    row = session.get_one(MemoryHintRow, (recipe_sha256, size), with_for_update=True)
    row.answers = {
        step: {**row.answers.get(step, {}), **answers.get(step, {})}
        for step in sorted({*row.answers, *answers})
    }


def memory_hint(session: Session, recipe_sha256: str, size: str) -> Answers:
    """Return what was kept; {} where a recipe never ran out of memory on frames of this size."""
    row = session.get(MemoryHintRow, (recipe_sha256, size))
    return {} if row is None else dict(row.answers)
