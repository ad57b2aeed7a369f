"""How many jobs a second the catalog hands out: claim and finish, by 1 and 4 processes at once.

    python benchmarks/claim.py [--jobs 2000] [--queue 10000] [--postgres URL]

SQLite is measured on a file in the temporary folder (TMPDIR) with every commit flushed to disk;
PostgreSQL on an empty database of an existing server. `--queue` jobs of another kind stand in the
queue before those that are claimed: a long queue must not make a claim slow. A scene takes seconds to
hours to restore, so what matters is that a claim costs next to nothing beside it.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sqlalchemy import delete

from catalog import open_catalog
from catalog.agents import register_agent
from catalog.claims import claim
from catalog.jobs import PHASES, finish
from catalog.models import JobKind, JobRow

SPAWN = multiprocessing.get_context("spawn")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--jobs", type=int, default=2000, help="jobs that are claimed")
    arguments.add_argument(
        "--queue", type=int, default=10_000, help="jobs of another kind before them"
    )
    arguments.add_argument("--postgres", metavar="URL", help="an empty PostgreSQL database")
    given = arguments.parse_args()
    print(
        f"{os.cpu_count()} cores, {given.jobs} jobs claimed, {given.queue} of another kind before them"
    )
    print("database    processes  claims/s  ms/claim+finish")
    with tempfile.TemporaryDirectory() as folder:
        urls = [f"sqlite:///{Path(folder) / 'catalog.sqlite'}", given.postgres]
        for url in filter(None, urls):
            for processes in (1, 4):
                fill(url, given.jobs, given.queue)
                seconds = measure(url, processes, given.jobs)
                name = url.partition(":")[0]
                rate = given.jobs / seconds
                each = 1000 * seconds * processes / given.jobs
                print(f"{name:<11} {processes:>9}  {rate:>8.0f}  {each:>15.2f}")


def fill(url: str, jobs: int, queue: int) -> None:
    """Queue restores, and captions, which come before them."""
    with open_catalog(url) as catalog, catalog.begin() as session:
        session.execute(delete(JobRow))
        session.add_all(
            JobRow(kind=kind, phase=PHASES[kind], dedupe_key=f"{kind}:{n}")
            for kind, count in ((JobKind.CAPTION, queue), (JobKind.RESTORE, jobs))
            for n in range(count)
        )


def measure(url: str, processes: int, jobs: int) -> float:
    """Return the seconds in which some processes claim and finish every restore."""
    gate, told = SPAWN.Barrier(processes + 1), SPAWN.Queue()
    workers = [SPAWN.Process(target=work, args=(url, gate, told)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    gate.wait(120)
    began = time.perf_counter()
    done = sum(told.get(timeout=600) for _ in workers)
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    assert done == jobs, f"{done} claims of {jobs} jobs"
    return seconds


def work(url: str, gate: Barrier, told: "Queue[int]") -> None:
    """Claim and finish until no restore is left."""
    with open_catalog(url) as catalog:
        with catalog.begin() as session:
            agent = register_agent(
                session, name="bench", host="here", pid=os.getpid(), create_time=time.time()
            )
        gate.wait(120)
        count = 0
        while True:
            with catalog.begin() as session:
                lease = claim(session, agent, (JobKind.RESTORE,), 60)
            if lease is None:
                break
            with catalog.begin() as session:
                finish(session, lease)
            count += 1
    told.put(count)


if __name__ == "__main__":
    main()
