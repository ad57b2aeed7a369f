"""What tests of the catalog start from: a film of three scenes, a restoration of it, an agent."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from catalog.agents import record_environment, register_agent
from catalog.claims import claim
from catalog.commits import MasterFile, NewTake, commit_master, commit_take
from catalog.films import register_film
from catalog.jobs import Lease
from catalog.models import FilmRow, JobKind, MasterRow, RestorationRow, TakeRow
from catalog.restorations import open_restoration, selected_takes, want
from catalog.shots import save_shot_list
from restar.film import FilmManifest, Identifiers, Scene, Source
from restar.recipe import Recipe
from restar.spec import ResolvedStep, Spec, take_key
from restar.timeline import FrameRange

SCENES = (Scene(1, 0, 10), Scene(2, 10, 25), Scene(3, 25, 30))
FORMAT = {"encoder": "ffv1", "level": 3}
ALL_KINDS = tuple(JobKind)


def digest(text: str) -> str:
    """A sha256 to stand for something."""
    return hashlib.sha256(text.encode()).hexdigest()


def recipe(name: str = "test", **options: Any) -> Recipe:
    step = {"use": "identity", "options": options}
    return Recipe.model_validate({"name": name, "restore": {"steps": [step]}})


def add_film(session: Session, name: str = "a.mkv", **identifiers: str) -> FilmRow:
    sources = (Source(digest(name), 1000, name),)
    return register_film(
        session,
        FilmManifest("file", sources, Identifiers(**identifiers)),
        media={"container": "matroska"},
        frame_index=digest("index of " + name),
        frames=30,
        paths=[f"/films/{name}"],
        agent="tester",
    )


def add_restoration(
    session: Session,
    name: str = "a.mkv",
    *,
    scenes: Sequence[Scene] = SCENES,
    by: Recipe | None = None,
) -> RestorationRow:
    film = add_film(session, name)
    shots = save_shot_list(
        session, film.id, scenes, detector="test", parameters={"threshold": 3.0}, made_by="tester",
        field_handling="none" if scenes[-1].end == 30 else "test",
    )  # fmt: skip
    return open_restoration(session, film.id, by or recipe(), shots.id, FORMAT, agent="tester")


def spec(seed: int = 0) -> Spec:
    return Spec((ResolvedStep("identity", 1, {}),), seed, "", "", FORMAT)


def key_of(restoration: RestorationRow, scene: Scene, seed: int = 0) -> str:
    return take_key(restoration.film_id, FrameRange(scene.start, scene.end), spec(seed))


def want_scene(
    session: Session, restoration: RestorationRow, number: int, seed: int = 0, **options: Any
) -> bool:
    scene = SCENES[number - 1]
    key = key_of(restoration, scene, seed)
    return want(session, restoration.id, number, spec(seed), key, **options)


def want_all(session: Session, restoration: RestorationRow) -> int:
    """Want every scene at seed 0; return how many jobs that needs."""
    return sum(want_scene(session, restoration, scene.number) for scene in SCENES)


def add_agent(session: Session, pid: int = 1, host: str = "here") -> int:
    return register_agent(session, name="tester", host=host, pid=pid, create_time=float(pid))


def claimed(session: Session, agent: int | None = None, **options: Any) -> Lease:
    """Claim a job that has to be there."""
    lease = claim(session, agent or add_agent(session), ALL_KINDS, 60, **options)
    assert lease is not None
    return lease


def made(session: Session, restoration: RestorationRow, lease: Lease) -> NewTake:
    """The take that a `restore` job asks for."""
    assert lease.scene_number is not None
    scene = SCENES[lease.scene_number - 1]
    key = lease.payload["take_key"]
    return NewTake(
        take_key=key,
        film_id=restoration.film_id,
        start=scene.start,
        end=scene.end,
        spec=lease.payload["spec"],
        sha256=digest("file of " + key),
        checksums_sha256=digest("checksums of " + key),
        bytes=1000,
        seconds=1.5,
        environment=record_environment(session, {"python": "3.11"}),
        agent_id=lease.owner,
    )


def restore(session: Session, restoration: RestorationRow, lease: Lease | None = None) -> TakeRow:
    """Claim the next job, make its take and commit it."""
    lease = lease or claimed(session, restoration_id=restoration.id)
    assert lease.kind is JobKind.RESTORE
    return commit_take(session, lease, made(session, restoration, lease), agent="tester")


def assemble(session: Session, restoration: RestorationRow, path: str = "/out/a.mkv") -> MasterRow:
    """Claim the assembly and commit a master of the takes that are selected."""
    lease = claimed(session, restoration_id=restoration.id)
    assert lease.kind is JobKind.ASSEMBLE
    takes = selected_takes(session, restoration.id)
    content = "".join(take.sha256 for take in takes.values())
    master = MasterFile(path, digest(content), 3000, digest("frames of " + content))
    return commit_master(session, lease, master, takes, agent="tester")


def finished(session: Session, name: str = "a.mkv") -> RestorationRow:
    """A restoration with every take and a master."""
    restoration = add_restoration(session, name)
    want_all(session, restoration)
    for _ in SCENES:
        restore(session, restoration)
    assemble(session, restoration)
    return restoration
