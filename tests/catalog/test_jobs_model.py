"""Jobs against a reference model: any order of claims, renewals, expiries, commits and cancellations.

The model is a dictionary and the rules as docs/agents.md states them. What it holds above all: a job
is committed at most once, by the holder of its last attempt and nobody else, and none is lost.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from catalog import Catalog
from catalog.claims import Offer, claim
from catalog.control import cancel, retry, set_priority
from catalog.jobs import (
    PHASES,
    Lease,
    NewJob,
    enqueue,
    fail,
    finish,
    hand_back,
    renew,
    requeue_expired,
)
from catalog.models import JobKind, JobRow, JobState
from restar.errors import LeaseLost
from tests.catalog.rows import add_agent, add_restoration

KINDS = (JobKind.CAPTION, JobKind.RESTORE, JobKind.SCORE)
OPEN = (JobState.QUEUED, JobState.LEASED)


@dataclass
class Job:
    """What the model knows of a job."""

    kind: JobKind
    restoration: str
    priority: int
    memory: int
    state: JobState = JobState.QUEUED
    attempt: int = 0
    max_attempts: int = 3
    owner: int | None = None
    expired: bool = False
    commits: int = 0
    history: list[str] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """Does the same to the catalog and to the model, and compares."""

    leases = Bundle("leases")

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog
        self.jobs: dict[int, Job] = {}

    @initialize()
    def begin(self) -> None:
        with self.catalog.begin() as session:
            session.execute(delete(JobRow))
            self.restorations = [add_restoration(session, name).id for name in ("a.mkv", "b.mkv")]
            self.agents = [add_agent(session, pid) for pid in (1, 2, 3)]

    @rule(
        kind=st.sampled_from(KINDS), which=st.integers(0, 1), priority=st.integers(0, 2),
        memory=st.sampled_from([0, 1 << 30]), tries=st.integers(1, 3),
    )  # fmt: skip
    def queue(self, kind: JobKind, which: int, priority: int, memory: int, tries: int) -> None:
        restoration = self.restorations[which]
        job = NewJob(
            kind, f"k{len(self.jobs)}", restoration, payload={"memory_bytes": memory},
            priority=priority, max_attempts=tries,
        )  # fmt: skip
        with self.catalog.begin() as session:
            job_id = enqueue(session, job)
        self.jobs[job_id] = Job(kind, restoration, priority, memory, max_attempts=tries)

    @rule(target=leases, agent=st.integers(0, 2), kinds=st.sets(st.sampled_from(KINDS), min_size=1),
          small=st.booleans())  # fmt: skip
    def claim(self, agent: int, kinds: set[JobKind], small: bool) -> object:
        offer = Offer(tuple(sorted(kinds)), memory_bytes=0 if small else None)
        with self.catalog.begin() as session:
            lease = claim(session, self.agents[agent], offer, 3600)
        able = [
            job_id
            for job_id, job in self.jobs.items()
            if job.state is JobState.QUEUED
            and job.kind in kinds
            and not (small and job.memory)
            and not self.held(job)
        ]
        if lease is None:
            assert not able, "work was ready and was not given"
            return multiple()
        assert lease.id in able, "a job was given that was not ready, or not for this agent"
        job = self.jobs[lease.id]
        assert job.priority == max(self.jobs[one].priority for one in able)
        job.state, job.owner, job.expired = JobState.LEASED, self.agents[agent], False
        job.attempt += 1
        assert lease.attempt == job.attempt
        return lease

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        if self.change(lease, lambda session: renew(session, lease, 3600)):
            self.jobs[lease.id].expired = False

    @rule(lease=leases)
    def time_passes(self, lease: Lease) -> None:
        """The agent hangs until its lease has run out."""
        if self.change(lease, lambda session: renew(session, lease, -1)):
            self.jobs[lease.id].expired = True

    @rule()
    def take_back(self) -> None:
        with self.catalog.begin() as session:
            taken = requeue_expired(session)
        late = [i for i, job in self.jobs.items() if job.state is JobState.LEASED and job.expired]
        assert taken == sorted(late)
        for job_id in late:
            self.released(self.jobs[job_id])

    @rule(lease=leases)
    def commit(self, lease: Lease) -> None:
        if self.change(lease, lambda session: finish(session, lease)):
            job = self.jobs[lease.id]
            job.state, job.owner = JobState.DONE, None
            job.commits += 1

    @rule(lease=consumes(leases), final=st.booleans())
    def fails(self, lease: Lease, final: bool) -> None:
        if self.change(lease, lambda session: fail(session, lease, "why", final=final)):
            job = self.jobs[lease.id]
            self.released(job)
            job.state = JobState.FAILED if final else job.state

    @rule(lease=leases)
    def hands_back(self, lease: Lease) -> None:
        if self.change(lease, lambda session: hand_back(session, lease)):
            job = self.jobs[lease.id]
            job.state, job.owner = JobState.QUEUED, None
            job.max_attempts += 1

    @rule(data=st.data())
    def cancels(self, data: st.DataObject) -> None:
        if not self.jobs:
            return
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.jobs[job_id]
        with self.catalog.begin() as session:
            assert cancel(session, job_id=job_id) == (job.state in OPEN)
        if job.state in OPEN:
            job.state, job.owner = JobState.CANCELLED, None

    @rule(data=st.data())
    def retries(self, data: st.DataObject) -> None:
        if not self.jobs:
            return
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.jobs[job_id]
        closed = job.state in (JobState.FAILED, JobState.CANCELLED)
        with self.catalog.begin() as session:
            assert retry(session, job_id=job_id, more=2) == closed
        if closed:
            job.state, job.max_attempts = JobState.QUEUED, job.attempt + 2

    @rule(which=st.integers(0, 1), priority=st.integers(0, 2))
    def prefers(self, which: int, priority: int) -> None:
        restoration = self.restorations[which]
        with self.catalog.begin() as session:
            set_priority(session, priority, restoration_id=restoration)
        for job in self.jobs.values():
            if job.restoration == restoration and job.state in OPEN:
                job.priority = priority

    @invariant()
    def the_catalog_says_what_the_model_says(self) -> None:
        with self.catalog.read() as session:
            rows = {row.id: row for row in session.scalars(select(JobRow))}
        assert rows.keys() == self.jobs.keys(), "a job was lost"
        for job_id, job in self.jobs.items():
            row = rows[job_id]
            assert (row.state, row.attempt, row.owner_id) == (job.state, job.attempt, job.owner)
            assert row.max_attempts == job.max_attempts
            assert row.priority == job.priority
            assert job.commits <= 1
            if job.state is JobState.QUEUED:
                assert row.held == self.held(job), "a job waits for nothing, or does not wait"

    def change(self, lease: Lease, act: object) -> bool:
        """Do something under a lease; whether it was to be allowed, which it then was."""
        assert callable(act)
        job = self.jobs[lease.id]
        mine = (JobState.LEASED, lease.attempt, lease.owner) == (job.state, job.attempt, job.owner)
        if not mine:
            with pytest.raises(LeaseLost), self.catalog.begin() as session:
                act(session)
            return False
        with self.catalog.begin() as session:
            act(session)
        return True

    def released(self, job: Job) -> None:
        job.owner = None
        job.state = JobState.QUEUED if job.attempt < job.max_attempts else JobState.FAILED

    def held(self, job: Job) -> bool:
        return any(
            other.restoration == job.restoration
            and other.state in OPEN
            and PHASES[other.kind] < PHASES[job.kind]
            for other in self.jobs.values()
        )


def test_jobs_do_what_the_model_does(catalog: Catalog) -> None:
    budget = settings(
        max_examples=12, stateful_step_count=25, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(lambda: Machine(catalog), settings=budget)
