"""What pages of people ask of the catalog: films by risk, the queue, proxies, what has changed."""

import pytest
from sqlalchemy import select, update

from catalog import Catalog
from catalog.browse import PAGE, film_cards, list_films
from catalog.claims import claim
from catalog.closeup import film_sheet, masters_of, scene_sheet
from catalog.jobs import fail
from catalog.models import JobKind, JobRow, ProxyRow, RestorationSceneRow
from catalog.proxies import NewProxy, ProxyOf, commit_proxy, proxy_states, want_proxies
from catalog.pulse import changes_since, pulse_of
from catalog.queue import look_at_queue
from catalog.restorations import find_take, select_take
from restar.errors import LeaseLost, UsageError
from tests.catalog.rows import (
    SCENES,
    add_agent,
    add_film,
    add_restoration,
    claimed,
    digest,
    finished,
    key_of,
    restore,
    want_all,
)


def flag(catalog: Catalog, restoration_id: str, *numbers: int) -> None:
    with catalog.begin() as session:
        session.execute(
            update(RestorationSceneRow)
            .where(
                RestorationSceneRow.restoration_id == restoration_id,
                RestorationSceneRow.number.in_(numbers),
            )
            .values(flags=["flicker: frame 3: brightness pulses"])
        )


def test_films_come_by_risk_and_a_persons_word_takes_it_away(catalog: Catalog) -> None:
    with catalog.begin() as session:
        ids = {name: finished(session, name).id for name in ("a.mkv", "b.mkv", "c.mkv")}
        add_film(session, "new.mkv", title="100 % new_reel", accession="N-1")
    flag(catalog, ids["b.mkv"], 1, 3)
    flag(catalog, ids["c.mkv"], 2)
    with catalog.begin() as session:
        names = [card.name for card in list_films(session).cards]
        assert names[:2] == ["b.mkv", "c.mkv"]
        assert [c.name for c in list_films(session, show="decide").cards] == ["b.mkv", "c.mkv"]
        first = list_films(session).cards[0]
        assert (first.flagged, first.undecided, first.scenes, first.chosen) == (2, 2, 3, 3)
        take = find_take(session, key_of_film(session, ids["b.mkv"], 1))
        assert take is not None
        select_take(session, ids["b.mkv"], 1, take, decided_by="anna", rule="person")
        select_take(session, ids["b.mkv"], 3, take, decided_by="anna", rule="person")
    with catalog.read() as session:
        assert next(card.name for card in list_films(session).cards) == "c.mkv"
        decided = next(c for c in list_films(session).cards if c.name == "b.mkv")
        assert (decided.flagged, decided.undecided) == (2, 0)
        assert list_films(session, show="done").total == 3
        for search, count in (
            ("100 %", 1),
            ("_reel", 1),
            ("n-1", 1),
            ("B.MKV", 1),
            ("%", 1),
            ("x", 0),
        ):
            assert list_films(session, search=search).total == count, search
        assert next(c.name for c in list_films(session, sort="newest").cards) == "new.mkv"
        assert film_cards(session, ["nothing"]) == []


def key_of_film(session: object, restoration_id: str, number: int) -> str:
    from sqlalchemy.orm import Session

    assert isinstance(session, Session)
    row = session.get_one(RestorationSceneRow, (restoration_id, number))
    return row.wanted_take_key or ""


def test_pages_of_films_hold_each_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        for number in range(PAGE + 3):
            add_film(session, f"{number}.mkv")
    with catalog.read() as session:
        first, second = list_films(session), list_films(session, page=2)
        assert (first.total, first.pages, len(first.cards), len(second.cards)) == (
            PAGE + 3,
            2,
            PAGE,
            3,
        )
        assert len({card.id for card in [*first.cards, *second.cards]}) == PAGE + 3
        assert list_films(session, page=99).cards == first.cards  # of a list that became shorter


def test_a_film_and_a_scene_close_up(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
    with catalog.read() as session:
        sheet = film_sheet(session, restoration.id)
        assert [(s.number, s.start, s.end, s.rule) for s in sheet.scenes] == [
            (s.number, s.start, s.end, "first") for s in SCENES
        ]
        (master,) = masters_of(session, restoration.id)
        assert master.stands
        scene = scene_sheet(session, restoration.id, 2)
        (take,) = scene.takes
        assert (take.selected, take.wanted, take.fits, take.rejected) == (True, True, True, False)
        with pytest.raises(UsageError, match="scenes 1 to 3"):
            scene_sheet(session, restoration.id, 4)
        with pytest.raises(UsageError, match="no restoration"):
            film_sheet(session, "0" * 64)


def test_the_queue_shows_what_is_next_and_what_failed(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        lease = claimed(session)
        fail(session, lease, "no memory", kind="out of memory", final=True)
        claimed(session)
    with catalog.read() as session:
        queue = look_at_queue(session)
        assert queue["counts"] == {"leased": 1, "queued": 1, "failed": 1}
        assert [job["error"] for job in queue["failed"]] == ["no memory"]
        assert [job["state"] for job in queue["leased"]] == ["leased"]
        assert [job["state"] for job in queue["next"]] == ["queued"]


def test_a_proxy_is_made_once_and_by_whoever_holds_its_job(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)  # restores that are open hold no proxy back
        source = ProxyOf("source", restoration.film_id, 0, 10)
        wanted = [source, ProxyOf("resize", restoration.film_id, 0, 10, format={"a": 1}),
                  ProxyOf("take", restoration.film_id, 0, 10, key_of(restoration, SCENES[0])),
                  ]  # fmt: skip
        assert len({one.key for one in wanted}) == 3
        assert want_proxies(session, wanted, 1) == 3
        assert want_proxies(session, wanted, 1) == 3  # still missing, and still one job each
        assert len(session.scalars(select(JobRow).where(JobRow.kind == JobKind.PROXY)).all()) == 3
        agent = add_agent(session)
        lease = claim(session, agent, (JobKind.PROXY,), 60)
        assert lease is not None
        of = ProxyOf.from_json(lease.payload["proxy"])
        assert proxy_states(session, wanted, 1)[of.key] == "under way"
        commit_proxy(session, lease, of, NewProxy(digest("file"), digest("index"), 9, 10), 1)
        assert sorted(proxy_states(session, wanted, 1).values()) == ["queued", "queued", "ready"]
        assert want_proxies(session, [of], 1) == 0
        assert want_proxies(session, [of], 2) == 1  # of an older version: made again
        with pytest.raises(LeaseLost):
            commit_proxy(session, lease, of, NewProxy("x", "y", 1, 1), 1)
        assert session.get_one(ProxyRow, of.key).sha256 == digest("file")


def test_a_pulse_tells_of_films_and_of_the_queue(catalog: Catalog) -> None:
    with catalog.begin() as session:
        one, other = add_restoration(session, "a.mkv"), add_restoration(session, "b.mkv")
        before = pulse_of(session)
        assert not changes_since(session, before)[1]
        want_all(session, one)
        before, change = changes_since(session, before)
        assert (change.films, change.queue) == ((), True)
        lease = claimed(session)
        before, change = changes_since(session, before)
        assert change.queue
        restore(session, one, lease)
        before, change = changes_since(session, before)
        assert change.films == (one.film_id,)
        assert other.film_id not in change.films
        assert not changes_since(session, before)[1]
