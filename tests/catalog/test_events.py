"""Events: in a chain that nobody can change unnoticed, in words that archives share."""

import re

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog import Catalog
from catalog.events import (
    EventType,
    Outcome,
    append,
    events_of,
    film_stream,
    head_of,
    restoration_stream,
    verify_chain,
)
from catalog.models import EventRow, MasterRow
from restar.errors import CatalogError
from tests.catalog.rows import add_film, finished


def disarm(session: Session) -> None:
    """Remove the triggers, as somebody with the database's password could."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("DROP TRIGGER event_no_update"))
        session.execute(text("DROP TRIGGER event_no_delete"))
    else:
        session.execute(text("SET LOCAL session_replication_role = replica"))


def chain_of(session: Session, count: int = 4) -> str:
    """Make a stream of events (the first is the film's ingestion); return its name."""
    film = add_film(session)
    stream = film_stream(film.id)
    for n in range(count - 1):
        append(
            session,
            stream,
            EventType.FIXITY_CHECK,
            film_id=film.id,
            agent="tester",
            detail={"n": n, "ratio": 0.1, "title": "Ö"},
        )
    return stream


def test_a_chain_is_verified(catalog: Catalog) -> None:
    with catalog.begin() as session:
        stream = chain_of(session)
        head = head_of(session, stream)
    with catalog.read() as session:
        assert verify_chain(session, stream) == head
        assert head.count == 4
        rows = session.scalars(select(EventRow).order_by(EventRow.number)).all()
    assert rows[0].previous == "0" * 64
    assert [row.previous for row in rows[1:]] == [row.sha256 for row in rows[:-1]]
    assert {row.software for row in rows} == {rows[0].software}
    assert rows[0].software.startswith("restar ")


def test_streams_do_not_disturb_one_another(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        film = verify_chain(session, film_stream(restoration.film_id))
        own = verify_chain(session, restoration_stream(restoration.id))
    assert (film.count, own.count) == (1, 4)
    with catalog.read() as session:
        assert verify_chain(session, "film:none").count == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET agent = 'nobody'",
        "DELETE FROM event",
    ],
)
def test_the_database_refuses_to_change_an_event(catalog: Catalog, change: str) -> None:
    with catalog.begin() as session:
        stream = chain_of(session)
    with pytest.raises(IntegrityError, match="append-only"), catalog.begin() as session:
        session.execute(text(change))
    with catalog.read() as session:
        assert verify_chain(session, stream).count == 4


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_the_database_refuses_to_empty_the_table(catalog: Catalog) -> None:
    with catalog.begin() as session:
        chain_of(session)
    with pytest.raises(IntegrityError, match="append-only"), catalog.begin() as session:
        session.execute(text("TRUNCATE event"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE event SET agent = 'nobody' WHERE number = 3", "event 3 was altered"),
        ("UPDATE event SET outcome = 'fail' WHERE number = 2", "event 2 was altered"),
        ("UPDATE event SET detail = '{\"n\": 9}' WHERE number = 3", "event 3 was altered"),
        ("UPDATE event SET at = '2001-01-01 00:00:00.000000' WHERE number = 1", "event 1 was"),
        ("UPDATE event SET software = 'other' WHERE number = 4", "event 4 was altered"),
        ("DELETE FROM event WHERE number = 2", "event 2 is missing"),
        ("DELETE FROM event WHERE number = 1", "event 1 is missing"),
    ],
)
def test_a_change_behind_the_triggers_is_named(catalog: Catalog, change: str, says: str) -> None:
    with catalog.begin() as session:
        stream = chain_of(session)
    with catalog.begin() as session:
        disarm(session)
        session.execute(text(change))
    with pytest.raises(CatalogError, match=says), catalog.read() as session:
        verify_chain(session, stream)


def test_an_end_that_was_cut_off_is_noticed_by_the_master(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        stream = restoration_stream(restoration.id)
        assert verify_chain(session, stream).count == 4
    with catalog.begin() as session:
        disarm(session)
        session.execute(text("DELETE FROM event WHERE number >= 3"))
    with (
        pytest.raises(CatalogError, match=r"ends after event 2.*a\.mkv"),
        catalog.read() as session,
    ):
        verify_chain(session, stream)


def test_a_chain_that_was_made_anew_is_noticed_by_the_master(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        stream = restoration_stream(restoration.id)
    with catalog.begin() as session:
        disarm(session)
        session.execute(text("DELETE FROM event WHERE number = 4 AND stream LIKE 'restoration%'"))
        append(
            session, stream, EventType.CREATION, film_id=restoration.film_id, agent="somebody else"
        )
        assert session.scalars(select(MasterRow)).one().event_count == 4
    with pytest.raises(CatalogError, match="not the one anchored"), catalog.read() as session:
        verify_chain(session, stream)


def test_the_events_of_a_film_are_plain_and_oldest_first(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        finished(session, "b.mkv")
        append(
            session,
            film_stream(restoration.film_id),
            EventType.VALIDATION,
            film_id=restoration.film_id,
            agent="Ada",
            outcome=Outcome.WARNING,
        )
    with catalog.read() as session:
        events = events_of(session, restoration.film_id)
    types = ["ingestion", *["restoration"] * 3, "creation", "validation"]
    assert [event["type"] for event in events] == types
    assert all(set(e) == {"type", "when", "agent", "outcome", "detail"} for e in events)
    assert events[-1]["agent"] == "Ada"
    assert events[-1]["outcome"] == "warning"
    whens = [event["when"] for event in events]
    assert whens == sorted(whens)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", when) for when in whens)


def test_the_types_are_the_vocabulary_s_labels_and_one_of_our_own() -> None:
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", kind.value) for kind in EventType)
    assert [kind.name.lower().replace("_", " ") for kind in EventType] == list(EventType)
    assert len(EventType) == 51  # 50 terms of id.loc.gov's eventType, and `restoration`
