"""An installation that real agents work in, and the questions that are asked after each disaster."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from catalog import Catalog, open_catalog
from catalog.events import events_of, film_stream, restoration_stream, verify_chain
from catalog.models import (
    EventRow,
    FilmRow,
    JobKind,
    JobRow,
    JobState,
    MasterRow,
    MasterState,
    MeasureRow,
    RestorationRow,
    ScoreRow,
    TakeRow,
)
from flows.prepare import Order, Prepared, prepare
from media.frames import decode_all, frame_md5
from media.probe import probe
from restar.recipe import Recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.flows import nursery
from tests.flows.nursery import Restar, until

__all__ = ["LEASE_S", "World", "framemd5", "slow"]

LEASE_S = 2.0


def slow(name: str = "slow", score: bool = False, **options: Any) -> Recipe:
    """A recipe of the slow restorer."""
    recipe = {
        "name": name,
        "restore": {"steps": [{"use": "slow", "options": options}]},
        "score": {"scorers": ["psnr-to-source"] if score else []},
        "deliver": {"access": "none", "report": False},
    }
    return Recipe.model_validate(recipe)


def framemd5(path: Path) -> list[bytes]:
    """The MD5 of every frame of a file."""
    return [frame_md5(frame) for frame in decode_all(path, probe(path))]


class World:
    """A home, a database, a film, and the processes that were started there."""

    def __init__(self, folder: Path, url: str, film: Path) -> None:
        self.folder, self.url, self.film = folder, url, film
        self.settings = Settings(
            home=folder / "home", database=url, store=None, agent="tester", lease_seconds=LEASE_S,
            min_free_mib=1,
        )  # fmt: skip
        self.gate, self.flag = folder / "gate", folder / "flag"
        self.gate.touch()
        self.log = folder / "scenes.log"
        self.started: list[Restar] = []
        self.catalog: Catalog = open_catalog(url)

    def close(self) -> None:
        for process in self.started:
            if process.running:
                process.kill()
        self.catalog.close()

    def queue(self, recipe: Recipe | None = None, film: Path | None = None) -> Prepared:
        """Queue a film, in this process."""
        order = Order(recipe or slow(), self.folder / "out")
        with open_house(self.settings) as house:
            return prepare(house, film or self.film, order)

    def submission(self) -> list[str]:
        """The command that queues the film by a recipe of the slow restorer."""
        recipe = self.folder / "slow.toml"
        recipe.write_text(
            'name = "slow"\nrestore.steps = [{ use = "slow" }]\nscore.scorers = []\n'
            'deliver.access = "none"\ndeliver.report = false\n'
        )
        out = str(self.folder / "out")
        return ["restore", "--queue", "--recipe", str(recipe), "-o", out, str(self.film)]

    def house(self) -> Any:
        return open_house(self.settings)

    def restar(self, *arguments: str, env: dict[str, str] | None = None, **script: Any) -> Restar:
        """Start a command of restar in a process of its own."""
        environment = {
            "RESTAR_HOME": str(self.settings.home),
            "RESTAR_DATABASE": self.url,
            "RESTAR_LEASE_SECONDS": str(LEASE_S),
            "RESTAR_MIN_FREE_MIB": "1",
            "RESTAR_AGENT": "tester",
            "RESTAR_LOG": "info",
            "RESTAR_THREADS": "1",
            **(env or {}),
        }
        log = self.folder / f"process-{len(self.started)}.log"
        script.setdefault("log", str(self.log))
        process = nursery.start(list(arguments), environment, script, log)
        self.started.append(process)
        return process

    def agent(
        self, *, idle: float = 8, grace: float = 6, options: tuple[str, ...] = (), **script: Any
    ) -> Restar:
        """Start an agent; it leaves when all is done (`idle` is long enough to take over work)."""
        arguments = ["agent", "--idle", str(idle), "--grace", str(grace), *options]
        return self.restar(*arguments, **script)

    def stalled(self, at: str, **more: Any) -> dict[str, Any]:
        """A script that stops a process at a point until the gate is opened."""
        stall = {"at": at, "flag": str(self.flag), "gate": str(self.gate), **more}
        return {"stall": stall}

    def reached(self, process: Restar) -> None:
        """Wait until a process stands at its point."""

        def there() -> bool:
            assert process.running or self.flag.exists(), process.said()
            return self.flag.exists()

        until(there, f"the point of {process.log}: {process.said()}")

    def finish(self, process: Restar | None = None) -> None:
        """Let agents do the rest; stop waiting for idle time once all is done."""
        agent = process or self.agent()
        until(lambda: not agent.running or self.all_done(), f"the end: {agent.said()}")
        if agent.running:
            agent.signal(15)
        agent.wait()

    def writable(self) -> bool:
        """Whether nobody holds SQLite's one write lock."""
        if not self.url.startswith("sqlite"):
            return True
        path = self.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def all_done(self) -> bool:
        """Whether every restoration has its master and no job is open."""
        with self.catalog.read() as session:
            states = Counter(session.scalars(select(JobRow.state)))
            restorations = session.execute(select(func.count(RestorationRow.id))).scalar_one()
            masters = session.execute(
                select(func.count(MasterRow.id)).where(MasterRow.state == MasterState.OK)
            ).scalar_one()
        open_jobs = states[JobState.QUEUED] + states[JobState.LEASED] + states[JobState.FAILED]
        return restorations > 0 and masters >= restorations and open_jobs == 0

    def jobs(self, kind: JobKind = JobKind.RESTORE) -> list[JobRow]:
        with self.catalog.read() as session:
            return list(
                session.scalars(select(JobRow).where(JobRow.kind == kind).order_by(JobRow.id))
            )

    def job_states(self) -> Counter[str]:
        with self.catalog.read() as session:
            return Counter(session.scalars(select(JobRow.state)))

    def take_shas(self) -> dict[str, str]:
        with self.catalog.read() as session:
            return {take.take_key: take.sha256 for take in session.scalars(select(TakeRow))}

    def events(self) -> list[dict[str, Any]]:
        with self.catalog.read() as session:
            films = session.scalars(select(FilmRow.id)).all()
            return [event for film in films for event in events_of(session, film)]

    def check(self, expected: list[bytes]) -> None:
        """All that must hold after a disaster: masters exact, nothing open or over, events whole."""
        with self.catalog.read() as session:
            states = Counter(session.scalars(select(JobRow.state)))
            assert not states[JobState.LEASED], "a job is still leased"
            assert not states[JobState.QUEUED], "a job is still queued"
            masters = list(
                session.scalars(select(MasterRow).where(MasterRow.state == MasterState.OK))
            )
            restorations = list(session.scalars(select(RestorationRow)))
            assert len(masters) == len(restorations) > 0
            takes = list(session.scalars(select(TakeRow)))
            made_events = select(EventRow).where(EventRow.type == "restoration")
            made = [event.detail["take_key"] for event in session.scalars(made_events)]
            assert sorted(made) == sorted(take.take_key for take in takes), (
                "events and takes differ"
            )
            for row in restorations:
                verify_chain(session, restoration_stream(row.id))
            for film in session.scalars(select(FilmRow)):
                verify_chain(session, film_stream(film.id))
            referenced = {sha for take in takes for sha in (take.sha256, take.checksums_sha256)}
            referenced |= set(session.scalars(select(FilmRow.frame_index)))
            referenced |= set(session.scalars(select(MeasureRow.series_sha256)))
            referenced |= {
                film.media["measured"]["marks"] for film in session.scalars(select(FilmRow))
            }
            referenced |= {sha for sha in session.scalars(select(ScoreRow.series_sha256)) if sha}
        for master in masters:
            assert framemd5(Path(master.path)) == expected, "the master's frames differ"
        folder = self.folder / "out"
        assert {p.name for p in folder.iterdir()} == {Path(m.path).name for m in masters}
        store = self.settings.store_root
        kept = {p.name for p in (store / "objects").rglob("*") if p.is_file()}
        assert kept == referenced, "the store has what no row names, or lacks what one does"
        self.no_staging()

    def no_staging(self) -> None:
        """Nothing half-written is left once a process has opened the store."""
        with open_house(self.settings):
            pass
        left = list((self.settings.store_root / "staging").iterdir())
        assert left == [], left
