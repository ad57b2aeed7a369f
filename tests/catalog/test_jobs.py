"""Jobs: queued once, claimed once, in the right order, and never lost."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError

from catalog import Catalog
from catalog.agents import seen
from catalog.claims import Offer, claim, without_captions
from catalog.control import cancel, retry
from catalog.jobs import (
    NewJob,
    close_queued,
    dedupe_key,
    enqueue,
    fail,
    failed_jobs,
    finish,
    hand_back,
    job_counts,
    next_lease_end,
    renew,
    requeue_dead,
    requeue_expired,
)
from catalog.models import AgentRow, JobKind, JobRow, JobState
from catalog.types import db_time
from restar.errors import LeaseLost
from tests.catalog.rows import ALL_KINDS, add_agent, add_restoration, claimed

RESTORE, SCORE = JobKind.RESTORE, JobKind.SCORE


def state_of(catalog: Catalog, job_id: int) -> JobState:
    with catalog.read() as session:
        return session.get_one(JobRow, job_id).state


def test_a_key_is_queued_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        job = NewJob(RESTORE, dedupe_key(RESTORE, restoration.id, "k"), restoration.id)
        first = enqueue(session, job)
        assert enqueue(session, job) == first
        finish(session, claimed(session))
        assert enqueue(session, job) == first
        assert claim(session, add_agent(session), ALL_KINDS, 60) is None, "a done job was reopened"


def test_a_closed_job_is_opened_again_with_fresh_tries(catalog: Catalog) -> None:
    with catalog.begin() as session:
        job = NewJob(RESTORE, "k", max_attempts=2, payload={"n": 1})
        job_id = enqueue(session, job)
        assert fail(session, claimed(session), "one") is JobState.QUEUED
        assert fail(session, claimed(session), "two") is JobState.FAILED
        again = NewJob(RESTORE, "k", max_attempts=2, payload={"n": 2}, priority=4)
        assert enqueue(session, again, reopen=True) == job_id
        lease = claimed(session)
        assert (lease.attempt, lease.payload, lease.priority) == (3, {"n": 2}, 4)
        assert fail(session, lease, "three") is JobState.QUEUED
        assert fail(session, claimed(session), "four") is JobState.FAILED


def test_an_open_job_is_not_disturbed_by_reopening(catalog: Catalog) -> None:
    with catalog.begin() as session:
        enqueue(session, NewJob(RESTORE, "k", payload={"n": 1}))
        lease = claimed(session)
        enqueue(session, NewJob(RESTORE, "k", payload={"n": 2}), reopen=True)
        finish(session, lease)


def test_the_next_job_has_the_highest_priority_then_phase_then_age(catalog: Catalog) -> None:
    with catalog.begin() as session:
        for key, kind, priority in (
            ("late", SCORE, 0),
            ("first", RESTORE, 0),
            ("second", RESTORE, 0),
            ("check", JobKind.FIXITY, 0),
            ("urgent", SCORE, 5),
            ("caption", JobKind.CAPTION, 0),
            ("some day", JobKind.CAPTION, -1),
        ):
            enqueue(session, NewJob(kind, key, priority=priority))
        keys = [session.get_one(JobRow, claimed(session).id).dedupe_key for _ in range(7)]
    assert keys == ["urgent", "caption", "first", "second", "late", "check", "some day"]


def test_a_phase_waits_for_the_one_before_it_in_its_restoration(catalog: Catalog) -> None:
    with catalog.begin() as session:
        mine, other = add_restoration(session), add_restoration(session, "b.mkv")
        order = [JobKind.ASSEMBLE, SCORE, RESTORE, JobKind.CAPTION]
        for priority, kind in enumerate(reversed(order)):  # the later, the more urgent
            enqueue(session, NewJob(kind, kind.value, mine.id, priority=priority))
        enqueue(session, NewJob(SCORE, "other", other.id, priority=-9))
        for kind in reversed(order):
            lease = claimed(session, restoration_id=mine.id)
            assert lease.kind is kind
            agent = add_agent(session, 2)
            waiting = claim(session, agent, ALL_KINDS, 60, restoration_id=mine.id)
            assert waiting is None, f"{waiting} did not wait for {kind}"
            if kind is RESTORE:
                assert claimed(session).restoration_id == other.id
            finish(session, lease)


def test_a_proxy_holds_nothing_back(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        enqueue(session, NewJob(JobKind.PROXY, "p", restoration.id))
        enqueue(session, NewJob(JobKind.ASSEMBLE, "a", restoration.id))
        kinds = (JobKind.ASSEMBLE,)
        assert claim(session, add_agent(session), kinds, 60) is not None


def test_a_claim_keeps_to_its_kinds_and_restoration(catalog: Catalog) -> None:
    with catalog.begin() as session:
        a, b = add_restoration(session), add_restoration(session, "b.mkv")
        enqueue(session, NewJob(RESTORE, "k", a.id, a.film_id, 2, {"take_key": "k"}))
        agent = add_agent(session)
        assert claim(session, agent, (SCORE,), 60) is None
        assert claim(session, agent, ALL_KINDS, 60, restoration_id=b.id) is None
        lease = claim(session, agent, (SCORE, RESTORE), 60, restoration_id=a.id)
        assert lease is not None
        assert (lease.owner, lease.attempt, lease.scene_number) == (agent, 1, 2)
        assert (lease.restoration_id, lease.film_id) == (a.id, a.film_id)
        assert lease.payload == {"take_key": "k"}


def test_leases_go_by_the_database_s_clock(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        enqueue(session, NewJob(RESTORE, "k", restoration.id))
        before = db_time(session)
        lease = claim(session, add_agent(session), ALL_KINDS, 90.5)
        assert lease is not None
        assert lease.lease_until.tzinfo is not None
        assert abs(lease.lease_until - before - timedelta(seconds=90.5)) < timedelta(seconds=5)
        assert next_lease_end(session, restoration.id) == lease.lease_until
        renew(session, lease, 3600)
        longer = next_lease_end(session, restoration.id)
        assert longer is not None
        assert longer - lease.lease_until > timedelta(minutes=55)
        assert requeue_expired(session) == []
        renew(session, lease, -1)
        assert requeue_expired(session) == [lease.id]
        assert next_lease_end(session, restoration.id) is None


def test_renewing_says_that_the_agent_lives(catalog: Catalog) -> None:
    with catalog.begin() as session:
        agent = add_agent(session)
        registered = session.get_one(AgentRow, agent).last_seen
        enqueue(session, NewJob(RESTORE, "k"))
        renew(session, claimed(session, agent), 60)
        session.refresh(session.get_one(AgentRow, agent))
        renewed = session.get_one(AgentRow, agent).last_seen
        assert renewed > registered
        seen(session, agent)
        session.refresh(session.get_one(AgentRow, agent))
        assert session.get_one(AgentRow, agent).last_seen > renewed
        assert add_agent(session) == agent


@pytest.mark.parametrize("change", [finish, hand_back, lambda s, lease: renew(s, lease, 60)])
def test_only_the_holder_may_change_a_job(catalog: Catalog, change: object) -> None:
    assert callable(change)
    with catalog.begin() as session:
        enqueue(session, NewJob(RESTORE, "k"))
        stale = claim(session, add_agent(session), ALL_KINDS, -1)
        assert stale is not None
        requeue_expired(session)
    with pytest.raises(LeaseLost, match="taken over"), catalog.begin() as session:
        change(session, stale)
    with catalog.begin() as session:
        newer = claimed(session, add_agent(session))  # the same agent, another attempt
        assert newer.owner == stale.owner
    with pytest.raises(LeaseLost), catalog.begin() as session:
        change(session, stale)
    with catalog.begin() as session:
        change(session, newer)


def test_a_failure_is_tried_again_and_its_reason_kept(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        for number in (2, 1):
            enqueue(session, NewJob(RESTORE, f"k{number}", restoration.id, scene_number=number))
        for _ in range(3):
            for _ in range(2):
                lease = claimed(session)
                fail(session, lease, f"out of memory, try {lease.attempt}")
        failed = failed_jobs(session, restoration.id)
        assert [(j.scene_number, j.error) for j in failed] == [
            (1, "out of memory, try 3"),
            (2, "out of memory, try 3"),
        ]
        assert job_counts(session, restoration.id)[JobState.FAILED] == 2
        assert job_counts(session, restoration.id, [SCORE])[JobState.FAILED] == 0
        assert retry(session, restoration.id, more=1) == 2
        assert failed_jobs(session, restoration.id) == []
        assert fail(session, claimed(session), "again") is JobState.FAILED


def test_a_final_failure_is_not_tried_again(catalog: Catalog) -> None:
    with catalog.begin() as session:
        enqueue(session, NewJob(RESTORE, "k"))
        assert fail(session, claimed(session), "scale 1000", final=True) is JobState.FAILED


def test_a_polite_end_costs_no_try(catalog: Catalog) -> None:
    with catalog.begin() as session:
        job_id = enqueue(session, NewJob(RESTORE, "k", max_attempts=1))
        for _ in range(3):
            hand_back(session, claimed(session))
        assert fail(session, claimed(session), "really") is JobState.FAILED
    assert state_of(catalog, job_id) is JobState.FAILED


def test_an_expired_job_that_used_up_its_tries_has_failed(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        job_id = enqueue(session, NewJob(RESTORE, "k", restoration.id, max_attempts=1))
        claim(session, add_agent(session), ALL_KINDS, -1)
        assert requeue_expired(session) == [job_id]
        assert "lease ran out" in str(failed_jobs(session, restoration.id)[0].error)


def test_jobs_of_dead_agents_of_this_host_are_taken_back_at_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        for key in "abc":
            enqueue(session, NewJob(RESTORE, key))
        dead, alive = add_agent(session, 1), add_agent(session, 2)
        away = add_agent(session, 1, host="elsewhere")
        leases = [claimed(session, agent) for agent in (dead, alive, away)]
        asked = []

        def is_alive(agent: AgentRow) -> bool:
            asked.append((agent.pid, agent.create_time))
            return agent.pid == 2

        assert requeue_dead(session, "here", is_alive) == [leases[0].id]
        assert asked == [(1, 1.0), (2, 2.0)]
        assert requeue_dead(session, "here", lambda _agent: True) == []
        for lease in leases[1:]:
            finish(session, lease)


def test_cancelling_reaches_queued_and_leased_jobs(catalog: Catalog) -> None:
    with catalog.begin() as session:
        a, b = add_restoration(session), add_restoration(session, "b.mkv")
        for number in range(3):
            enqueue(session, NewJob(RESTORE, f"a{number}", a.id))
        kept = enqueue(session, NewJob(RESTORE, "b", b.id))
        lease = claimed(session, restoration_id=a.id)
        assert cancel(session, job_id=lease.id) == 1
        assert cancel(session, restoration_id=a.id) == 2
        assert cancel(session, restoration_id=a.id) == 0
        with pytest.raises(ValueError, match="which"):
            cancel(session)
    assert state_of(catalog, kept) is JobState.QUEUED
    with catalog.begin() as session:
        assert retry(session, a.id) == 3


def test_what_nobody_needs_leaves_the_queue_but_work_goes_on(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        for number in (1, 2, 3):
            enqueue(session, NewJob(RESTORE, f"k{number}", restoration.id, scene_number=number))
        enqueue(session, NewJob(JobKind.ASSEMBLE, "a", restoration.id))
        lease = claimed(session)
        assert close_queued(session, restoration.id, (RESTORE,), scene=1) == 0
        assert close_queued(session, restoration.id, (RESTORE,), scene=2) == 1
        done = JobState.DONE
        assert close_queued(session, restoration.id, (RESTORE,), only="k3", state=done) == 1
        finish(session, lease)
        assert job_counts(session, restoration.id) == {
            JobState.QUEUED: 1,
            JobState.LEASED: 0,
            JobState.DONE: 2,
            JobState.FAILED: 0,
            JobState.CANCELLED: 1,
        }


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_claim_reads_the_queue_in_order_and_sorts_nothing(catalog: Catalog) -> None:
    ran: list[tuple[str, Any]] = []
    event.listen(
        catalog.engine, "before_cursor_execute", lambda *seen: ran.append((seen[2], seen[3]))
    )
    with catalog.begin() as session:
        enqueue(session, NewJob(RESTORE, "k"))
        agent = add_agent(session)
        ran.clear()
        assert claim(session, agent, Offer((RESTORE,), 1 << 30, ("cuda",), "m"), 60) is not None
        ((statement, values),) = ran
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    queue = "COVERING INDEX ix_job_queue (state=? AND held=? AND need_id=?)"
    reads = [parent for _, parent, _, line in plan if queue in line]
    assert len(reads) == 2, "the heads, then the one that is locked"
    assert not [line for _, parent, _, line in plan if parent in reads and "B-TREE" in line]
    assert not [line for *_, line in plan if line.startswith("SCAN job")]


def test_the_database_refuses_a_state_that_is_none(catalog: Catalog) -> None:
    with catalog.begin() as session:
        enqueue(session, NewJob(RESTORE, "k"))
    for change in (
        "UPDATE job SET state = 'lost'",
        "UPDATE job SET state = 'leased'",
        "UPDATE job SET lease_until = '2020-01-01'",
    ):
        with pytest.raises(IntegrityError), catalog.begin() as session:
            session.execute(text(change))
    with catalog.read() as session:
        assert session.scalars(select(JobRow.state)).one() is JobState.QUEUED


def test_no_more_captioners_at_once_than_are_allowed(catalog: Catalog) -> None:
    with catalog.begin() as session:
        for number in range(4):
            kind = JobKind.CAPTION if number < 3 else JobKind.FIXITY
            enqueue(session, NewJob(kind, dedupe_key(kind, number)))
        agent = add_agent(session)
    kinds: list[JobKind | None] = []
    for _ in range(4):
        with catalog.begin() as session:
            offer = without_captions(session, Offer((JobKind.CAPTION, JobKind.FIXITY)), 2)
            lease = claim(session, agent, offer, 60)
            kinds.append(lease and lease.kind)
    assert kinds == [JobKind.CAPTION, JobKind.CAPTION, JobKind.FIXITY, None]
