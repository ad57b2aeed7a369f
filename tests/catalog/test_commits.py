"""Commits: all or nothing, once, and with what follows from them."""

import dataclasses

import pytest
from sqlalchemy import func, select

from catalog import Catalog
from catalog.claims import claim
from catalog.commits import (
    MasterFile,
    NewScore,
    commit_caption,
    commit_master,
    commit_scores,
    commit_take,
    mark_take_lost,
    reuse_take,
)
from catalog.control import cancel
from catalog.events import events_of, film_stream, head_of, restoration_stream, verify_chain
from catalog.jobs import NewJob, dedupe_key, enqueue, job_counts, requeue_expired
from catalog.models import (
    EventRow,
    JobKind,
    JobRow,
    JobState,
    MasterRow,
    MasterState,
    MasterTakeRow,
    MetricLicenceRow,
    RestorationSceneRow,
    RestorationState,
    ScoreRow,
    TakeRow,
)
from catalog.restorations import (
    find_take,
    lock_restoration,
    restoration_scenes,
    selected_takes,
    set_output,
)
from restar.errors import LeaseLost
from tests.catalog.rows import (
    ALL_KINDS,
    SCENES,
    add_agent,
    add_restoration,
    assemble,
    claimed,
    finished,
    key_of,
    made,
    recipe,
    restore,
    want_all,
    want_scene,
)


def open_assemblies(catalog: Catalog) -> list[dict[str, object]]:
    with catalog.read() as session:
        query = select(JobRow).where(JobRow.kind == JobKind.ASSEMBLE)
        return [job.payload for job in session.scalars(query) if job.state is JobState.QUEUED]


def restoration_events(catalog: Catalog) -> int:
    with catalog.read() as session:
        query = select(func.count()).where(EventRow.type == "restoration")
        return session.execute(query).scalar_one()


def test_a_take_is_recorded_selected_and_explained(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        assert want_all(session, restoration) == 3
        lease = claimed(session)
        take = restore(session, restoration, lease)
    with catalog.read() as session:
        assert selected_takes(session, restoration.id)[1].take_key == key_of(restoration, SCENES[0])
        assert find_take(session, take.take_key) is not None
        assert session.get_one(JobRow, lease.id).state is JobState.DONE
        event = events_of(session, restoration.film_id)[-1]
    assert (event["type"], event["outcome"], event["agent"]) == ("restoration", "success", "tester")
    assert event["detail"]["scene"] == 1
    assert event["detail"]["sha256"] == take.sha256
    assert take.spec == lease.payload["spec"]
    assert take.made_at.tzinfo is not None


def test_a_job_taken_over_commits_nothing(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        stale = claim(session, add_agent(session), ALL_KINDS, -1)
        assert stale is not None
        assert requeue_expired(session) == [stale.id]
        newer = claimed(session, add_agent(session, 2))
        assert (newer.id, newer.attempt) == (stale.id, stale.attempt + 1)
    with catalog.begin() as session:
        take = made(session, restoration, stale)
    for lost in (
        stale,
        dataclasses.replace(stale, attempt=2),
        dataclasses.replace(newer, attempt=1),
    ):
        with pytest.raises(LeaseLost, match="dropped"), catalog.begin() as session:
            commit_take(session, lost, take, agent="tester")
    with catalog.begin() as session:
        assert session.scalars(select(TakeRow)).all() == []
        assert selected_takes(session, restoration.id) == {}
        commit_take(session, newer, take, agent="tester")
    assert restoration_events(catalog) == 1


def test_a_lease_that_ran_out_but_was_not_taken_still_commits(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        late = claim(session, add_agent(session), ALL_KINDS, -1)
        assert late is not None
        restore(session, restoration, late)
    assert restoration_events(catalog) == 1


def test_a_cancelled_job_commits_nothing(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        lease = claimed(session)
        assert cancel(session, restoration_id=restoration.id) == 3
    with pytest.raises(LeaseLost), catalog.begin() as session:
        restore(session, restoration, lease)


def test_the_last_take_queues_the_assembly_in_the_same_transaction(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        set_output(session, restoration.id, "/out")
        want_all(session, restoration)
        restore(session, restoration)
        restore(session, restoration)
    assert open_assemblies(catalog) == []
    with pytest.raises(RuntimeError), catalog.begin() as session:
        restore(session, restoration)
        raise RuntimeError("killed before the commit")
    assert open_assemblies(catalog) == []
    with catalog.begin() as session:
        requeued = session.scalars(select(JobRow).where(JobRow.state == JobState.QUEUED)).one()
        assert requeued.attempt == 0, "a transaction that was undone left a claim"
        restore(session, restoration)
    assert open_assemblies(catalog) == [{"output": "/out"}]


def test_a_scene_that_failed_holds_the_assembly_back(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        lease = claimed(session)
        cancel(session, job_id=lease.id)
        restore(session, restoration)
        restore(session, restoration)
    assert open_assemblies(catalog) == []


def test_a_take_made_for_one_restoration_serves_the_other(catalog: Catalog) -> None:
    with catalog.begin() as session:
        a = add_restoration(session)
        b = add_restoration(session, by=recipe("other", shade=1))
        assert a.id != b.id
        assert want_all(session, a) == want_all(session, b) == 3
        for _ in SCENES:
            restore(session, a)
        assert job_counts(session, b.id)[JobState.DONE] == 3
        assert selected_takes(session, b.id).keys() == {1, 2, 3}
    assert restoration_events(catalog) == 3
    assert len(open_assemblies(catalog)) == 2


def test_a_job_whose_take_came_from_elsewhere_is_done_without_event(catalog: Catalog) -> None:
    with catalog.begin() as session:
        a = add_restoration(session)
        b = add_restoration(session, by=recipe("other", shade=1))
        want_scene(session, a, 1)
        want_scene(session, b, 1)
        of_a, of_b = (claimed(session, restoration_id=r.id) for r in (a, b))
        assert reuse_take(session, of_b, of_b.payload["take_key"]) is None
        first = restore(session, a, of_a)
        reused = reuse_take(session, of_b, of_b.payload["take_key"])
        assert reused is not None
        assert reused.id == first.id
        assert selected_takes(session, b.id)[1].id == first.id
    assert restoration_events(catalog) == 1


def test_two_agents_that_made_the_same_take_record_it_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        a = add_restoration(session)
        b = add_restoration(session, by=recipe("other", shade=1))
        want_scene(session, a, 1)
        want_scene(session, b, 1)
        leases = [claimed(session, restoration_id=r.id) for r in (a, b)]
    for row, lease in zip((a, b), leases, strict=True):
        with catalog.begin() as session:
            restore(session, row, lease)
    with catalog.read() as session:
        assert len(session.scalars(select(TakeRow)).all()) == 1
        assert job_counts(session, b.id)[JobState.DONE] == 1
    assert restoration_events(catalog) == 1


def test_a_lost_take_is_made_again_under_its_key(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        key = key_of(restoration, SCENES[1])
        mark_take_lost(session, key, "its bytes were altered", agent="tester")
        mark_take_lost(session, key, "said twice", agent="tester")
        assert find_take(session, key) is None
        assert selected_takes(session, restoration.id).keys() == {1, 3}
        assert lock_restoration(session, restoration.id).state is RestorationState.OPEN
        event = events_of(session, restoration.film_id)[-1]
        assert (event["type"], event["outcome"]) == ("fixity check", "fail")
        assert event["detail"]["reason"] == "its bytes were altered"
        assert want_all(session, restoration) == 1
        lease = claimed(session)
        assert (lease.scene_number, lease.attempt) == (2, 2)
        again = restore(session, restoration, lease)
        assert again.take_key == key
        assert assemble(session, restoration).state is MasterState.OK
        assert lock_restoration(session, restoration.id).state is RestorationState.DONE
        verify_chain(session, restoration_stream(restoration.id))
    assert restoration_events(catalog) == 4


def test_a_take_that_nobody_selects_is_lost_in_the_film_s_stream(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_scene(session, restoration, 1)
        take = restore(session, restoration)
        want_scene(session, restoration, 1, seed=7)
        before = head_of(session, film_stream(restoration.film_id)).count
        mark_take_lost(session, take.take_key, "it is not there", agent="tester")
        assert head_of(session, film_stream(restoration.film_id)).count == before + 1


def test_a_caption_is_kept_with_its_prompt(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        key = dedupe_key(JobKind.CAPTION, restoration.id, 2)
        enqueue(session, NewJob(JobKind.CAPTION, key, restoration.id, scene_number=2))
        commit_caption(session, claimed(session), "a tram", "a tram, sharp", "fixed 1")
        assert want_scene(session, restoration, 2)
    with catalog.read() as session:
        scene = restoration_scenes(session, restoration.id)[1]
        assert (scene.caption, scene.prompt, scene.captioner) == (
            "a tram",
            "a tram, sharp",
            "fixed 1",
        )
    assert open_assemblies(catalog) == []


def test_scores_flag_the_scene_and_release_the_assembly(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        takes = [restore(session, restoration) for _ in SCENES]
        take = takes[0]
        key = dedupe_key(JobKind.SCORE, restoration.id, take.take_key)
        enqueue(session, NewJob(JobKind.SCORE, key, restoration.id, scene_number=1))
        lease = claimed(session)
        assert lease.kind is JobKind.SCORE, "the assembly was claimed before the score"
        score = NewScore("psnr-to-source", {"mean": 31.25}, licence="Apache-2.0")
        commit_scores(session, lease, take.take_key, [score], flags=["psnr-to-source"])
        assert claimed(session).kind is JobKind.ASSEMBLE
    with catalog.read() as session:
        assert session.scalars(select(ScoreRow)).one().summary == {"mean": 31.25}
        assert session.scalars(select(MetricLicenceRow)).one().licence == "Apache-2.0"
        assert restoration_scenes(session, restoration.id)[0].flags == ["psnr-to-source"]


def test_scores_of_an_older_wish_flag_nothing(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_scene(session, restoration, 1)
        take = restore(session, restoration)
        for _ in range(2):
            key = dedupe_key(JobKind.SCORE, restoration.id, take.take_key)
            job = NewJob(JobKind.SCORE, key, restoration.id, scene_number=1)
            enqueue(session, job, reopen=True)
            lease = claimed(session)
            want_scene(session, restoration, 1, seed=7)
            score = NewScore("psnr-to-source", {"mean": 1.0})
            commit_scores(session, lease, take.take_key, [score], flags=["low"])
            cancel(session, restoration_id=restoration.id)
        row = session.get_one(RestorationSceneRow, (restoration.id, 1))
        session.refresh(row)
        assert row.flags == []
        assert len(session.scalars(select(ScoreRow)).all()) == 1, "a score was recorded twice"


def test_a_master_keeps_its_takes_and_anchors_the_events(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
    with catalog.read() as session:
        master = session.scalars(select(MasterRow)).one()
        snapshot = session.scalars(select(MasterTakeRow).order_by(MasterTakeRow.scene_number)).all()
        assert [(t.scene_number, t.start, t.end) for t in snapshot] == [
            (1, 0, 10),
            (2, 10, 25),
            (3, 25, 30),
        ]
        assert [t.take_key for t in snapshot] == [key_of(restoration, s) for s in SCENES]
        chain = verify_chain(session, restoration_stream(restoration.id))
        assert (
            (master.event_head, master.event_count) == (chain.head, chain.count) == (chain.head, 4)
        )
        last = events_of(session, restoration.film_id)[-1]
        assert (last["type"], last["detail"]["path"]) == ("creation", master.path)


def test_a_redone_scene_supersedes_the_master_but_not_its_snapshot(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = finished(session)
        first = session.scalars(select(MasterRow)).one()
        assert want_scene(session, restoration, 3, seed=7, overrides={"seed": 7})
        restore(session, restoration)
        second = assemble(session, restoration)
        session.refresh(first)
        assert (first.state, second.state) == (MasterState.SUPERSEDED, MasterState.OK)
        kept = session.scalars(
            select(MasterTakeRow.take_key).where(MasterTakeRow.master_id == first.id)
        ).all()
        assert key_of(restoration, SCENES[2]) in kept
        assert restoration_scenes(session, restoration.id)[2].overrides == {"seed": 7}
        verify_chain(session, restoration_stream(restoration.id))


def test_a_master_of_what_is_not_wanted_any_more_leaves_the_restoration_open(
    catalog: Catalog,
) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        for _ in SCENES:
            restore(session, restoration)
        lease = claimed(session)
        takes = selected_takes(session, restoration.id)
        want_scene(session, restoration, 1, seed=7)
        master = MasterFile("/out/a.mkv", "a" * 64, 1, "b" * 64)
        commit_master(session, lease, master, takes, agent="tester")
        assert lock_restoration(session, restoration.id).state is RestorationState.OPEN
        assert claimed(session).kind is JobKind.RESTORE


def test_a_master_needs_a_take_for_every_scene(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        for _ in SCENES:
            restore(session, restoration)
        lease = claimed(session)
        takes = selected_takes(session, restoration.id)
    del takes[2]
    master = MasterFile("/out/a.mkv", "a" * 64, 1, "b" * 64)
    with pytest.raises(ValueError, match="every scene"), catalog.begin() as session:
        commit_master(session, lease, master, takes, agent="tester")
