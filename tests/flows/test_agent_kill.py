"""Agents that survive anything: real processes, killed, frozen, cut off, at every step.

After each disaster `World.check` holds what is left against an undisturbed run: the same frames, every
scene committed once, nothing leased, nothing in the store that no row names, an unbroken chain of
events. PostgreSQL everywhere; SQLite too where claim, fence and commit are touched.
"""

import errno
import signal

import pytest
from sqlalchemy import text

from catalog.jobs import requeue_expired
from catalog.models import JobKind, JobState
from catalog.types import db_time
from tests.flows.nursery import until
from tests.flows.world import LEASE_S, World, slow
from tests.postgres import DATABASES, Postgres

pytestmark = pytest.mark.kill
BOTH = pytest.mark.parametrize("database", DATABASES, indirect=True)
SECOND = 20  # the second scene's first frame


@BOTH
@pytest.mark.parametrize("at", ["middle", "committing"])
def test_an_agent_killed_at_work(at: str, world: World, frames: list[bytes]) -> None:
    world.queue()
    script = world.stalled(at, scene=SECOND) if at == "middle" else world.stalled(at, skip=1)
    victim = world.agent(place="elsewhere", **script)  # nobody sees that its process is gone
    world.reached(victim)
    with world.catalog.read() as session:
        killed_at = db_time(session)
    victim.kill()
    held = [job.id for job in world.jobs() if job.state is JobState.LEASED]
    assert held

    world.finish()

    world.check(frames)
    again = [job for job in world.jobs() if job.id in held]
    assert all(job.attempt == 2 for job in again)
    assert all((job.changed_at - killed_at).total_seconds() < LEASE_S + 60 for job in again)
    begun = [int(line) for line in world.log.read_text().split()]
    assert len(begun) <= 4 + len(held), "more was done again than the dead agent held"


@BOTH
def test_a_dead_agent_s_work_is_claimed_within_its_lease_and_5_s(world: World) -> None:
    world.queue()
    victim = world.agent(place="elsewhere", **world.stalled("middle", scene=SECOND))
    world.reached(victim)
    other = world.agent(options=("--kinds", "restore"))
    until(lambda: world.job_states()[JobState.DONE] >= 2, "the others are done")
    victim.kill()
    with world.catalog.begin() as session:
        killed_at = db_time(session)
    until(lambda: world.jobs()[1].attempt == 2, "it is claimed again")
    again = world.jobs()[1]
    until(lambda: world.jobs()[1].state is JobState.DONE, "it is done")
    other.signal(signal.SIGTERM)
    assert other.wait() == 75
    assert (again.changed_at - killed_at).total_seconds() < LEASE_S + 5


@BOTH
def test_an_agent_frozen_past_its_lease_is_fenced(world: World, frames: list[bytes]) -> None:
    world.queue()
    frozen = world.agent(idle=0, place="elsewhere", **world.stalled("middle", scene=SECOND))
    world.reached(frozen)
    until(lambda: world.job_states()[JobState.DONE] == 1, "the first take is committed")
    frozen.signal(signal.SIGSTOP)
    while not world.writable():  # not in a transaction: SQLite has one writer
        frozen.signal(signal.SIGCONT)
        frozen.signal(signal.SIGSTOP)

    world.finish()
    takes = world.take_shas()
    world.gate.unlink()
    frozen.signal(signal.SIGCONT)
    assert frozen.wait() == 0

    assert world.take_shas() == takes
    world.check(frames)
    assert "is dropped" in frozen.said()


def test_an_agent_frozen_in_its_commit_holds_nobody_up(world: World, frames: list[bytes]) -> None:
    world.queue()
    frozen = world.agent(idle=0, place="elsewhere", **world.stalled("committing", skip=1))
    world.reached(frozen)
    frozen.signal(signal.SIGSTOP)

    world.finish()
    takes = world.take_shas()
    world.gate.unlink()
    frozen.signal(signal.SIGCONT)
    assert frozen.wait() == 0

    assert world.take_shas() == takes
    world.check(frames)


@BOTH
def test_two_agents_under_one_name(world: World, frames: list[bytes]) -> None:
    world.queue(slow(seconds=0.2))
    agents = [world.agent(), world.agent()]
    for agent in agents:
        world.finish(agent)
    world.check(frames)
    assert len(world.log.read_text().split()) == 4, "a scene was done twice"


@BOTH
def test_one_film_submitted_twice_at_once(world: World, frames: list[bytes]) -> None:
    both = [world.restar(*world.submission()) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0], "".join(one.said() for one in both)
    assert len(world.jobs()) == 4
    world.finish()
    world.check(frames)


@pytest.mark.parametrize("at", ["indexed", "opened", "half wanted"])
def test_prepare_killed(at: str, world: World, frames: list[bytes]) -> None:
    victim = world.restar(*world.submission(), **world.stalled(at, skip=int("half" in at)))
    world.reached(victim)
    victim.kill()
    assert world.restar(*world.submission()).wait() == 0
    world.finish()
    world.check(frames)


@pytest.mark.parametrize("at", ["master written", "master placed", "master recorded"])
def test_finish_killed(at: str, world: World, frames: list[bytes]) -> None:
    world.queue()
    victim = world.agent(**world.stalled(at))
    world.reached(victim)
    victim.kill()
    world.finish()
    world.check(frames)


@pytest.mark.parametrize("at", ["taken back", "held back"])
def test_tend_killed(at: str, world: World, frames: list[bytes]) -> None:
    world.queue()
    victim = world.agent(**world.stalled("middle", scene=SECOND))
    world.reached(victim)
    victim.kill()
    world.flag.unlink()
    tending = world.restar("tend", **world.stalled(at))
    world.reached(tending)
    tending.kill()
    again = world.restar("tend")
    assert again.wait() == 0
    assert "ready=" in again.said()
    assert all(job.state is not JobState.LEASED for job in world.jobs())
    world.finish()
    world.check(frames)


def test_every_connection_cut(world: World, frames: list[bytes]) -> None:
    world.queue(slow(seconds=0.4))
    agent = world.agent()
    for done in (1, 3):
        until(lambda done=done: world.job_states()[JobState.DONE] >= done, "some are done")
        with world.catalog.begin() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    world.finish(agent)
    world.check(frames)


def test_postgresql_restarted(world: World, frames: list[bytes], postgres: Postgres) -> None:
    world.queue(slow(seconds=0.4))
    agent = world.agent()
    until(lambda: world.job_states()[JobState.DONE] >= 1, "one is done")
    postgres.stop()
    until(lambda: "not " in agent.said(), "the agent notices")
    postgres.start()
    world.finish(agent)
    world.check(frames)
    assert all(job.attempt == 1 for job in world.jobs()), "work was lost though its agent lived"


@BOTH
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_half_way(number: int, world: World, frames: list[bytes]) -> None:
    world.queue()
    agent = world.agent(fault={"errno": number, "skip": 5})  # four to a take: file and checksums
    assert agent.wait() == 5
    assert "can't be written" in agent.said()
    assert not world.job_states()[JobState.LEASED]
    assert len(world.take_shas()) == 1
    world.no_staging()
    world.finish()
    world.check(frames)
    assert all(job.max_attempts - job.attempt == 2 for job in world.jobs()), "it cost a try"


@pytest.mark.parametrize("clock", [3600, -3600])
def test_a_host_whose_clock_is_wrong_by_an_hour(
    clock: int, world: World, frames: list[bytes]
) -> None:
    world.queue(slow(seconds=1.0))
    agents = [world.agent(place="there", clock=clock), world.agent()]
    for agent in agents:
        world.finish(agent)
    world.check(frames)
    assert len(world.log.read_text().split()) == 4, "a lease was taken for expired, or for eternal"


def test_a_disk_that_is_nearly_full(world: World, frames: list[bytes]) -> None:
    world.queue()
    agent = world.restar("agent", env={"RESTAR_MIN_FREE_MIB": "999999999"})
    assert agent.wait() == 5
    assert "MiB free" in agent.said()
    assert "RESTAR_MIN_FREE_MIB" in agent.said()
    assert world.job_states() == {JobState.QUEUED: 4}
    world.finish()
    world.check(frames)


def test_sigterm_hands_back_what_would_take_too_long(world: World, frames: list[bytes]) -> None:
    world.queue()
    agent = world.agent(grace=2, **world.stalled("middle", scene=SECOND))
    world.reached(agent)
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 75
    states = world.job_states()
    assert not states[JobState.LEASED]
    assert "SIGTERM" in agent.said()
    world.gate.unlink()
    world.finish()
    world.check(frames)
    assert all(job.max_attempts - job.attempt == 2 for job in world.jobs()), "it cost a try"


def test_sigterm_lets_a_scene_that_is_nearly_done_come_to_its_end(world: World) -> None:
    world.queue(slow(seconds=0.5))
    agent = world.agent(grace=10)
    until(lambda: world.job_states()[JobState.DONE] >= 1, "one is done")
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 75
    states = world.job_states()
    assert states[JobState.DONE] >= 2
    assert not states[JobState.LEASED]
    begun = len(world.log.read_text().split())
    assert begun == states[JobState.DONE], "a scene that was begun was not finished"


def test_a_time_limit_ends_an_agent_in_time(world: World) -> None:
    world.queue(slow(seconds=1.0))
    agent = world.agent(grace=1, options=("--time-limit", "4"))
    assert agent.wait(30) == 75
    states = world.job_states()
    assert not states[JobState.LEASED]
    assert states[JobState.QUEUED] >= 1
    assert "time limit" in agent.said()


def test_an_agent_that_hangs_in_a_call_is_gone_in_time_too(world: World) -> None:
    world.queue()
    agent = world.agent(grace=2, hang=SECOND)
    until(lambda: "hangs" in agent.said(), "it hangs")
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 75
    assert not world.job_states()[JobState.LEASED]


@BOTH
def test_a_cancelled_job_is_given_up(world: World) -> None:
    world.queue()
    agent = world.agent(
        idle=0, options=("--kinds", "restore"), **world.stalled("middle", scene=SECOND)
    )
    world.reached(agent)
    held = world.jobs()[1]
    assert world.restar("jobs", "--cancel", str(held.id)).wait() == 0
    until(lambda: "cancelled" in agent.said(), "the agent hears of it")
    world.gate.unlink()
    assert agent.wait() == 0
    assert world.job_states() == {JobState.DONE: 3, JobState.CANCELLED: 1}
    assert len(world.take_shas()) == 3


@BOTH
def test_leases_are_taken_back_once(world: World) -> None:
    world.queue()
    victim = world.agent(place="elsewhere", **world.stalled("middle", scene=SECOND))
    world.reached(victim)
    victim.kill()
    taken: list[int] = []

    def expired() -> bool:
        with world.catalog.begin() as session:
            taken.extend(requeue_expired(session))
        return not world.job_states()[JobState.LEASED]

    until(expired, "the leases run out")
    assert len(taken) == len(set(taken)) > 0
    errors = {job.error for job in world.jobs(JobKind.RESTORE) if job.id in taken}
    assert errors == {"its lease ran out: the agent hung, or its host is gone"}
    told = [event for event in world.events() if event["type"] == "execution"]
    assert sorted(event["detail"]["job"] for event in told) == sorted(taken)
    assert {event["outcome"] for event in told} == {"warning"}
