"""What was made, and how well: takes and their environment, scores, proxies, masters, licences."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.base import Base, Json, MasterState, Sha256, TakeState, enum_of
from catalog.types import now

__all__ = [
    "EnvironmentRow",
    "MasterRow",
    "MasterTakeRow",
    "MetricLicenceRow",
    "ModelLicenceRow",
    "ProxyRow",
    "ScoreRow",
    "TakeRow",
]


class EnvironmentRow(Base):
    """The versions and hardware under which takes were made, once per different set of them."""

    __tablename__ = "environment"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    content: Mapped[Json]
    recorded_at: Mapped[datetime] = mapped_column(default=now())


class TakeRow(Base):
    """One restored version of a scene. Takes belong to a film; restorations share them by key.

    `dropped_at` says when its file was dropped on purpose; its state is `lost` then.
    """

    __tablename__ = "take"

    id: Mapped[int] = mapped_column(primary_key=True)
    take_key: Mapped[str] = mapped_column(Sha256, unique=True)
    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"), index=True)
    start: Mapped[int] = mapped_column("start_frame", BigInteger)
    end: Mapped[int] = mapped_column("end_frame", BigInteger)
    spec: Mapped[Json]
    spec_sha256: Mapped[str] = mapped_column(Sha256)
    sha256: Mapped[str] = mapped_column(Sha256, index=True)
    checksums_sha256: Mapped[str] = mapped_column(Sha256)
    bytes: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    environment_sha256: Mapped[str] = mapped_column(ForeignKey("environment.sha256"))
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    gpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    state: Mapped[TakeState] = mapped_column(enum_of(TakeState, "state"), default=TakeState.OK)
    made_at: Mapped[datetime] = mapped_column(default=now())
    dropped_at: Mapped[datetime | None]


class ModelLicenceRow(Base):
    """Under which licence a model's weights are used."""

    __tablename__ = "model_licence"

    model_sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    name: Mapped[str]
    licence: Mapped[str]
    commercial_use: Mapped[bool]
    source: Mapped[str] = mapped_column(default="")


class MetricLicenceRow(Base):
    """Under which licence a metric is computed (some may not be used commercially)."""

    __tablename__ = "metric_licence"

    metric: Mapped[str] = mapped_column(primary_key=True)
    licence: Mapped[str]
    commercial_use: Mapped[bool]
    source: Mapped[str] = mapped_column(default="")


class ScoreRow(Base):
    """What one metric measured on a take: a summary here, the series in the store if there is one."""

    __tablename__ = "score"
    __table_args__ = (UniqueConstraint("take_id", "metric", "algorithm"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    take_id: Mapped[int] = mapped_column(ForeignKey("take.id"))
    metric: Mapped[str] = mapped_column(ForeignKey("metric_licence.metric"))
    algorithm: Mapped[int] = mapped_column(default=1)
    summary: Mapped[Json]
    series_sha256: Mapped[str | None] = mapped_column(Sha256)
    licence: Mapped[str]
    scored_at: Mapped[datetime] = mapped_column(default=now())


class ProxyRow(Base):
    """Moving pictures of a scene for people to look at: of the source, of a plain resize, of a take.

    `of` says of what (catalog.proxies), `index_sha256` where in the file each frame lies.
    """

    __tablename__ = "proxy"

    of: Mapped[str] = mapped_column(String(255), primary_key=True)
    algorithm: Mapped[int]
    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"), index=True)
    sha256: Mapped[str] = mapped_column(Sha256)
    index_sha256: Mapped[str] = mapped_column(Sha256)
    bytes: Mapped[int] = mapped_column(BigInteger)
    frames: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(default=now())


class MasterRow(Base):
    """A finished master, and the head and length of its restoration's event chain at that moment."""

    __tablename__ = "master"

    id: Mapped[str] = mapped_column(Sha256, primary_key=True)
    restoration_id: Mapped[str] = mapped_column(ForeignKey("restoration.id"), index=True)
    path: Mapped[str] = mapped_column(index=True)
    sha256: Mapped[str] = mapped_column(Sha256)
    bytes: Mapped[int] = mapped_column(BigInteger)
    framemd5: Mapped[str]
    event_head: Mapped[str] = mapped_column(Sha256)
    event_count: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[MasterState] = mapped_column(
        enum_of(MasterState, "state"), default=MasterState.OK
    )
    made_at: Mapped[datetime] = mapped_column(default=now())


class MasterTakeRow(Base):
    """The snapshot of a master: which take stood for which scene, by key and by file."""

    __tablename__ = "master_take"

    master_id: Mapped[str] = mapped_column(ForeignKey("master.id"), primary_key=True)
    scene_number: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column("start_frame", BigInteger)
    end: Mapped[int] = mapped_column("end_frame", BigInteger)
    take_id: Mapped[int] = mapped_column(ForeignKey("take.id"))
    take_key: Mapped[str] = mapped_column(Sha256)
    sha256: Mapped[str] = mapped_column(Sha256)
