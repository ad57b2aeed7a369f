"""Captions and measures in the catalog: kept by film, range and revision, once."""

import pytest

from catalog import Catalog
from catalog.captions import (
    PERSON,
    clear_person,
    find_caption,
    find_measure,
    forget_caption,
    person_caption,
    record_caption,
    record_measure,
)
from restar.timeline import FrameRange
from tests.catalog.rows import add_film

FRAMES = FrameRange(0, 10)


@pytest.fixture
def film_id(catalog: Catalog) -> str:
    with catalog.begin() as session:
        return add_film(session).id


def test_a_revision_s_caption_is_recorded_once(catalog: Catalog, film_id: str) -> None:
    for text in ("a street", "another"):
        with catalog.begin() as session:
            row = record_caption(
                session,
                film_id,
                FRAMES,
                "m-1",
                text,
                captioner="m",
                made_by="me",
                detail={"tags": []},
            )
            assert row.text == "a street"
    with catalog.read() as session:
        assert find_caption(session, film_id, FRAMES, "m-2") is None
        assert find_caption(session, film_id, FrameRange(0, 11), "m-1") is None
        found = find_caption(session, film_id, FRAMES, "m-1")
        assert found is not None
        assert found.detail == {"tags": []}


def test_a_person_s_caption_is_replaced_and_removed(catalog: Catalog, film_id: str) -> None:
    for text in ("one", "two \ud800"):
        with catalog.begin() as session:
            record_caption(session, film_id, FRAMES, PERSON, text, captioner=PERSON, made_by="me")
    with catalog.begin() as session:
        found = person_caption(session, film_id, FRAMES)
        assert found is not None
        assert found.text == "two \\ud800"
        assert clear_person(session, film_id, FRAMES)
        assert person_caption(session, film_id, FRAMES) is None
        assert not clear_person(session, film_id, FRAMES)
        assert not forget_caption(session, film_id, FRAMES, "m-1")


def test_a_newer_measure_takes_the_place_of_an_older(catalog: Catalog, film_id: str) -> None:
    with catalog.begin() as session:
        assert find_measure(session, film_id, "facts", 1) is None
        record_measure(session, film_id, "facts", 1, "a" * 64)
        record_measure(session, film_id, "facts", 1, "b" * 64)
        record_measure(session, film_id, "facts", 2, "c" * 64)
        assert find_measure(session, film_id, "facts", 1) == "b" * 64
