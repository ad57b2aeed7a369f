"""Restorations: opened once, redone by the scene, named without doubt."""

import pytest
from sqlalchemy import select

from catalog import Catalog
from catalog.jobs import fail, job_counts
from catalog.models import JobKind, JobRow, JobState, RecipeRow, RestorationState, SelectionRow
from catalog.restorations import (
    enqueue_assemble,
    find_restoration,
    find_take,
    lock_restoration,
    open_restoration,
    recipe_of,
    restoration_scenes,
    restorations_of,
    select_take,
    selected_takes,
    set_output,
    set_overrides,
    want,
)
from catalog.shots import save_shot_list
from restar.errors import UsageError
from restar.spec import Spec
from tests.catalog.rows import (
    FORMAT,
    SCENES,
    add_film,
    add_restoration,
    assemble,
    claimed,
    finished,
    key_of,
    recipe,
    restore,
    spec,
    want_all,
    want_scene,
)


def queued(catalog: Catalog, kind: JobKind) -> list[JobRow]:
    with catalog.read() as session:
        where = (JobRow.kind == kind, JobRow.state == JobState.QUEUED)
        return list(session.scalars(select(JobRow).where(*where).order_by(JobRow.id)))


def test_a_restoration_is_opened_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        film = add_film(session)
        shots = save_shot_list(
            session, film.id, SCENES, detector="t", parameters={}, made_by="tester"
        )
        first = open_restoration(
            session, film.id, recipe(), shots.id, FORMAT, agent="Ada", recipe_text="name = 'test'"
        )
    with catalog.begin() as session:
        again = open_restoration(
            session, film.id, recipe(), shots.id, {"encoder": "other"}, agent="Bob"
        )
        assert again.id == first.id
        assert again.take_format == FORMAT, "a recorded format was changed"
        assert again.opened_by == "Ada"
        assert [(s.number, s.start, s.end) for s in restoration_scenes(session, first.id)] == [
            (1, 0, 10),
            (2, 10, 25),
            (3, 25, 30),
        ]
        assert session.scalars(select(RecipeRow)).one().text == "name = 'test'"
        assert recipe_of(session, first) == recipe()


def test_another_recipe_or_shot_list_is_another_restoration(catalog: Catalog) -> None:
    with catalog.begin() as session:
        first = add_restoration(session)
        other_recipe = add_restoration(session, by=recipe("test", shade=1))
        film = first.film_id
        assert len({first.id, other_recipe.id}) == 2
        assert len(restorations_of(session, film)) == 2
        assert first.shot_list_id != other_recipe.shot_list_id


def test_what_is_wanted_becomes_a_job_with_its_spec(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        assert want_scene(session, restoration, 2, overrides={"seed": 7}, seed=7, prompt="sharp")
        assert want_scene(session, restoration, 2, seed=7), "a queued take is still to be made"
        lease = claimed(session)
        scene = restoration_scenes(session, restoration.id)[1]
    assert lease.payload["take_key"] == key_of(restoration, SCENES[1], 7) == scene.wanted_take_key
    assert Spec.from_json(lease.payload["spec"]) == spec(7)
    assert Spec.from_json(scene.wanted_spec or {}) == spec(7)
    assert (scene.overrides, scene.prompt) == ({"seed": 7}, "sharp")


def test_a_take_that_is_there_is_selected_and_not_made(catalog: Catalog) -> None:
    with catalog.begin() as session:
        first = finished(session)
        other = add_restoration(session, by=recipe("other-delivery", shade=1))
        assert want_all(session, other) == 0
        assert job_counts(session, other.id)[JobState.QUEUED] == 0
        assert selected_takes(session, other.id).keys() == {1, 2, 3}
        assert enqueue_assemble(session, other.id) is not None
        mine = {n: take.id for n, take in selected_takes(session, first.id).items()}
        assert {n: take.id for n, take in selected_takes(session, other.id).items()} == mine


def test_a_changed_seed_redoes_one_scene_and_may_be_taken_back(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        assert want_all(session, restoration) == 0
        assert want_scene(session, restoration, 3, seed=7)
        assert lock_restoration(session, restoration.id).state is RestorationState.OPEN
        assert selected_takes(session, restoration.id).keys() == {1, 2}
        assert enqueue_assemble(session, restoration.id) is None
        restore(session, restoration)
        assemble(session, restoration)
        assert lock_restoration(session, restoration.id).state is RestorationState.DONE
        assert not want_scene(session, restoration, 3)
        takes = selected_takes(session, restoration.id)
        assert takes[3].take_key == key_of(restoration, SCENES[2])
        job_id = enqueue_assemble(session, restoration.id)
        assert job_id is not None
        assert session.get_one(JobRow, job_id).attempt == 1, "the same assembly was done before"


def test_a_wish_that_changed_leaves_nothing_of_the_older_one_queued(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_scene(session, restoration, 1)
        want_scene(session, restoration, 1, seed=7)
        want_scene(session, restoration, 2)
    seeds = [job.payload["spec"]["seed"] for job in queued(catalog, JobKind.RESTORE)]
    assert sorted(seeds) == [0, 7]
    with catalog.begin() as session:
        want_scene(session, restoration, 1)
    jobs = queued(catalog, JobKind.RESTORE)
    assert [job.payload["spec"]["seed"] for job in jobs] == [0, 0]


def test_work_at_an_older_wish_is_kept_but_not_selected(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_scene(session, restoration, 1)
        lease = claimed(session)
        want_scene(session, restoration, 1, seed=7)
        take = restore(session, restoration, lease)
        assert selected_takes(session, restoration.id) == {}
        assert find_take(session, take.take_key) is not None
        assert not want_scene(session, restoration, 1), "a finished take was made again"


def test_a_failed_scene_is_wanted_again_with_fresh_tries(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_scene(session, restoration, 1, max_attempts=1)
        assert fail(session, claimed(session), "no memory") is JobState.FAILED
        assert want_scene(session, restoration, 1, max_attempts=2)
        assert fail(session, claimed(session), "no memory") is JobState.QUEUED


def test_a_stale_assembly_is_taken_from_the_queue(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        for _ in SCENES:
            restore(session, restoration)
    assert len(queued(catalog, JobKind.ASSEMBLE)) == 1
    with catalog.begin() as session:
        want_scene(session, restoration, 2, seed=7)
    assert queued(catalog, JobKind.ASSEMBLE) == []
    with catalog.begin() as session:
        restore(session, restoration)
        set_output(session, restoration.id, "/elsewhere")
        set_output(session, restoration.id, "/elsewhere")
        first = enqueue_assemble(session, restoration.id)
        assert enqueue_assemble(session, restoration.id) == first
    assert [job.payload for job in queued(catalog, JobKind.ASSEMBLE)] == [{"output": "/elsewhere"}]


def test_an_assembly_waits_for_every_scene(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        assert enqueue_assemble(session, restoration.id) is None
        want_all(session, restoration)
        restore(session, restoration)
        assert enqueue_assemble(session, restoration.id) is None


def test_a_person_s_choice_stands_against_the_rule(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        by_rule = selected_takes(session, restoration.id)[1]
        want_scene(session, restoration, 1, seed=7)
        other = restore(session, restoration)
        select_take(session, restoration.id, 1, by_rule, decided_by="Ada", rule="review")
        select_take(session, restoration.id, 1, other, decided_by="restar")
        assert selected_takes(session, restoration.id)[1].id == by_rule.id
        select_take(session, restoration.id, 1, other, decided_by="Bob", rule="review")
        assert selected_takes(session, restoration.id)[1].id == other.id
        again = selected_takes(session, restoration.id)[2]
        select_take(session, restoration.id, 2, again, decided_by="Ada", rule="review")
        chosen = session.get_one(SelectionRow, (restoration.id, 2), populate_existing=True)
        assert (chosen.rule, chosen.decided_by) == ("review", "Ada")


def test_overrides_are_kept_by_scene(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        set_overrides(session, restoration.id, 2, {"seed": 7})
        want_scene(session, restoration, 2)
    with catalog.read() as session:
        overrides = [scene.overrides for scene in restoration_scenes(session, restoration.id)]
    assert overrides == [{}, {"seed": 7}, {}]


@pytest.mark.parametrize("number", [0, 4])
def test_a_scene_that_is_not_there_is_named(catalog: Catalog, number: int) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        with pytest.raises(UsageError, match=f"no scene {number}: .* scenes 1 to 3"):
            want(session, restoration.id, number, spec(), "k" * 64)


def test_a_restoration_is_found_by_prefix_or_if_there_is_one(catalog: Catalog) -> None:
    with catalog.begin() as session:
        film = add_film(session, title="Die Straße")
        with pytest.raises(UsageError, match=r"Die Straße.*no restoration yet"):
            find_restoration(session, film.id)
        first = add_restoration(session)
        assert find_restoration(session, film.id).id == first.id
        second = add_restoration(session, by=recipe("other", shade=1))
        assert find_restoration(session, film.id, second.id[:12]).id == second.id
        with pytest.raises(UsageError, match="--restoration") as caught:
            find_restoration(session, film.id)
        with pytest.raises(UsageError, match="no restoration zz"):
            find_restoration(session, film.id, "zz")
    for row, name in ((first, "test"), (second, "other")):
        assert f"{row.id[:12]} ({name})" in str(caught.value)
