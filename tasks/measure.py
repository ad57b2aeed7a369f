"""The measures of a film: made in the decode pass of ingest, or later in one of their own.

They lie in the store as a series over all frames, so facts of any scenes, and of those of another shot
list tomorrow, are read from it without touching the film.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from captioners.measure import ALGORITHM, MeasuredFilm, Measurer, measured
from captioners.scenefacts import SceneFacts, facts_of
from catalog.captions import find_measure, record_measure
from media.frames import decode_all
from restar.errors import StoreError
from restar.progress import track
from restar.timeline import FrameRange
from tasks.house import NOMINAL_RATE, House, OpenFilm

__all__ = ["KIND", "FactsOfFilm", "measurer_for", "measures_of", "save_measures"]

KIND = "facts"


@dataclass(frozen=True)
class FactsOfFilm:
    """A film's measures, to be asked about its scenes."""

    film: MeasuredFilm

    def of(self, start: int, end: int) -> SceneFacts:
        return facts_of(self.film, FrameRange(start, end))


@contextmanager
def measurer_for(folder: Path, rate: Fraction | None) -> Iterator[Measurer]:
    """Yield what measures frames into `folder`/measures.npz."""
    with Measurer(folder / "measures.npz", rate or NOMINAL_RATE) as measurer:
        yield measurer


def save_measures(house: House, film_id: str, sha256: str) -> None:
    """Record the published series of a film that is registered."""
    with house.catalog.begin() as session:
        record_measure(session, film_id, KIND, ALGORITHM, sha256)


def measures_of(house: House, film: OpenFilm) -> FactsOfFilm:
    """Return a film's measures; one that has none, or whose series is lost, is measured now."""
    with house.catalog.read() as session:
        sha256 = find_measure(session, film.row.id, KIND, ALGORITHM)
    if sha256 is not None:
        try:
            return FactsOfFilm(MeasuredFilm.load(house.store.verify(sha256)))
        except StoreError:
            sha256 = None
    with house.store.staging() as folder:
        with (
            measurer_for(folder, film.info.video.rate) as measurer,
            track(f"measuring {film.path.name}", "frames", film.index.count) as advance,
        ):
            for _ in measured(decode_all(film.path, film.info), measurer):
                advance(1)
        sha256 = house.store.publish(folder / "measures.npz")
    save_measures(house, film.row.id, sha256)
    return FactsOfFilm(MeasuredFilm.load(house.store.open_local(sha256)))
