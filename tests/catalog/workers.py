"""What tests run in processes of their own."""

import os
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from catalog import open_catalog
from catalog.agents import register_agent
from catalog.claims import claim
from catalog.jobs import finish
from catalog.models import JobKind
from catalog.restorations import lock_restoration
from tests.catalog.rows import add_agent, restore

__all__ = ["claim_all", "hold_one", "open_at_once", "restore_all"]


def open_at_once(url: str, gate: Barrier, told: "Queue[str]") -> None:
    """Open a catalog at the same moment as another process."""
    gate.wait(60)
    try:
        open_catalog(url).close()
        told.put("ok")
    except Exception as error:
        told.put(repr(error))


def claim_all(url: str, gate: Barrier, told: "Queue[list[int]]") -> None:
    """Claim and finish jobs until none is left; tell which. Both hold a first one at once."""
    done = []
    with open_catalog(url) as catalog:
        with catalog.begin() as session:
            agent = add_agent(session, os.getpid())
        gate.wait(60)
        while True:
            with catalog.begin() as session:
                lease = claim(session, agent, tuple(JobKind), 60)
            if lease is None:
                break
            if not done:
                gate.wait(60)
            with catalog.begin() as session:
                finish(session, lease)
            done.append(lease.id)
    told.put(done)


def restore_all(url: str, restoration_id: str, gate: Barrier, told: "Queue[int]") -> None:
    """Restore scenes until none is left; tell how many."""
    count = 0
    with open_catalog(url) as catalog:
        with catalog.begin() as session:
            agent = add_agent(session, os.getpid())
            restoration = lock_restoration(session, restoration_id)
        gate.wait(60)
        while True:
            with catalog.begin() as session:
                lease = claim(session, agent, (JobKind.RESTORE,), 60)
            if lease is None:
                break
            with catalog.begin() as session:
                restore(session, restoration, lease)
            count += 1
    told.put(count)


def hold_one(url: str, create_time: float, told: "Queue[int]") -> None:
    """Claim a job and hold it until killed."""
    with open_catalog(url) as catalog, catalog.begin() as session:
        pid = os.getpid()
        agent = register_agent(session, name="t", host="here", pid=pid, create_time=create_time)
        lease = claim(session, agent, tuple(JobKind), 3600)
        assert lease is not None
    told.put(lease.id)
    time.sleep(600)
