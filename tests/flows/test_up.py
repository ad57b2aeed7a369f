"""`restar up`: films go in by Prefect's API, masters come out, and nothing stays behind."""

from importlib.metadata import version
from pathlib import Path

import pytest

from catalog import open_catalog
from catalog.films import find_film
from catalog.restorations import restorations_of, selected_takes
from flows.bulk import State, how_it_stands
from flows.parts import CLIENT, HEARTBEAT_S, SERVER, parts_of
from flows.server import mend_scheduler
from flows.up import automations, up
from restar.errors import EngineError
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.filmlist import Entry
from tasks.house import open_house
from tests.flows.test_deployed import DEPLOYED
from tests.flows.upstairs import Up

RECIPE = (
    'name = "quick"\nrestore.steps = [{ use = "identity" }]\nscore.scorers = []\n'
    'deliver = { access = "none", report = false }\n'
)


@pytest.mark.kill
def test_bulk_and_redo_by_the_api_and_no_orphans(scenes: Path, tmp_path: Path) -> None:
    films, out, recipe = tmp_path / "films", tmp_path / "out", tmp_path / "quick.toml"
    films.mkdir()
    recipe.write_text(RECIPE)
    for name in ("a.mp4", "twin.mp4"):
        (films / name).write_bytes(scenes.read_bytes())
    (films / "broken.mov").write_text("no film")
    everything = Up(tmp_path)
    try:
        everything.wait_until_up()
        run = everything.run("bulk/bulk", source=str(films), recipe=str(recipe), output=str(out))
        everything.completed(run)
        (table,) = [a for a in everything.all_of("artifacts") if a["key"] == "bulk"]
        assert "1 queued, 1 duplicate, 1 failed" in table["description"]
        master = out / "a.quick.mkv"
        settings = Settings(home=everything.home, agent="tester", database="", store=None)
        entry = Entry(films / "a.mp4", load_recipe(str(recipe)))
        with open_house(settings) as house:

            def done() -> bool:
                return how_it_stands(house, entry, out).state is State.DONE

            everything.wait(done, "an agent of the gpu pool made the master")
        first = master.read_bytes()
        everything.completed(everything.run("redo/redo", film=str(films / "a.mp4"), scenes="2"))
        everything.wait(lambda: master.read_bytes() != first, "the master is joined anew")
        pools = {r["work_pool_name"] for r in everything.all_of("flow_runs") if r["start_time"]}
        assert pools == {"cpu", "gpu"}
        names = {run["name"] for run in everything.all_of("task_runs")}
        assert "identity-scene-002-a1" in names
        wanted = {"film.ingested", "master.assembled"}
        everything.wait(lambda: wanted <= everything.events(), f"the events {wanted}")
        schedules = [r for r in everything.all_of("flow_runs") if r["auto_scheduled"]]
        assert schedules, "tending is scheduled"
    finally:
        everything.close()
    with open_catalog(settings.database_url) as catalog, catalog.read() as session:
        (restoration,) = restorations_of(session, find_film(session, str(films / "a.mp4")).id)
        takes = selected_takes(session, restoration.id)
        assert [take.spec["seed"] for take in takes.values()] == [0, 1, 0, 0]


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
