"""What a person decides stands against every rule, and is told for ever."""

import pytest
from sqlalchemy import select

from catalog import Catalog
from catalog.events import events_of
from catalog.jobs import NewJob, dedupe_key, enqueue
from catalog.models import JobKind, ReviewDecision, ReviewRow
from catalog.restorations import restoration_scenes, select_take, selected_takes, unselect
from catalog.reviews import RULE_PERSON, accept_take, candidates
from restar.errors import UsageError
from tests.catalog.rows import SCENES, add_restoration, key_of, restore, spec, want_all


def test_a_decision_selects_and_no_rule_overrides_it(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        first, other = (restore(session, restoration) for _ in range(2))
        accept_take(session, restoration, 1, other, reviewer="ada", reason="sharper")
        select_take(session, restoration.id, 1, first, decided_by="restar")
        unselect(session, restoration.id, 1)
    with catalog.read() as session:
        assert selected_takes(session, restoration.id)[1].id == other.id
        (row,) = session.scalars(select(ReviewRow)).all()
        assert (row.decision, row.reviewer, row.reason) == (ReviewDecision.ACCEPT, "ada", "sharper")
        told = [e for e in events_of(session, restoration.film_id) if e["type"] == "appraisal"]
        assert [e["agent"] for e in told] == ["ada"]
        assert told[0]["detail"]["take_key"] == other.take_key


def test_a_take_of_another_format_is_refused(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        take = restore(session, restoration)
        take.spec = {**take.spec, "format": {"encoder": "other"}}
        with pytest.raises(UsageError, match="another size or pixel format"):
            accept_take(session, restoration, 1, take, reviewer="ada", reason="")


def test_candidates_are_the_takes_that_are_there_by_role(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        scene = restoration_scenes(session, restoration.id)[0]
        assert candidates(session, scene) == {}
        take = restore(session, restoration)
        assert {r: t.id for r, t in candidates(session, scene).items()} == {"first": take.id}
        key = key_of(restoration, SCENES[0], seed=9)
        payload = {"take_key": key, "spec": spec(9).to_json(), "role": "plain",
                   "beside": scene.wanted_take_key}  # fmt: skip
        job = NewJob(JobKind.RESTORE, dedupe_key(JobKind.RESTORE, restoration.id, key),
                     restoration.id, restoration.film_id, 1, payload)  # fmt: skip
        enqueue(session, job)
        assert set(candidates(session, scene)) == {"first"}, "it is not made yet"
        for _ in range(3):
            restore(session, restoration)
        assert set(candidates(session, scene)) == {"first", "plain"}
        assert RULE_PERSON == "person"
