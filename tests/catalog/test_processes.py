"""Two processes at once: nothing is claimed twice, nothing waits for ever, a killed one is noticed."""

import multiprocessing
import os
import signal
from typing import Any

import pytest
from sqlalchemy import func, select

from catalog import Catalog
from catalog.events import restoration_stream, verify_chain
from catalog.jobs import NewJob, enqueue, finish, requeue_dead
from catalog.models import EventRow, JobKind, JobRow, JobState
from catalog.restorations import want
from restar.errors import LeaseLost
from restar.spec import take_key
from restar.timeline import FrameRange
from tests.catalog import workers
from tests.catalog.rows import SCENES, add_restoration, claimed, spec

SPAWN = multiprocessing.get_context("spawn")
JOBS = 40


def run_two(target: Any, *arguments: Any) -> list[Any]:
    """Run a worker in two processes that begin together; return what they tell."""
    gate, told = SPAWN.Barrier(2), SPAWN.Queue()
    processes = [SPAWN.Process(target=target, args=(*arguments, gate, told)) for _ in range(2)]
    for process in processes:
        process.start()
    answers = [told.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    return answers


def test_two_processes_may_open_a_new_catalog_at_once(empty_url: str) -> None:
    assert run_two(workers.open_at_once, empty_url) == ["ok", "ok"]


def test_no_job_is_claimed_twice(catalog: Catalog, url: str) -> None:
    with catalog.begin() as session:
        ids = [enqueue(session, NewJob(JobKind.RESTORE, str(n))) for n in range(JOBS)]
    first, second = run_two(workers.claim_all, url)
    assert sorted(first + second) == ids
    assert first
    assert second
    with catalog.read() as session:
        assert session.scalars(select(func.max(JobRow.attempt))).one() == 1


def test_the_last_two_takes_at_once_queue_one_assembly(catalog: Catalog, url: str) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session, scenes=SCENES[:2])
        for scene in SCENES[:2]:
            key = take_key(restoration.film_id, FrameRange(scene.start, scene.end), spec())
            want(session, restoration.id, scene.number, spec(), key)
    assert sum(run_two(workers.restore_all, url, restoration.id)) == 2
    with catalog.read() as session:
        assembly = session.scalars(select(JobRow).where(JobRow.kind == JobKind.ASSEMBLE)).all()
        assert [job.state for job in assembly] == [JobState.QUEUED]
        events = select(func.count()).where(EventRow.type == "restoration")
        assert session.execute(events).scalar_one() == 2
        assert verify_chain(session, restoration_stream(restoration.id)).count == 2


@pytest.mark.kill
def test_the_job_of_a_killed_process_is_handed_back_and_fenced(catalog: Catalog, url: str) -> None:
    with catalog.begin() as session:
        job_id = enqueue(session, NewJob(JobKind.RESTORE, "k"))
    told = SPAWN.Queue()
    process = SPAWN.Process(target=workers.hold_one, args=(url, 12.5, told))
    process.start()
    assert told.get(timeout=60) == job_id
    alive = {process.pid}
    with catalog.begin() as session:
        assert requeue_dead(session, "here", lambda agent: agent.pid in alive) == []
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    alive.clear()
    with catalog.begin() as session:
        assert requeue_dead(session, "here", lambda agent: agent.pid in alive) == [job_id]
        lease = claimed(session)
        assert (lease.id, lease.attempt) == (job_id, 2)
        assert session.get_one(JobRow, job_id).error == "its agent was killed"
        finish(session, lease)
    with pytest.raises(LeaseLost), catalog.begin() as session:
        finish(session, lease)
