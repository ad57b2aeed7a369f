"""The tables of the catalog, as SQLAlchemy models. docs/catalog.md draws them and says what each is for.

Rows are read by other parts after their session is closed, so nothing here loads lazily. JSON columns
hold canonical JSON as text: what is hashed must come back as it went in (PostgreSQL's jsonb rewrites
numbers). Times are UTC and by the database's clock.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from catalog.base import (
    OPEN,
    Base,
    JobKind,
    JobState,
    Json,
    MasterState,
    RestorationState,
    ReviewDecision,
    TakeState,
    enum_of,
)
from catalog.types import BigId, now
from restar.film import FilmManifest, Identifiers, Source

__all__ = [
    "OPEN",
    "AgentRow",
    "Base",
    "CaptionRow",
    "EnvironmentRow",
    "EventRow",
    "FilmRow",
    "JobKind",
    "JobRow",
    "JobState",
    "MasterRow",
    "MasterState",
    "MasterTakeRow",
    "MeasureRow",
    "MetricLicenceRow",
    "ModelLicenceRow",
    "NeedRow",
    "ProxyRow",
    "RecipeRow",
    "RestorationRow",
    "RestorationSceneRow",
    "RestorationState",
    "ReviewDecision",
    "ReviewRow",
    "SceneRow",
    "ScoreRow",
    "SelectionRow",
    "ShotListRow",
    "TakeRow",
    "TakeState",
]

Sha256 = String(64)
FLAGGED = "CAST(flags AS TEXT) != '[]'"
"""How a query asks for flagged scenes so that the index of these alone is used."""


def _only(where: str) -> dict[str, Any]:
    """The options of an index that holds some rows only, on either database."""
    return {"sqlite_where": text(where), "postgresql_where": text(where)}


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


class RecipeRow(Base):
    """A recipe as it was written (`text`) and as it was understood (`resolved`)."""

    __tablename__ = "recipe"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    name: Mapped[str]
    text: Mapped[str] = mapped_column(default="")
    resolved: Mapped[Json]
    recorded_at: Mapped[datetime] = mapped_column(default=now())


class RestorationRow(Base):
    """A film restored by a recipe over a shot list. Its id is the hash of these three."""

    __tablename__ = "restoration"
    __table_args__ = (UniqueConstraint("film_id", "recipe_sha256", "shot_list_id"),)

    id: Mapped[str] = mapped_column(Sha256, primary_key=True)
    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"))
    recipe_sha256: Mapped[str] = mapped_column(ForeignKey("recipe.sha256"))
    shot_list_id: Mapped[int] = mapped_column(ForeignKey("shot_list.id"))
    take_format: Mapped[Json]
    settled: Mapped[Json] = mapped_column(default=dict, server_default="{}")
    output: Mapped[str] = mapped_column(default="")
    state: Mapped[RestorationState] = mapped_column(
        enum_of(RestorationState, "state"), default=RestorationState.OPEN
    )
    opened_by: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(default=now())


class RestorationSceneRow(Base):
    """What is wanted of one scene in a restoration: overrides, prompt, spec and so its take."""

    __tablename__ = "restoration_scene"
    __table_args__ = (
        Index("ix_restoration_scene_flagged", "restoration_id", "number", **_only(FLAGGED)),
    )

    restoration_id: Mapped[str] = mapped_column(ForeignKey("restoration.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column("start_frame", BigInteger)
    end: Mapped[int] = mapped_column("end_frame", BigInteger)
    overrides: Mapped[Json] = mapped_column(default=dict)
    caption: Mapped[str | None]
    captioner: Mapped[str] = mapped_column(default="")
    prompt: Mapped[str | None]
    prompt_record: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    marks: Mapped[list[str]] = mapped_column(default=list)
    wanted_spec: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    wanted_take_key: Mapped[str | None] = mapped_column(Sha256, index=True)
    flags: Mapped[list[str]] = mapped_column(default=list)


class EnvironmentRow(Base):
    """The versions and hardware under which takes were made, once per different set of them."""

    __tablename__ = "environment"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    content: Mapped[Json]
    recorded_at: Mapped[datetime] = mapped_column(default=now())


class AgentRow(Base):
    """A process that claims jobs. Host, pid and start time tell whether it still lives.

    `place` is where its pid means something: one boot of one host, one container. `jobs`, `frames`
    and `seconds` count what it has committed; `error` is its last failure, `ended` why it left.
    """

    __tablename__ = "agent"
    __table_args__ = (UniqueConstraint("host", "pid", "create_time"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    create_time: Mapped[float]
    software: Mapped[str] = mapped_column(default="")
    registered_at: Mapped[datetime] = mapped_column(default=now())
    last_seen: Mapped[datetime] = mapped_column(default=now())
    place: Mapped[str] = mapped_column(default="", server_default="")
    device: Mapped[str] = mapped_column(default="", server_default="")
    model: Mapped[str] = mapped_column(default="", server_default="")
    jobs: Mapped[int] = mapped_column(default=0, server_default="0")
    frames: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    error: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    ended: Mapped[str] = mapped_column(default="", server_default="")


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


class ReviewRow(Base):
    """A person's decision on a take, with reason and name."""

    __tablename__ = "review"
    __table_args__ = (
        ForeignKeyConstraint(
            ["restoration_id", "scene_number"],
            ["restoration_scene.restoration_id", "restoration_scene.number"],
        ),
        Index(None, "restoration_id", "scene_number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    restoration_id: Mapped[str] = mapped_column(Sha256)
    scene_number: Mapped[int]
    take_id: Mapped[int] = mapped_column(ForeignKey("take.id"))
    decision: Mapped[ReviewDecision] = mapped_column(enum_of(ReviewDecision, "decision"))
    reason: Mapped[str] = mapped_column(default="")
    reviewer: Mapped[str]
    reviewed_at: Mapped[datetime] = mapped_column(default=now())


class SelectionRow(Base):
    """The one take of a scene that goes into a restoration's master, and who or what chose it."""

    __tablename__ = "selection"
    __table_args__ = (
        ForeignKeyConstraint(
            ["restoration_id", "scene_number"],
            ["restoration_scene.restoration_id", "restoration_scene.number"],
        ),
        Index(
            "ix_selection_by_person", "restoration_id", "scene_number", **_only("rule = 'person'")
        ),
    )

    restoration_id: Mapped[str] = mapped_column(Sha256, primary_key=True)
    scene_number: Mapped[int] = mapped_column(primary_key=True)
    take_id: Mapped[int] = mapped_column(ForeignKey("take.id"), index=True)
    rule: Mapped[str]
    decided_by: Mapped[str]
    selected_at: Mapped[datetime] = mapped_column(default=now())


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


class NeedRow(Base):
    """What jobs ask of an agent; those that ask the same stand in one queue (catalog.turns)."""

    __tablename__ = "need"
    __table_args__ = (UniqueConstraint("kind", "model", "memory_bytes", "gpu"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JobKind] = mapped_column(enum_of(JobKind, "kind"))
    model: Mapped[str] = mapped_column(default="")
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    gpu: Mapped[str] = mapped_column(default="")


class JobRow(Base):
    """A unit of work. `attempt` is the fencing token: it only grows, by one with each claim.

    `need_id`, `turn`, `cost` and `held` are its place in the queue (catalog.turns).
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("(state = 'leased') = (owner_id IS NOT NULL)", name="owner"),
        CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name="lease"),
        Index(
            "ix_job_queue", "state", "held", "need_id", text("priority DESC"), "turn", "phase", "id"
        ),
        Index(None, "state", "held", "priority", "turn"),
        Index(None, "restoration_id", "state", "held", "phase"),
        Index(None, "restoration_id", "state", "priority", "turn"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[JobKind] = mapped_column(enum_of(JobKind, "kind"))
    state: Mapped[JobState] = mapped_column(enum_of(JobState, "state"), default=JobState.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)
    phase: Mapped[int]
    restoration_id: Mapped[str | None] = mapped_column(ForeignKey("restoration.id"))
    film_id: Mapped[str | None] = mapped_column(ForeignKey("film.id"))
    scene_number: Mapped[int | None]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    payload: Mapped[Json] = mapped_column(default=dict)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    error: Mapped[str | None]
    error_kind: Mapped[str] = mapped_column(default="", server_default="")
    need_id: Mapped[int | None] = mapped_column(ForeignKey("need.id"))
    held: Mapped[bool] = mapped_column(default=False, server_default=false())
    turn: Mapped[float] = mapped_column(default=0.0, server_default="0")
    cost: Mapped[float] = mapped_column(default=1.0, server_default="1")
    queued_at: Mapped[datetime] = mapped_column(default=now())
    changed_at: Mapped[datetime] = mapped_column(default=now())


class EventRow(Base):
    """One action, in PREMIS terms, chained by hash to the one before it in its stream."""

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("stream", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    film_id: Mapped[str] = mapped_column(ForeignKey("film.id"), index=True)
    stream: Mapped[str]
    number: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str]
    at: Mapped[datetime]
    agent: Mapped[str]
    outcome: Mapped[str]
    detail: Mapped[Json]
    software: Mapped[str]
    previous: Mapped[str] = mapped_column(Sha256)
    sha256: Mapped[str] = mapped_column(Sha256, unique=True)
