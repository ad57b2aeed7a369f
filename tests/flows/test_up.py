"""`restar up`: films go in by Prefect's API, masters come out, and nothing stays behind."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from catalog import open_catalog
from catalog.commits import scores_of
from catalog.events import events_of
from catalog.films import film_by_path, find_film
from catalog.models import JobRow, JobState
from catalog.restorations import restoration_scenes, restorations_of, selected_takes
from flows.bulk import State, how_it_stands
from flows.parts import CLIENT, HEARTBEAT_S, SERVER, parts_of
from flows.server import mend_scheduler
from flows.up import automations, up
from restar.errors import EngineError
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.filmlist import Entry
from tasks.house import open_house
from tests.films import scenes_film
from tests.flows.test_deployed import DEPLOYED
from tests.flows.upstairs import Up

QUICK = (
    'name = "quick"\nrestore.steps = [{ use = "identity" }]\nscore.scorers = []\n'
    'deliver = { access = "none", report = false }\n'
)
TINY = (
    'name = "tiny"\nrestore.steps = [{ use = "star", options = { model = "star-tiny", scale = 2, '
    'clean = "restore" } }]\nprompt.captioner = "facts"\nscore.scorers = ["flicker"]\n'
    'deliver = { access = "none", report = false }\n'
)
STANDS = (State.DONE, State.FLAGGED)


class Archive(Up):
    """An installation that runs, with films in a folder, a list of them, and two recipes."""

    def __init__(self, folder: Path, scenes: Path) -> None:
        self.films, self.incoming, self.out = folder / "films", folder / "incoming", folder / "out"
        self.films.mkdir()
        self.incoming.mkdir()
        for name in ("a.mp4", "twin.mp4"):
            (self.films / name).write_bytes(scenes.read_bytes())
        scenes_film(self.films / "b.mp4", lengths=(9, 8))
        scenes_film(self.films / "star.mp4", lengths=(8,), size="64x48", sound=False)
        scenes_film(self.incoming / "w.mp4", lengths=(7, 9))
        (self.films / "broken.mov").write_text("no film")
        (folder / "quick.toml").write_text(QUICK)
        (folder / "tiny.toml").write_text(TINY)
        self.list = folder / "tonight.csv"
        lines = [
            f"films/{name},quick.toml" for name in ("a.mp4", "twin.mp4", "broken.mov", "b.mp4")
        ]
        self.list.write_text("\n".join(["film,recipe", *lines, "films/star.mp4,tiny.toml"]) + "\n")
        super().__init__(folder)
        self.settings = Settings(home=self.home, agent="tester", database="", store=None)

    def stands(self, film: Path, recipe: str = "quick") -> bool:
        """Whether the master of a film is there, as the catalog knows it."""
        entry = Entry(film, load_recipe(str(self.folder / f"{recipe}.toml")))
        with open_house(self.settings) as house:
            return how_it_stands(house, entry, self.out).state in STANDS

    def at_work_on(self, film: Path) -> bool:
        leased = select(JobRow.id).where(JobRow.state == JobState.LEASED)
        with open_house(self.settings) as house, house.catalog.read() as session:
            row = film_by_path(session, film)
            return (
                row is not None
                and session.scalar(leased.where(JobRow.film_id == row.id)) is not None
            )

    def fire(self, deployment: str, slug: str, **parameters: Any) -> str:
        """Switch a schedule on as it stands in prefect.yaml, and let its next run begin now."""
        found = self.deployment(deployment)
        (schedule,) = [one for one in found["schedules"] if one["slug"] == slug]
        place = f"/deployments/{found['id']}"
        wanted = {"active": True, "parameters": {**schedule["parameters"], **parameters}}
        self.asked("PATCH", f"{place}/schedules/{schedule['id']}", wanted)
        self.asked("POST", f"{place}/schedule", {"min_runs": 1, "max_runs": 1})
        ours = {"deployments": {"id": {"any_": [found["id"]]}}}
        (run,) = [r for r in self.all_of("flow_runs", ours) if r["auto_scheduled"]]
        now = {"state": {"type": "SCHEDULED"}, "force": True}
        self.asked("POST", f"/flow_runs/{run['id']}/set_state", now)
        return str(run["id"])


@pytest.fixture(scope="module")
def archive(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """`restar up`, once for the cases below; nothing of it stays behind."""
    made = Archive(tmp_path_factory.mktemp("archive"), scenes)
    try:
        made.wait_until_up()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def restored(archive: Archive) -> Archive:
    """The archive after its nightly run."""
    run = archive.completed(archive.fire(
        "bulk/bulk", "nightly", source=str(archive.list), output=str(archive.out)
    ))  # fmt: skip
    assert run["auto_scheduled"], "it is the schedule's run"
    for film, recipe in (("a.mp4", "quick"), ("b.mp4", "quick"), ("star.mp4", "tiny")):
        archive.wait(lambda: archive.stands(archive.films / film, recipe), f"{film} has its master")  # noqa: B023
    return archive


@pytest.mark.kill
def test_everything_is_up(archive: Archive) -> None:
    tending = archive.deployment("tend/tend")["id"]
    ours = {"deployments": {"id": {"any_": [tending]}}}
    archive.wait(
        lambda: any(run["auto_scheduled"] for run in archive.all_of("flow_runs", ours)),
        "tending is scheduled",
    )
    assert {pool["name"] for pool in archive.all_of("work_pools")} >= {"cpu", "gpu"}
    there = {one["name"] for one in archive.all_of("deployments")}
    assert there == {one["name"] for one in DEPLOYED["deployments"]}


@pytest.mark.kill
def test_a_night_s_list_goes_through_both_pools(restored: Archive) -> None:
    """The nightly schedule, fired by hand: one broken, one duplicate, one by STAR."""
    (table,) = [a for a in restored.all_of("artifacts") if a["key"] == "bulk"]
    assert "3 queued, 1 duplicate, 1 failed" in table["description"]
    pools = {r["work_pool_name"] for r in restored.all_of("flow_runs") if r["start_time"]}
    assert pools == {"cpu", "gpu"}
    with open_catalog(restored.settings.database_url) as catalog, catalog.read() as session:
        star = find_film(session, str(restored.films / "star.mp4"))
        (restoration,) = restorations_of(session, star.id)
        (scene,) = restoration_scenes(session, restoration.id)
        (take,) = selected_takes(session, restoration.id).values()
        assert scene.caption
        assert scene.prompt
        assert take.spec["steps"][-1]["use"] == "star"
        assert [score.metric for score in scores_of(session, take)] == ["flicker"]
    wanted = {"film.ingested", "take.scored", "master.assembled"}
    restored.wait(lambda: wanted <= restored.events(), f"the events {wanted}")
    names = {run["name"] for run in restored.all_of("task_runs")}
    assert {"identity-scene-002-a1", "star-scene-001-a1"} <= names


@pytest.mark.kill
def test_a_film_put_into_a_watched_folder_is_taken(archive: Archive) -> None:
    """`watch` queues it, `tend` sees that it is ready, `drain` does it: runs of both pools."""
    archive.completed(archive.fire(
        "watch/watch", "ten-minutes", folder=str(archive.incoming), output=str(archive.out),
        recipe=str(archive.folder / "quick.toml"), settle_seconds=0.5, agents=0,
    ))  # fmt: skip
    runs = archive.run("tend/tend"), archive.run("drain/drain")
    for run in runs:
        archive.completed(run)
    archive.wait(lambda: archive.stands(archive.incoming / "w.mp4"), "its master")


@pytest.mark.kill
def test_a_review_s_event_has_one_scene_redone(restored: Archive) -> None:
    """`review.redo`, sent as any other program may: the deployment's trigger starts the redo."""
    master = restored.out / "a.quick.mkv"
    first = master.read_bytes()
    film = str(restored.films / "a.mp4")
    restored.emit("review.redo", "restar.film.a", film=film, scenes="2", reason="too soft")
    restored.wait(lambda: master.read_bytes() != first, "the master is joined anew")
    with open_catalog(restored.settings.database_url) as catalog, catalog.read() as session:
        (restoration,) = restorations_of(session, find_film(session, film).id)
        takes = selected_takes(session, restoration.id)
        assert [take.spec["seed"] for take in takes.values()] == [0, 1, 0, 0]
        events = events_of(session, restoration.film_id)
    (word,) = [e for e in events if e["type"] == "appraisal"]
    assert word["detail"]["reason"] == "too soft"


@pytest.mark.kill
def test_prefect_s_server_killed_in_mid_run(archive: Archive) -> None:
    """`restar up` starts it again; the run that was under way ends, and the film is done."""
    film = archive.folder / "late.mp4"
    scenes_film(film, lengths=(8,), size="64x48", sound=False)
    (archive.folder / "late.csv").write_text("film\nlate.mp4\n")
    run = archive.run("bulk/bulk", source=str(archive.folder / "late.csv"), inline=True,
                      recipe=str(archive.folder / "tiny.toml"), output=str(archive.out))  # fmt: skip
    archive.wait(lambda: archive.at_work_on(film), "its scene is under way")
    archive.server().kill()
    assert archive.completed(run)["run_count"] == 1
    assert archive.stands(film, "tiny")
    assert "server ended by itself" in archive.log.read_text()


@pytest.mark.kill
def test_runs_that_are_dead_or_late_are_put_right(archive: Archive) -> None:
    """The automations as they were deployed; of the one for dead runs a copy with less patience."""
    named = {one["name"]: one for one in archive.all_of("automations")}
    dead, late = (one.name for one in automations())
    assert named[late]["enabled"]
    assert named[dead]["enabled"]
    run = archive.run("drain/drain", "RUNNING")  # no process is behind it
    subject = f"prefect.flow-run.{run}"
    quick = {key: named[dead][key] for key in ("name", "description", "trigger", "actions")}
    quick["trigger"] = {**quick["trigger"], "within": 10, "match": {"prefect.resource.id": subject}}
    del quick["trigger"]["id"]
    archive.asked("POST", "/automations/", quick)
    with archive.paused("cpu"):
        tend = archive.run("tend/tend")
        archive.wait(lambda: archive.state_of(tend) == "CANCELLED", "late tending is dropped")
    archive.emit("prefect.flow-run.heartbeat", subject)  # the copy is in force by now
    archive.wait(lambda: archive.state_of(run) == "CRASHED", "the dead run is known to be dead")


def test_the_scheduler_s_insert_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    mend_scheduler()
    from prefect.server.database.orm_models import FlowRun

    hybrid = FlowRun.__dict__["state"]
    if tuple(map(int, version("sqlalchemy").split(".")[:2])) >= (2, 1):
        assert hybrid.bulk_dml_setter is not None


def test_automations_wait_for_more_than_three_heartbeats() -> None:
    crashed, late = automations()
    trigger = crashed.trigger
    assert trigger.within.total_seconds() > 3 * HEARTBEAT_S
    assert "prefect.flow-run.heartbeat" in trigger.after & trigger.expect
    assert CLIENT["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_S)
    assert SERVER["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("filesystem")
    assert late.trigger.expect == {"prefect.flow-run.Late"}


def test_every_deployment_that_was_promised_is_there() -> None:
    there = {one["name"]: one for one in DEPLOYED["deployments"]}
    assert set(there) >= {
        "prepare", "drain", "finish", "bulk", "redo", "tend", "watch", "fixity", "agent", "restore",
    }  # fmt: skip
    slugs = {n: [s["slug"] for s in one.get("schedules", [])] for n, one in there.items()}
    assert slugs["bulk"] == ["nightly", "weekly"]
    assert slugs["fixity"] == ["monthly"]
    assert slugs["tend"] == ["each-minute"]
    assert there["redo"]["triggers"][0]["expect"] == ["review.redo"]


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    import socket
    import threading

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        parts = parts_of(tmp_path / "server", "127.0.0.1", port, port + 1, 1, 1)
        with pytest.raises(EngineError, match=f"port {port} can't be used for server"):
            up(parts, tmp_path / "logs", told=lambda _line: None, stop=threading.Event())
