"""The film's way as Prefect flows: the same master and the same rows as without the engine."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.flows.test_kill import House, frames_of

SERVER = "embedded_server.py"


class Flows(House):
    """The same installation, run on the engine; its server is found by the home that it serves."""

    PLAIN = ()

    @property
    def prefect(self) -> Path:
        return self.folder / "home" / "prefect"

    def servers(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if str(self.prefect) in words and any(SERVER in word for word in words):
                found.append(process)
        return found

    def ran(self, what: str) -> Counter[tuple[str, str]]:
        """How many runs of each name (numbers cut off) and state Prefect has on record."""
        with closing(sqlite3.connect(self.prefect / "prefect.db")) as database:
            rows = database.execute(f"SELECT name, state_type FROM {what}").fetchall()  # noqa: S608
        return Counter((name.rstrip("0123456789 "), state) for name, state in rows)


@pytest.fixture(scope="module")
def plain(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("plain"), scenes)
    house.run()
    return house


def test_flows_leave_what_plain_functions_leave(plain: House, scenes: Path, tmp_path: Path) -> None:
    house = Flows(tmp_path, scenes)

    master = house.run()

    assert frames_of(master) == frames_of(plain.output / "scenes.identity.mkv")
    kinds = [event["type"] for event in house.ask("events", str(scenes))]
    assert kinds == [event["type"] for event in plain.ask("events", str(scenes))]
    assert house.servers() == []
    flows = house.ran("flow_run")
    assert all(state == "COMPLETED" for _, state in flows), flows
    assert flows.total() == 4, "restore, and in it prepare, drain, finish"
    names = [name for name, state in house.ran("task_run") if state == "COMPLETED"]
    assert sorted(n for n in names if "-scene-" in n) == [
        f"identity-scene-00{n}-a" for n in range(1, 5)
    ]

    again = [house.start(), house.start()]
    for process in again:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert Path(out.strip()) == master
    assert house.calls().total() == 4, "a used home: nothing is made again"
    assert house.servers() == []


@pytest.mark.kill
def test_a_killed_run_leaves_no_server_and_goes_on(scenes: Path, tmp_path: Path) -> None:
    house = Flows(tmp_path, scenes)
    house.kill_when(house.start("restoring"), house.flag.exists)
    deadline = time.monotonic() + 30
    while house.servers():
        assert time.monotonic() < deadline, "the server outlives the run that it served"
        time.sleep(0.1)
    house.run()
    assert house.calls().total() == 5


def test_an_engine_that_cannot_start_says_what_to_do(scenes: Path, tmp_path: Path) -> None:
    house = Flows(tmp_path, scenes)
    house.prefect.parent.mkdir(parents=True)
    house.prefect.write_text("a file where the engine's folder should be")
    process = house.start()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 9
    assert out == ""
    assert "--plain" in err
    assert "Traceback" not in err


def test_ctrl_c_keeps_what_is_finished(scenes: Path, tmp_path: Path) -> None:
    house = House(tmp_path, scenes)
    # A shell that started these tests in the background has them, and all below, ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = house.start("restoring")
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not house.flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in err
    (film,) = house.ask("status")["films"]
    assert film["takes_done"] == 1
    assert film["jobs"]["leased"] == 0, "the interrupted scene was handed back"


def test_flows_import_without_a_server() -> None:
    code = "import flows.deployed, flows.embedded; print('fine')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "fine\n"
