"""What a film is: its source files in order, known by their hashes, and the archive's own names.

A film's id is the sha256 of its manifest, which holds what the sources are and their hashes but no
path, title or date: renaming or moving a file does not make another film of it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from restar.hashing import sha256_of

__all__ = ["FilmManifest", "Identifiers", "Scene", "Source"]


@dataclass(frozen=True)
class Source:
    """One file of a film: its bytes' sha256, its size, and the name under which it was last seen."""

    sha256: str
    size: int
    name: str


@dataclass(frozen=True)
class Identifiers:
    """How the archive itself names a film; every field may be empty."""

    accession: str = ""
    title: str = ""
    reel: str = ""
    generation: str = ""
    rights: str = ""


@dataclass(frozen=True)
class FilmManifest:
    """The sources of a film in order. `kind` says how they make one film, `rate` how fast images run."""

    kind: Literal["file", "reels", "sequence"]
    sources: tuple[Source, ...]
    identifiers: Identifiers = field(default_factory=Identifiers)
    rate: str = ""

    @property
    def film_id(self) -> str:
        """The sha256 that names the film: of the kind, the rate, and the sources' hashes in order."""
        what: dict[str, Any] = {"kind": self.kind, "sources": [s.sha256 for s in self.sources]}
        if self.rate:
            what["rate"] = self.rate
        return sha256_of(what)


@dataclass(frozen=True)
class Scene:
    """One scene of a shot list: its number (from 1) and its frames [start, end)."""

    number: int
    start: int
    end: int
