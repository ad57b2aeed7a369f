"""What is wanted of a film, and what people decided: recipe, restoration, selection, review, events."""

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from catalog.base import Base, Json, RestorationState, ReviewDecision, Sha256, enum_of, only
from catalog.types import BigId, now

__all__ = [
    "FLAGGED",
    "EventRow",
    "MemoryHintRow",
    "RecipeRow",
    "RestorationRow",
    "RestorationSceneRow",
    "ReviewRow",
    "SelectionRow",
]

FLAGGED = "CAST(flags AS TEXT) != '[]'"
"""How a query asks for flagged scenes so that the index of these alone is used."""


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
        Index("ix_restoration_scene_flagged", "restoration_id", "number", **only(FLAGGED)),
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


class SelectionRow(Base):
    """The one take of a scene that goes into a restoration's master, and who or what chose it."""

    __tablename__ = "selection"
    __table_args__ = (
        ForeignKeyConstraint(
            ["restoration_id", "scene_number"],
            ["restoration_scene.restoration_id", "restoration_scene.number"],
        ),
        Index(
            "ix_selection_by_person", "restoration_id", "scene_number", **only("rule = 'person'")
        ),
    )

    restoration_id: Mapped[str] = mapped_column(Sha256, primary_key=True)
    scene_number: Mapped[int] = mapped_column(primary_key=True)
    take_id: Mapped[int] = mapped_column(ForeignKey("take.id"), index=True)
    rule: Mapped[str]
    decided_by: Mapped[str]
    selected_at: Mapped[datetime] = mapped_column(default=now())


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


class MemoryHintRow(Base):
    """Answers to `auto` that a recipe was given after frames of a size ("720x576") ran out of memory."""

    __tablename__ = "memory_hint"

    recipe_sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    size: Mapped[str] = mapped_column(primary_key=True)
    answers: Mapped[Json]
    noted_at: Mapped[datetime] = mapped_column(default=now())
