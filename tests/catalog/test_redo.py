"""Redo: a person's word makes jobs, an event and a review at once, or, if it comes too late, nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from catalog import Catalog
from catalog.events import events_of
from catalog.jobs import dedupe_key
from catalog.models import (
    JobKind,
    JobRow,
    JobState,
    RestorationRow,
    RestorationState,
    ReviewDecision,
    ReviewRow,
)
from catalog.redo import Wish, redo, scene_recipe
from catalog.restorations import find_take, restoration_scene, selected_takes
from catalog.reviews import accept_take, takes_of
from restar.errors import OutdatedError, UsageError
from tests.catalog.rows import (
    SCENES,
    add_restoration,
    assemble,
    claimed,
    finished,
    key_of,
    recipe,
    restore,
    want_all,
)

SEED = Wish(seed=7)


def open_jobs(catalog: Catalog) -> list[tuple[str, int | None]]:
    with catalog.read() as session:
        rows = session.scalars(
            select(JobRow).where(JobRow.state == JobState.QUEUED).order_by(JobRow.id)
        )
        return [(row.kind.value, row.scene_number) for row in rows]


def test_a_new_seed_makes_one_take_and_the_next_master(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = finished(session)
        old = selected_takes(session, row.id)
        redo(session, row.id, {2: old[2].take_key}, SEED, reviewer="ada", reason="soft", priority=3)
    assert open_jobs(catalog) == [("restore", 2)]
    with catalog.begin() as session:
        assert sorted(selected_takes(session, row.id)) == [1, 3]
        take = restore(session, row)
        assert take.take_key == key_of(row, SCENES[1], seed=7)
        assert assemble(session, row, "/out/b.mkv").path == "/out/b.mkv"
        assert session.get_one(RestorationRow, row.id).state is RestorationState.DONE
        scene = restoration_scene(session, row.id, 2)
        assert [t.id for t in takes_of(session, row, scene)] == [old[2].id, take.id]
        (review,) = session.scalars(select(ReviewRow)).all()
        assert (review.decision, review.take_id) == (ReviewDecision.REJECT, old[2].id)
        told = [e for e in events_of(session, row.film_id) if e["type"] == "appraisal"]
    assert [(e["agent"], e["detail"]["decision"], e["detail"]["after"]) for e in told] == [
        ("ada", "redo", {"seed": 7})
    ]


def test_without_a_wish_comes_the_next_seed_that_was_not_had(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = finished(session)
        for expected in (1, 2):
            redo(session, row.id, {2: None}, Wish(), reviewer="ada")
            assert restoration_scene(session, row.id, 2).overrides == {"seed": expected}
            restore(session, row)


def test_who_saw_something_else_is_refused_and_leaves_nothing(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = finished(session)
        seen = {n: take.take_key for n, take in selected_takes(session, row.id).items()}
        redo(session, row.id, {2: seen[2]}, SEED, reviewer="ada")
    with pytest.raises(OutdatedError, match="scene 2: no take is selected"):  # noqa: SIM117
        with catalog.begin() as session:
            redo(session, row.id, {1: seen[1], 2: seen[2]}, Wish(seed=8), reviewer="bob")
    assert open_jobs(catalog) == [("restore", 2)]
    with catalog.begin() as session:
        assert restoration_scene(session, row.id, 1).overrides == {}
        take = restore(session, row)
        with pytest.raises(OutdatedError, match=f"take {take.take_key[:12]} is selected"):
            accept_take(session, row, 2, take, reviewer="bob", reason="", seen=seen[2])
        redo(session, row.id, {2: take.take_key}, Wish(seed=8), reviewer="bob")


def test_two_people_at_once_one_of_them_is_told(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = finished(session)
        seen = selected_takes(session, row.id)[2].take_key

    def ask(seed: int) -> bool:
        try:
            with catalog.begin() as session:
                redo(session, row.id, {2: seen}, Wish(seed=seed), reviewer=f"person {seed}")
        except OutdatedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(ask, range(1, 5)))
    assert done.count(True) == 1
    assert open_jobs(catalog) == [("restore", 2)]
    with catalog.read() as session:
        seed = restoration_scene(session, row.id, 2).overrides["seed"]
    assert seed == 1 + done.index(True)


def test_what_a_person_chose_gives_way_to_what_a_person_asks_anew(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = finished(session)
        accept_take(session, row, 2, selected_takes(session, row.id)[2], reviewer="a", reason="")
        redo(session, row.id, {2: None}, SEED, reviewer="ada")
        take = restore(session, row, claimed(session, restoration_id=row.id))
        assert selected_takes(session, row.id)[2].id == take.id


def test_the_take_of_an_older_wish_that_comes_late_is_not_selected(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = add_restoration(session)
        want_all(session, row)
        lease = claimed(session)
        redo(session, row.id, {1: ""}, SEED, reviewer="ada")
        late = restore(session, row, lease)
        assert 1 not in selected_takes(session, row.id)
        assert find_take(session, late.take_key) is not None
        for _ in range(3):
            restore(session, row)
        assert selected_takes(session, row.id)[1].spec["seed"] == 7


def test_what_needs_a_restorer_to_be_resolved_is_left_to_an_agent(catalog: Catalog) -> None:
    with catalog.begin() as session:
        row = finished(session)
        wish = Wish(prompt="a man\non a horse", recipe=recipe("gentle", power=2), strength=0.5)
        redo(session, row.id, {3: None}, wish, reviewer="ada", priority=2)
        scene = restoration_scene(session, row.id, 3)
        assert scene.overrides == {
            "prompt": "a man on a horse", "recipe": "gentle", "strength": 0.5,
            "recipe_sha256": recipe("gentle", power=2).sha256,
        }  # fmt: skip
        assert scene.wanted_take_key is None
        made = scene_recipe(session, row, scene)
        assert made.restore.steps[0].options == {"power": 2, "strength": 0.5}
        assert made.name == "test", "limits and delivery are the restoration's"
        assert session.get_one(RestorationRow, row.id).state is RestorationState.OPEN
    assert open_jobs(catalog) == [("caption", 3)]
    with catalog.read() as session:
        job = session.scalars(
            select(JobRow).where(JobRow.dedupe_key == dedupe_key(JobKind.CAPTION, row.id, 3))
        ).one()
        assert job.priority == 2


@pytest.mark.parametrize(
    ("scenes", "wish", "said"),
    [
        ({9: None}, SEED, "no scene 9"),
        ({1: None}, Wish(seed=-1), "seed -1"),
        ({1: None}, Wish(seed=1 << 63), "give a whole number"),
        ({1: None}, Wish(prompt="x" * 10_001), "10,001 characters"),
    ],
)
def test_what_can_not_be_is_refused(
    catalog: Catalog, scenes: dict[int, str | None], wish: Wish, said: str
) -> None:
    with catalog.begin() as session:
        row = finished(session)
    with pytest.raises(UsageError, match=said), catalog.begin() as session:
        redo(session, row.id, scenes, wish, reviewer="ada")
    assert open_jobs(catalog) == []
