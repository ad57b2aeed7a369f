"""What dispatch costs: the gap between scenes, agents against the ideal, claims in a long queue, a farm.

    python benchmarks/dispatch.py gap      [--scenes 40] [--postgres URL]
    python benchmarks/dispatch.py agents   [--scenes 1000] [--agents 4] [--seconds 1] --postgres URL
    python benchmarks/dispatch.py claim    [--jobs 1000000] [--postgres URL]
    python benchmarks/dispatch.py simulate [--agents 1000] [--jobs 10000] --postgres URL

`agents` runs `restar agent` in processes of their own on a film whose scenes take `--seconds` each, by
a restorer that only waits: what is lost against scenes x seconds / agents is the price of dispatch,
with decoding, encoding, hashing, flushing to disk and committing. `claim` fills the queue with restores
of 200 scenes a film, half of them waiting for captions, in 16 different needs. `simulate` lets agents
that exist only as numbers work through a virtual time, with the real claims and commits between: what
it measures is the order that the catalog gives, and the load that it bears. Databases have to be empty.
"""

# ruff: noqa: B023, S311, S608  (closures are called at once; nothing here is secret or from outside)

import argparse
import heapq
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

import restorers
from catalog import Catalog, open_catalog
from catalog.agents import count_work, register_agent
from catalog.claims import Offer, claim
from catalog.jobs import PHASES, NewJob, enqueue, finish, renew
from catalog.models import JobKind, JobRow, NeedRow, TakeRow
from catalog.shots import save_shot_list
from catalog.types import db_time
from flows.drain import Shift, work
from flows.prepare import Order, prepare
from media import ffmpeg
from restar.film import Scene
from restar.recipe import Recipe
from restar.settings import Settings
from restar.spec import ResolvedStep
from restorers import StepContext
from restorers.identity import Identity
from tasks.house import open_house
from tasks.ingest import ingest

SPAWN = multiprocessing.get_context("spawn")
FRAMES = 24  # a scene


class Wait(Identity):
    """A restorer that takes its time and leaves every frame as it is."""

    name = "wait"

    def resolve(self, options: dict[str, Any], source: Any) -> ResolvedStep:
        return ResolvedStep(self.name, 1, options)

    def restore(
        self, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        each = float(context.step.options["seconds"]) / context.frames.count
        began = time.monotonic()
        for number, frame in enumerate(Identity.restore(self, frames, context), start=1):
            time.sleep(max(0.0, began + number * each - time.monotonic()))
            yield frame


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("what", choices=("gap", "agents", "claim", "simulate"))
    arguments.add_argument("--scenes", type=int, default=0)
    arguments.add_argument("--agents", type=int, default=0)
    arguments.add_argument("--seconds", type=float, default=1.0)
    arguments.add_argument("--jobs", type=int, default=0)
    arguments.add_argument("--postgres", metavar="URL", default="")
    given = arguments.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        url = given.postgres or f"sqlite:///{folder}/catalog.sqlite"
        {"gap": gap, "agents": agents, "claim": claims, "simulate": simulate}[given.what](
            Path(folder), url, given
        )


def gap(folder: Path, url: str, given: argparse.Namespace) -> None:
    """One warm agent: how long its model waits from one scene to the next."""
    scenes, seconds = given.scenes or 40, 0.5
    settings = queue(folder, url, scenes, seconds)
    plug_in()
    with open_house(settings) as house:
        gaps = sorted(work(house, Shift()).gaps[1:])
    print(f"{scenes} scenes of {seconds} s on one agent, {url.partition(':')[0]}")
    print(f"gap: median {1e3 * statistics.median(gaps):.1f} ms, "
          f"95 % {1e3 * gaps[int(0.95 * len(gaps))]:.1f} ms, most {1e3 * gaps[-1]:.1f} ms")  # fmt: skip


def agents(folder: Path, url: str, given: argparse.Namespace) -> None:
    """Some agents and a long film: what share of the ideal they reach."""
    scenes, count = given.scenes or 1000, given.agents or 4
    settings = queue(folder, url, scenes, given.seconds)
    gate = SPAWN.Barrier(count + 1)
    processes = [SPAWN.Process(target=one_agent, args=(settings, gate)) for _ in range(count)]
    for process in processes:
        process.start()
    gate.wait(120)
    with open_catalog(url) as catalog, catalog.read() as session:
        began = db_time(session)
    for process in processes:
        process.join()
    with open_catalog(url) as catalog, catalog.read() as session:
        ended = session.execute(select(func.max(TakeRow.made_at))).scalar_one()
        took, ideal = (ended - began).total_seconds(), scenes * given.seconds / count
        takes = session.execute(select(func.count(TakeRow.id))).scalar_one()
        tries = session.execute(select(func.max(JobRow.attempt))).scalar_one()
    assert (takes, tries) == (scenes, 1), f"{takes} takes, up to {tries} tries"
    print(f"{scenes} scenes of {given.seconds} s, {count} agents: {took:.1f} s, ideal {ideal:.1f} s: "
          f"{100 * ideal / took:.1f} % of ideal")  # fmt: skip


def claims(folder: Path, url: str, given: argparse.Namespace) -> None:
    """How long a claim takes where a million jobs are queued, and where few are."""
    print("database    jobs      claim ms (median, 95 %)   processor ms   finish ms")
    with open_catalog(url) as catalog:
        for jobs in (10_000, given.jobs or 1_000_000):
            fill(catalog, jobs)
            offer = Offer((JobKind.RESTORE,), 40 << 30, ("cuda",), model="b")
            claimed, processor, finished = measure(catalog, offer, 200)
            print(f"{url.partition(':')[0]:<10} {jobs:>8}  {1e3 * statistics.median(claimed):>10.2f} "
                  f"{1e3 * sorted(claimed)[-10]:>8.2f} {1e3 * statistics.median(processor):>18.2f} "
                  f"{1e3 * statistics.median(finished):>12.2f}")  # fmt: skip


def simulate(folder: Path, url: str, given: argparse.Namespace) -> None:
    """A farm of agents in virtual time on the real claims."""
    count, jobs = given.agents or 1000, given.jobs or 10_000
    films, models, load_s = 100, ("i2v", "light"), 60.0
    rng = random.Random(1)
    spent: dict[str, list[float]] = {"claim": [], "commit": [], "renew": []}
    with open_catalog(url) as catalog:
        names = restorations(catalog, films)
        with catalog.begin() as session:
            agent_ids = [
                register_agent(session, name="farm", host="h", pid=n, create_time=n)
                for n in range(count)
            ]
        lengths: dict[int, float] = {}
        for start in range(0, jobs, 500):
            with catalog.begin() as session:
                for n in range(start, min(jobs, start + 500)):
                    frames = rng.choice((24, 60, 120, 240, 480))
                    film = int(films * rng.random() ** 2)
                    payload = {"model": models[film % 2], "memory_bytes": 40 << 30, "gpu": "cuda"}
                    job = NewJob(JobKind.RESTORE, f"s{n}", names[film], payload=payload,
                                 cost=float(frames))  # fmt: skip
                    lengths[enqueue(session, job)] = frames * 1.0
        free = [(0.0, n) for n in range(count)]
        held = [""] * count
        loads, busy, end = 0, 0.0, 0.0
        while free:
            now, n = heapq.heappop(free)
            offer = Offer((JobKind.RESTORE,), 80 << 30, ("cuda",), model=held[n])
            lease = timed(spent["claim"], catalog, lambda s: claim(s, agent_ids[n], offer, 3600))
            if lease is None:
                continue
            model, seconds = lease.payload["model"], lengths[lease.id]
            loading = load_s if model != held[n] else 0.0
            loads, held[n] = loads + (loading > 0), model
            if rng.random() < 0.1:
                timed(spent["renew"], catalog, lambda s: renew(s, lease, 3600))

            def commit(session: Session) -> None:
                finish(session, lease)
                count_work(session, agent_ids[n], frames=1, seconds=1.0)

            timed(spent["commit"], catalog, commit)
            busy, end = busy + seconds, max(end, now + loading + seconds)
            heapq.heappush(free, (now + loading + seconds, n))
    print(f"{count} agents, {jobs} scenes of {films} films in 2 models, {load_s:.0f} s to load one")
    print(f"virtual time {end:.0f} s, busy {100 * busy / (count * end):.1f} % "
          f"(a perfect order: {max(*lengths.values(), busy / count):.0f} s), "
          f"{loads / count:.2f} model loads an agent")  # fmt: skip
    for name, times in spent.items():
        rate = 1 / statistics.fmean(times)
        print(f"{name:<7} median {1e3 * statistics.median(times):.2f} ms, "
              f"{rate:.0f} a second on one connection")  # fmt: skip


def timed(times: list[float], catalog: Catalog, act: Callable[[Any], Any]) -> Any:
    began = time.perf_counter()
    with catalog.begin() as session:
        result = act(session)
    times.append(time.perf_counter() - began)
    return result


def measure(
    catalog: Catalog, offer: Offer, count: int
) -> tuple[list[float], list[float], list[float]]:
    """Claim and finish; return the seconds of each, and the processor's seconds of each claim."""
    claimed: list[float] = []
    processor: list[float] = []
    finished: list[float] = []
    with catalog.begin() as session:
        agent = register_agent(
            session, name="bench", host="here", pid=os.getpid(), create_time=time.time()
        )
    for _ in range(count):
        cpu = time.process_time()
        lease = timed(claimed, catalog, lambda s: claim(s, agent, offer, 3600))
        processor.append(time.process_time() - cpu)
        assert lease is not None
        timed(finished, catalog, lambda s: finish(s, lease))
    return claimed[20:], processor[20:], finished[20:]


def restorations(catalog: Catalog, count: int) -> list[str]:
    """Make empty restorations of one film; return their ids."""
    now = "CURRENT_TIMESTAMP"
    names = [f"r{n:06}" for n in range(count)]
    with catalog.begin() as session:
        if session.execute(text("SELECT count(*) FROM film")).scalar() == 0:
            session.execute(text(
                "INSERT INTO recipe (sha256, name, text, resolved, recorded_at) "
                f"VALUES ('r', 'r', '', '{{}}', {now})"))  # fmt: skip
            session.execute(text(
                "INSERT INTO film (id, kind, manifest, accession, title, reel, generation, rights, "
                "media, frame_index, frames, paths, registered_at, seen_at) VALUES ('f', 'file', "
                f"'{{}}', '', '', '', '', '', '{{}}', 'x', 1, '[]', {now}, {now})"))  # fmt: skip
        known = set(session.execute(text("SELECT id FROM restoration")).scalars())
        for n, name in enumerate(names, start=1):
            if name in known:
                continue
            session.execute(text(
                "INSERT INTO shot_list (id, film_id, version, detector, parameters, note, made_by, "
                "field_handling, made_at) "
                f"VALUES (:n, 'f', :n, 'd', '{{}}', '', '', 'none', {now})"), {"n": n})  # fmt: skip
            session.execute(text(
                "INSERT INTO restoration (id, film_id, recipe_sha256, shot_list_id, take_format, "
                "output, state, opened_by, opened_at) VALUES (:id, 'f', 'r', :n, '{}', '', 'open', "
                f"'x', {now})"), {"id": name, "n": n})  # fmt: skip
    return names


def fill(catalog: Catalog, jobs: int, per: int = 200) -> None:
    """Queue jobs by one statement: every other restoration still waits for its captions."""
    restorations(catalog, jobs // per)
    with catalog.begin() as session:
        session.execute(text("DELETE FROM job"))
        if session.execute(text("SELECT count(*) FROM need")).scalar() == 0:
            for kind in (JobKind.CAPTION, JobKind.RESTORE):
                for model in ("a", "b"):
                    for step in range(8):
                        need = NeedRow(kind=kind, model=model, memory_bytes=step << 33, gpu="cuda")
                        session.add(need)
                        session.flush()
        needs = {row.kind: row.id for row in session.scalars(
            select(NeedRow).order_by(NeedRow.id.desc()))}  # fmt: skip
        first, caption = needs[JobKind.RESTORE], needs[JobKind.CAPTION]
        waits = f"(i / {per}) % 2 = 1"
        is_caption = f"({waits} AND i % {per} < {per // 20})"
        session.execute(text(f"""
            INSERT INTO job (kind, state, priority, phase, restoration_id, film_id, scene_number,
                dedupe_key, payload, attempt, max_attempts, need_id, held, turn, cost, queued_at,
                changed_at)
            WITH RECURSIVE one(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM one WHERE i < {jobs - 1})
            SELECT CASE WHEN {is_caption} THEN 'caption' ELSE 'restore' END, 'queued',
                CASE WHEN (i / {per}) % 50 = 0 THEN 5 ELSE 0 END,
                CASE WHEN {is_caption} THEN {PHASES[JobKind.CAPTION]} ELSE {PHASES[JobKind.RESTORE]} END,
                'r' || substr('000000' || (i / {per}), length('000000' || (i / {per})) - 5),
                'f', i % {per}, 'k' || i, '{{"model": "b"}}', 0, 3,
                (CASE WHEN {is_caption} THEN {caption} ELSE {first} END) + (i / {per}) % 16,
                ({waits} AND i % {per} >= {per // 20}), (i % {per}) * 100.0, 100,
                CURRENT_TIMESTAMP, CURRENT_TIMESTAMP
            FROM one"""))  # fmt: skip
    with catalog.begin() as session:
        session.execute(text("ANALYZE"))


def queue(folder: Path, url: str, scenes: int, seconds: float) -> Settings:
    """Make a film of that many scenes and queue it; return the installation's settings."""
    film = folder / "film.mkv"
    ffmpeg.run(
        ["-y", "-f", "lavfi", "-i", f"testsrc2=s=96x64:r=24:d={scenes * FRAMES / 24}",
         "-c:v", "libx264", "-preset", "ultrafast", "-g", str(FRAMES), "-pix_fmt", "yuv420p", str(film)],
        "making a film",
    )  # fmt: skip
    settings = Settings(home=folder / "home", database=url, store=None, threads=1)
    recipe = Recipe.model_validate({
        "name": "wait",
        "restore": {"steps": [{"use": "wait", "options": {"seconds": seconds}}]},
        "score": {"scorers": []},
        "deliver": {"access": "none", "report": False},
    })  # fmt: skip
    plug_in()
    with open_house(settings) as house:
        film_id = ingest(house, path=film, identifiers=Order(recipe, folder).identifiers)
        cuts = [Scene(n + 1, n * FRAMES, (n + 1) * FRAMES) for n in range(scenes)]
        with house.catalog.begin() as session:
            save_shot_list(session, film_id, cuts, detector="benchmark", parameters={}, made_by="x")
        prepare(house, film, Order(recipe, folder / "out"))
    return settings


def one_agent(settings: Settings, gate: Any) -> None:
    plug_in()
    with open_house(settings) as house:
        gate.wait(120)
        work(house, Shift(idle_s=5.0, alone=False))


def plug_in() -> None:
    load = restorers.load_plugin  # type: ignore[attr-defined]
    restorers.load_plugin = (  # type: ignore[attr-defined]
        lambda family, name: Wait if name == "wait" else load(family, name)  # type: ignore[assignment]
    )


if __name__ == "__main__":
    main()
