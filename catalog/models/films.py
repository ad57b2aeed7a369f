"""What a film is and what is known of it: its shot lists and scenes, measures, captions."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.base import Base, Json, Sha256
from catalog.types import now
from restar.film import FilmManifest, Identifiers, Source

__all__ = ["CaptionRow", "FilmRow", "MeasureRow", "SceneRow", "ShotListRow"]


class FilmRow(Base):
    """A film: what its manifest says, what the archive calls it, what was measured at ingest.

    `hold` says why nothing of it may be dropped ("" = it is not on hold).
    """

    __tablename__ = "film"

    id: Mapped[str] = mapped_column(Sha256, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    manifest: Mapped[Json]
    accession: Mapped[str] = mapped_column(index=True, default="")
    title: Mapped[str] = mapped_column(default="")
    reel: Mapped[str] = mapped_column(default="")
    generation: Mapped[str] = mapped_column(default="")
    rights: Mapped[str] = mapped_column(default="")
    media: Mapped[Json]
    frame_index: Mapped[str] = mapped_column(Sha256)
    frames: Mapped[int] = mapped_column(BigInteger)
    paths: Mapped[list[str]]
    registered_at: Mapped[datetime] = mapped_column(default=now(), index=True)
    seen_at: Mapped[datetime] = mapped_column(default=now())
    hold: Mapped[str] = mapped_column(default="", server_default="")

    def to_manifest(self) -> FilmManifest:
        """Return the manifest with the archive's names as they are now."""
        names = Identifiers(self.accession, self.title, self.reel, self.generation, self.rights)
        sources = tuple(Source(**source) for source in self.manifest["sources"])
        rate = self.manifest.get("rate", "")
        return FilmManifest(self.manifest["kind"], sources, names, rate)


class ShotListRow(Base):
    """One version of a film's shot list; versions are never changed, a new one is made."""

    __tablename__ = "shot_list"
    __table_args__ = (UniqueConstraint("film_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"))
    version: Mapped[int]
    detector: Mapped[str]
    parameters: Mapped[Json]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("shot_list.id"))
    note: Mapped[str] = mapped_column(default="")
    made_by: Mapped[str]
    field_handling: Mapped[str] = mapped_column(default="none")
    made_at: Mapped[datetime] = mapped_column(default=now())


class SceneRow(Base):
    """A scene of a shot list: frames [start, end) on the derived timeline."""

    __tablename__ = "scene"
    __table_args__ = (
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("start_frame >= 0 AND end_frame > start_frame", name="range"),
    )

    shot_list_id: Mapped[int] = mapped_column(ForeignKey("shot_list.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column("start_frame", BigInteger)
    end: Mapped[int] = mapped_column("end_frame", BigInteger)


class MeasureRow(Base):
    """Where the series lies that a version of a measure gave for every frame of a film."""

    __tablename__ = "measure"

    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    algorithm: Mapped[int] = mapped_column(primary_key=True)
    series_sha256: Mapped[str] = mapped_column(Sha256)
    measured_at: Mapped[datetime] = mapped_column(default=now())


class CaptionRow(Base):
    """What a captioner's revision, or a person, said of frames [start, end) of a film."""

    __tablename__ = "caption"
    __table_args__ = (
        CheckConstraint("start_frame >= 0 AND end_frame > start_frame", name="range"),
    )

    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"), primary_key=True)
    start: Mapped[int] = mapped_column("start_frame", BigInteger, primary_key=True)
    end: Mapped[int] = mapped_column("end_frame", BigInteger, primary_key=True)
    revision: Mapped[str] = mapped_column(String(255), primary_key=True)
    captioner: Mapped[str]
    text: Mapped[str]
    detail: Mapped[Json] = mapped_column(default=dict)
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(default=now())
