"""Events: the append-only record of what was done, chained by hash so that no change goes unnoticed.

The types are the event types of the PREMIS vocabulary of the Library of Congress
(https://id.loc.gov/vocabulary/preservation/eventType), the outcomes those of its eventOutcome; one
type is our own: `restoration`, of which there is exactly one for every take that was made. A film and
each of its restorations has a stream of its own; every event holds the sha256 of its content and of
the one before it, and a master anchors the head and length of its restoration's stream.
"""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from catalog.models import EventRow, MasterRow
from catalog.types import db_time, json_text
from restar import __version__
from restar.errors import CatalogError

__all__ = [
    "Chain",
    "EventType",
    "Outcome",
    "append",
    "events_of",
    "film_stream",
    "head_of",
    "restoration_stream",
    "verify_chain",
]

_BEFORE_THE_FIRST = "0" * 64
_SOFTWARE = f"restar {__version__}"


class EventType(StrEnum):
    """PREMIS event types as the Library of Congress labels them, and our own `restoration`."""

    ACCESSION = "accession"
    APPRAISAL = "appraisal"
    CAPTURE = "capture"
    COMPILING = "compiling"
    COMPRESSION = "compression"
    CREATION = "creation"
    DEACCESSION = "deaccession"
    DECOMPRESSION = "decompression"
    DECRYPTION = "decryption"
    DELETION = "deletion"
    DIGITAL_SIGNATURE_GENERATION = "digital signature generation"
    DIGITAL_SIGNATURE_VALIDATION = "digital signature validation"
    DISPLAYING = "displaying"
    DISSEMINATION = "dissemination"
    ENCRYPTION = "encryption"
    EXECUTION = "execution"
    EXPORTING = "exporting"
    EXTRACTION = "extraction"
    FILENAME_CHANGE = "filename change"
    FIXITY_CHECK = "fixity check"
    FORENSIC_FEATURE_ANALYSIS = "forensic feature analysis"
    FORMAT_IDENTIFICATION = "format identification"
    IMAGING = "imaging"
    INFORMATION_PACKAGE_CREATION = "information package creation"
    INFORMATION_PACKAGE_MERGING = "information package merging"
    INFORMATION_PACKAGE_SPLITTING = "information package splitting"
    INGESTION = "ingestion"
    INGESTION_END = "ingestion end"
    INGESTION_START = "ingestion start"
    INTERPRETING = "interpreting"
    MESSAGE_DIGEST_CALCULATION = "message digest calculation"
    METADATA_EXTRACTION = "metadata extraction"
    METADATA_MODIFICATION = "metadata modification"
    MIGRATION = "migration"
    MODIFICATION = "modification"
    NORMALIZATION = "normalization"
    PACKING = "packing"
    POLICY_ASSIGNMENT = "policy assignment"
    PRINTING = "printing"
    QUARANTINE = "quarantine"
    RECOVERY = "recovery"
    REDACTION = "redaction"
    REFRESHMENT = "refreshment"
    RENDERING = "rendering"
    REPLICATION = "replication"
    RESTORATION = "restoration"
    TRANSFER = "transfer"
    UNPACKING = "unpacking"
    UNQUARANTINE = "unquarantine"
    VALIDATION = "validation"
    VIRUS_CHECK = "virus check"


class Outcome(StrEnum):
    """How an action ended, in the words of PREMIS eventOutcome."""

    SUCCESS = "success"
    FAIL = "fail"
    WARNING = "warning"


@dataclass(frozen=True)
class Chain:
    """A stream that was verified: the hash of its last event, and how many there are."""

    stream: str
    head: str
    count: int


def film_stream(film_id: str) -> str:
    """Return the name of a film's stream."""
    return f"film:{film_id}"


def restoration_stream(restoration_id: str) -> str:
    """Return the name of a restoration's stream."""
    return f"restoration:{restoration_id}"


def append(
    session: Session,
    stream: str,
    type: EventType,
    *,
    film_id: str,
    agent: str,
    outcome: Outcome = Outcome.SUCCESS,
    detail: dict[str, Any] | None = None,
    software: str = "",
) -> EventRow:
    """Add an event to the end of a stream, in the caller's write transaction.

    `agent` is the person or service that acted; `software` is what it acted with besides restar.
    """
    if session.get_bind().dialect.name == "postgresql":
        # one writer per stream until its transaction ends; SQLite has one writer anyway
        session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:s, 0))"), {"s": stream}
        )
    last = head_of(session, stream)
    row = EventRow(
        film_id=film_id,
        stream=stream,
        number=last.count + 1,
        type=type.value,
        at=db_time(session),
        agent=agent,
        outcome=outcome.value,
        detail=detail or {},
        software=f"{_SOFTWARE}; {software}" if software else _SOFTWARE,
        previous=last.head,
    )
    row.sha256 = _hash(row)
    session.add(row)
    session.flush()
    return row


def head_of(session: Session, stream: str) -> Chain:
    """Return the end of a stream without verifying it; its count is 0 if nothing happened yet."""
    last = session.execute(
        select(EventRow.sha256, EventRow.number)
        .where(EventRow.stream == stream)
        .order_by(EventRow.number.desc())
        .limit(1)
    ).first()
    return Chain(stream, last.sha256, last.number) if last else Chain(stream, _BEFORE_THE_FIRST, 0)


def verify_chain(session: Session, stream: str) -> Chain:
    """Check every event of a stream, and the anchors that masters hold to it.

    Raises CatalogError naming the first event that was altered, or whose predecessor is missing.
    """
    anchors = _anchors(session, stream)
    previous, count = _BEFORE_THE_FIRST, 0
    query = select(EventRow).where(EventRow.stream == stream).order_by(EventRow.number)
    options = {"yield_per": 1000, "populate_existing": True}
    with closing(session.scalars(query.execution_options(**options))) as rows:
        for row in rows:
            count += 1
            if row.number != count:
                raise _broken(stream, f"event {count} is missing")
            if row.previous != previous or row.sha256 != _hash(row):
                raise _broken(stream, f"event {count} was altered")
            for master in anchors.pop(count, ()):
                if master.event_head != row.sha256:
                    raise _broken(stream, f"event {count} is not the one anchored in {master.path}")
            previous = row.sha256
    if anchors:
        first = min(anchors)
        path = anchors[first][0].path
        raise _broken(
            stream, f"it ends after event {count}, but {path} is anchored to event {first}"
        )
    return Chain(stream, previous, count)


def events_of(session: Session, film_id: str) -> list[dict[str, Any]]:
    """Return what happened to a film and in its restorations, oldest first, as plain data.

    Each is {"type", "when" (ISO 8601, UTC), "agent", "outcome", "detail" (an object)}.
    """
    rows = session.scalars(
        select(EventRow).where(EventRow.film_id == film_id).order_by(EventRow.at, EventRow.id)
    )
    return [
        {
            "type": row.type,
            "when": _iso(row.at),
            "agent": row.agent,
            "outcome": row.outcome,
            "detail": row.detail,
        }
        for row in rows
    ]


def _hash(row: EventRow) -> str:
    content = {
        name: getattr(row, name)
        for name in (
            "stream", "number", "film_id", "type", "agent", "outcome", "detail", "software",
            "previous",
        )
    }  # fmt: skip
    return hashlib.sha256(json_text({**content, "when": _iso(row.at)}).encode()).hexdigest()


def _broken(stream: str, what: str) -> CatalogError:
    return CatalogError(f"{stream}: {what}; compare with a backup of the catalog")


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _anchors(session: Session, stream: str) -> dict[int, Sequence[MasterRow]]:
    kind, _, restoration_id = stream.partition(":")
    if kind != "restoration":
        return {}
    masters: dict[int, list[MasterRow]] = {}
    for master in session.scalars(
        select(MasterRow).where(MasterRow.restoration_id == restoration_id)
    ):
        masters.setdefault(master.event_count, []).append(master)
    return dict(masters)
