"""Whose turn it is: even shares, whoever came first; the model that is held; needs; at any length."""

from collections import Counter

import pytest

from catalog import Catalog
from catalog.claims import Offer, claim
from catalog.control import set_priority
from catalog.jobs import NewJob, enqueue, fail, finish, hand_back
from catalog.models import JobKind
from tests.catalog.rows import ALL_KINDS, add_agent, add_restoration, claimed

RESTORE = JobKind.RESTORE


def queue(catalog: Catalog, name: str, count: int, **options: object) -> str:
    """Queue some restores of a restoration; return its id."""
    payload = {key: options.pop(key) for key in ("model", "memory_bytes", "gpu") if key in options}
    with catalog.begin() as session:
        restoration = add_restoration(session, name)
        for number in range(count):
            job = NewJob(
                RESTORE, f"{name} {number}", restoration.id, payload=payload,
                **options,  # type: ignore[arg-type]
            )  # fmt: skip
            enqueue(session, job)
    return restoration.id


def served(catalog: Catalog, count: int, offer: Offer | None = None) -> list[str]:
    """Claim and finish some jobs; return whose they were."""
    got = []
    for _ in range(count):
        with catalog.begin() as session:
            lease = claim(session, add_agent(session), offer or Offer(ALL_KINDS), 60)
            assert lease is not None
            finish(session, lease)
            got.append(str(lease.restoration_id))
    return got


def test_restorations_share_evenly_however_many_jobs_each_has(catalog: Catalog) -> None:
    large, small = queue(catalog, "a.mkv", 40), queue(catalog, "b.mkv", 10)
    shares = Counter(served(catalog, 20))
    assert shares == {large: 10, small: 10}
    assert set(served(catalog, 5)) == {large}


def test_one_that_comes_late_neither_waits_nor_overtakes(catalog: Catalog) -> None:
    early = queue(catalog, "a.mkv", 40)
    served(catalog, 20)
    late = queue(catalog, "b.mkv", 40)
    assert Counter(served(catalog, 10)) == {early: 5, late: 5}


def test_shares_are_counted_in_work_not_in_jobs(catalog: Catalog) -> None:
    long, short = queue(catalog, "a.mkv", 40, cost=90.0), queue(catalog, "b.mkv", 40, cost=30.0)
    assert Counter(served(catalog, 20)) == {long: 5, short: 15}


def test_a_failed_job_comes_again_after_the_others(catalog: Catalog) -> None:
    queue(catalog, "a.mkv", 3)
    with catalog.begin() as session:
        first = claimed(session)
        fail(session, first, "why")
        assert [claimed(session).id for _ in range(3)][-1] == first.id


def test_a_job_that_was_handed_back_keeps_its_turn(catalog: Catalog) -> None:
    queue(catalog, "a.mkv", 3)
    with catalog.begin() as session:
        first = claimed(session)
        hand_back(session, first)
        assert claimed(session).id == first.id


def test_an_agent_keeps_its_model_within_a_window(catalog: Catalog) -> None:
    one = queue(catalog, "a.mkv", 30, cost=10.0, model="one")
    two = queue(catalog, "b.mkv", 30, cost=10.0, model="two")
    offer = Offer(ALL_KINDS, model="one", window=100.0)
    got = served(catalog, 12, offer)
    assert got[:10] == [one] * 10, "the model was changed though nobody was set back"
    assert two in got[10:], "the other restoration waits for ever"


def test_the_model_does_not_outweigh_priority(catalog: Catalog) -> None:
    queue(catalog, "a.mkv", 3, model="one")
    urgent = queue(catalog, "b.mkv", 3, model="two", priority=1)
    assert served(catalog, 3, Offer(ALL_KINDS, model="one")) == [urgent] * 3


def test_a_job_goes_only_where_its_needs_are_met(catalog: Catalog) -> None:
    big = queue(catalog, "a.mkv", 1, memory_bytes=40 << 30, gpu="cuda")
    small = queue(catalog, "b.mkv", 1)
    new = queue(catalog, "c.mkv", 1, gpu="sm90")
    with catalog.begin() as session:
        agent = add_agent(session)

        def mine(memory_gib: int, *gpus: str) -> set[str]:
            offer = Offer(ALL_KINDS, memory_bytes=memory_gib << 30, gpus=gpus)
            leases = []
            while (lease := claim(session, agent, offer, 60)) is not None:
                leases.append(lease)
            for lease in leases:
                hand_back(session, lease)
            return {str(lease.restoration_id) for lease in leases}

        assert mine(16) == {small}
        assert mine(16, "cuda") == {small}
        assert mine(80, "cuda", "sm80") == {small, big}
        assert mine(80, "cuda", "sm90") == {small, big, new}
        assert mine(80) == {small}


def test_a_priority_that_changes_joins_that_queue_where_it_stands(catalog: Catalog) -> None:
    first, second = queue(catalog, "a.mkv", 40), queue(catalog, "b.mkv", 40, priority=5)
    served(catalog, 20)
    with catalog.begin() as session:
        assert set_priority(session, 5, restoration_id=first) == 40
        assert set_priority(session, 5, restoration_id=first) == 0
    assert Counter(served(catalog, 10)) == {first: 5, second: 5}


@pytest.mark.parametrize("held", [0, 300])
def test_jobs_that_wait_cost_a_claim_nothing(catalog: Catalog, held: int) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        enqueue(session, NewJob(JobKind.CAPTION, "c", restoration.id))
        for number in range(held):
            enqueue(session, NewJob(RESTORE, f"r{number}", restoration.id))
        assert claim(session, add_agent(session), (RESTORE,), 60) is None
        lease = claimed(session)
        assert lease.kind is JobKind.CAPTION
        finish(session, lease)
        ready = claim(session, add_agent(session), (RESTORE,), 60)
        assert (ready is not None) == bool(held)
