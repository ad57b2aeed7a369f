"""Which files are given out, by what the archive wrote about a film's rights.

There are no users yet, so the rights statement alone decides: where it says that a film is closed,
restricted or embargoed, its moving pictures are looked at here and not taken along.
"""

import re
from dataclasses import dataclass

from catalog.models import FilmRow

__all__ = ["Allowed", "may_download"]

_CLOSED = re.compile(r"\b(closed|restricted|embargo(ed)?|confidential|no (access|copies|downloads?))\b",
                     re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True)
class Allowed:
    """The kinds of file that may be taken along, and why not all of them."""

    files: frozenset[str]
    reason: str = ""


def may_download(film: FilmRow) -> Allowed:
    """Return what of a film may be downloaded."""
    if _CLOSED.search(film.rights):
        return Allowed(frozenset(), f"the film's rights say “{film.rights}”")
    return Allowed(frozenset({"master", "sidecar", "access", "report"}))
