"""What may be dropped: never what is selected, wanted, in a master, decided on, or held."""

from typing import Any

import pytest
from sqlalchemy import update

from catalog import Catalog
from catalog.events import events_of
from catalog.lifecycle import drop_take, droppable, kept_bytes, left_behind, set_hold
from catalog.models import MasterRow, MasterState, ProxyRow, RestorationRow, TakeRow
from catalog.redo import Wish, redo
from catalog.restorations import (
    enqueue_assemble,
    find_take,
    restoration_scene,
    selected_takes,
)
from catalog.reviews import accept_take, takes_of
from tests.catalog.rows import assemble, finished, restore, want_all, want_scene


def with_a_spare(session: Any) -> tuple[RestorationRow, TakeRow]:
    """A finished restoration with one take that nothing rests on: another seed had been wanted once."""
    row = finished(session)
    want_scene(session, row, 2, seed=5)
    spare = restore(session, row)
    assemble(session, row)
    want_all(session, row)  # back to seed 0
    enqueue_assemble(session, row.id)
    assemble(session, row)
    return row, spare


def spares(session: Any, **options: Any) -> list[int]:
    return [take.id for take in droppable(session, older_than_s=-60, **options)]


def test_a_take_that_nothing_rests_on_may_go_and_comes_back(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row, spare = with_a_spare(session)
        assert spares(session) == [spare.id]
        assert spares(session, film_id="0" * 64) == []
        assert droppable(session, older_than_s=60) == []
        before = kept_bytes(session)
        key, sha256 = spare.take_key, spare.sha256
        proxy = {"of": f"take:{key}", "film_id": row.film_id, "algorithm": 1, "sha256": "p" * 64,
                 "index_sha256": "i" * 64, "bytes": 1, "frames": 1}  # fmt: skip
        session.add(ProxyRow(**proxy))
        session.flush()
        dropped = drop_take(session, key, agent="ada", older_than_s=-60)
        assert dropped is not None
        assert set(dropped.objects) == {sha256, spare.checksums_sha256, "p" * 64, "i" * 64}
        assert session.get(ProxyRow, f"take:{key}", populate_existing=True) is None
        assert kept_bytes(session) == before - spare.bytes
        assert find_take(session, key) is None
        assert sorted(left_behind(session)) == sorted(dropped.objects)
        (told,) = [e for e in events_of(session, row.film_id) if e["type"] == "deletion"]
        assert (told["agent"], told["detail"]["take_key"]) == ("ada", key)
        want_scene(session, row, 2, seed=5)
        again = restore(session, row)
        assert (again.id, again.dropped_at) == (spare.id, None)
        session.expunge_all()
        session.add(ProxyRow(**proxy))
        session.flush()
        assert left_behind(session) == []


@pytest.mark.parametrize("why", ["selected", "wanted", "master", "decided", "at work", "held"])
def test_what_must_stay(catalog: Catalog, why: str) -> None:
    with catalog.begin() as session:
        row, spare = with_a_spare(session)
        if why == "held":
            set_hold(session, row.film_id, "case 12", agent="ada")
        elif why == "master":
            session.execute(update(MasterRow).values(state=MasterState.OK))
        elif why in ("selected", "wanted"):
            want_scene(session, row, 2, seed=5)
            enqueue_assemble(session, row.id)
            assemble(session, row)
            assert selected_takes(session, row.id)[2].id == spare.id
            old = {take.id for take in droppable(session, older_than_s=-60)}
            assert spare.id not in old
            return
        elif why == "decided":
            accept_take(session, row, 2, spare, reviewer="ada", reason="")
            first = takes_of(session, row, restoration_scene(session, row.id, 2))[0]
            accept_take(session, row, 2, first, reviewer="ada", reason="")
        else:
            redo(session, row.id, {3: None}, Wish(seed=5), reviewer="ada")
        assert spares(session) == []
        assert drop_take(session, spare.take_key, agent="ada", older_than_s=-60) is None
        if why == "held":
            set_hold(session, row.film_id, "", agent="ada")
            assert spares(session) == [spare.id]
            holds = [e["detail"] for e in events_of(session, row.film_id)
                     if e["type"] == "policy assignment"]  # fmt: skip
            assert [one["hold"] for one in holds] == ["case 12", ""]
