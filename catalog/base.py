"""The ground under the tables: the states that rows can be in, and one base with named constraints.

SQLite can't alter a constraint; Alembic's batch mode makes the table anew and finds the constraint by
its name, so every one of them is named from the first migration on.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Enum, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase

from catalog.types import UtcTime

__all__ = [
    "OPEN",
    "Base",
    "JobKind",
    "JobState",
    "Json",
    "MasterState",
    "RestorationState",
    "ReviewDecision",
    "Sha256",
    "TakeState",
    "enum_of",
    "only",
]

Json = dict[str, Any]
Sha256 = String(64)


class JobKind(StrEnum):
    """What a job does."""

    CAPTION = "caption"
    RESTORE = "restore"
    SCORE = "score"
    PROXY = "proxy"
    ASSEMBLE = "assemble"
    FIXITY = "fixity"


class JobState(StrEnum):
    """Where a job is on its way (docs/catalog.md, life of a job)."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (JobState.QUEUED, JobState.LEASED)


class RestorationState(StrEnum):
    """`done` = there is a master of exactly the takes that are wanted."""

    OPEN = "open"
    DONE = "done"


class TakeState(StrEnum):
    """`lost` = its file is gone or altered; the take has to be made again."""

    OK = "ok"
    LOST = "lost"


class MasterState(StrEnum):
    """`superseded` = another master was put in its place."""

    OK = "ok"
    SUPERSEDED = "superseded"
    LOST = "lost"


class ReviewDecision(StrEnum):
    """What a person decided on a take."""

    ACCEPT = "accept"
    REJECT = "reject"


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        Json: JSON,
        list[str]: JSON,
        datetime: UtcTime,
        str: Text,
    }


def enum_of(kind: type[StrEnum], name: str) -> Enum:
    """Return the column type of an enum: its values as text, and a check constraint `name`."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


def only(where: str) -> dict[str, Any]:
    """Return the options of an index that holds some rows only, on either database."""
    return {"sqlite_where": text(where), "postgresql_where": text(where)}
