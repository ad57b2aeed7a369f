"""kill -9 at any moment, then the same command: nothing finished is done twice, nothing half is used."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media.frames import decode_all, frame_md5
from media.probe import probe

pytestmark = pytest.mark.kill

SCRIPT = Path(__file__).with_name("stopping.py")
STAGES = [
    "indexing", "indexed", "restoring", "published take", "master written", "master placed",
]  # fmt: skip


class House:
    """One installation in a folder, used by processes of their own."""

    PLAIN: tuple[str, ...] = ("--plain",)

    def __init__(self, folder: Path, film: Path) -> None:
        self.folder, self.film = folder, film
        self.output, self.flag, self.log = folder / "out", folder / "flag", folder / "log"
        root = SCRIPT.parents[2]
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RESTAR_")},
            "RESTAR_HOME": str(folder / "home"),
            "PYTHONPATH": str(root),
        }

    def start(self, stage: str = "none") -> subprocess.Popen[str]:
        arguments = ["restore", *self.PLAIN, "--recipe", "identity", "-o", self.output, self.film]
        return subprocess.Popen(
            [sys.executable, SCRIPT, stage, self.flag, self.log, *arguments],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self) -> Path:
        process = self.start()
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        return Path(stdout.strip())

    def ask(self, *arguments: str) -> Any:
        answer = subprocess.run(
            [sys.executable, "-m", "cli", *arguments, "--json"],
            env=self.env, capture_output=True, text=True, check=True, cwd=SCRIPT.parents[2],
        )  # fmt: skip
        return json.loads(answer.stdout)

    def kill_when(self, process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 60
        while not ready():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < give_up, "the stage was never reached"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()

    def calls(self) -> Counter[str]:
        return Counter(self.log.read_text().splitlines())

    def restorations(self) -> list[str]:
        found = self.ask("events", str(self.film))
        return [e["detail"]["take_key"] for e in found if e["type"] == "restoration"]


def frames_of(master: Path) -> list[tuple[int | None, bytes]]:
    return [(frame.pts, frame_md5(frame)) for frame in decode_all(master, probe(master))]


@pytest.fixture(scope="module")
def undisturbed(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return House(tmp_path_factory.mktemp("undisturbed"), scenes).run()


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at(stage: str, scenes: Path, undisturbed: Path, tmp_path: Path) -> None:
    house = House(tmp_path, scenes)
    house.kill_when(house.start(stage), house.flag.exists)

    master = house.run()

    assert frames_of(master) == frames_of(undisturbed)
    assert {p.name for p in house.output.iterdir()} == {"scenes.identity.mkv"}
    assert list((tmp_path / "home" / "store" / "staging").iterdir()) == []
    calls = house.calls()
    assert len(calls) == 4
    assert calls.total() <= 5, "more than one take was made again"
    restorations = house.restorations()
    assert len(restorations) == len(set(restorations)) == 4
    (film,) = house.ask("status")["films"]
    assert (film["scenes"], film["takes_done"]) == (4, 4)
    assert film["masters"] == [str(master)]
    assert film["jobs"]["queued"] == film["jobs"]["leased"] == film["jobs"]["failed"] == 0


def test_killed_when_two_takes_are_seen_done(
    scenes: Path, undisturbed: Path, tmp_path: Path
) -> None:
    house = House(tmp_path, scenes)
    process = house.start("restoring")  # it sleeps inside the second scene

    def first_take_is_done() -> bool:
        return house.flag.exists() and house.ask("status")["films"][0]["takes_done"] == 1

    house.kill_when(process, first_take_is_done)
    (film,) = house.ask("status")["films"]
    assert (film["takes_done"], film["masters"]) == (1, [])
    assert film["jobs"]["leased"] in (1, 2), "the scene under way, and the next one ahead of it"
    assert frames_of(house.run()) == frames_of(undisturbed)


def test_an_altered_take_is_noticed_and_made_again(
    scenes: Path, undisturbed: Path, tmp_path: Path
) -> None:
    house = House(tmp_path, scenes)
    house.run()
    objects = tmp_path / "home" / "store" / "objects"
    take = max((p for p in objects.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    take.chmod(0o644)
    data = bytearray(take.read_bytes())
    data[len(data) // 2] ^= 1
    take.write_bytes(data)

    master = house.run()

    assert frames_of(master) == frames_of(undisturbed)
    assert house.calls().total() == 5
    failed = [e for e in house.ask("events", str(scenes)) if e["outcome"] == "fail"]
    assert [e["type"] for e in failed] == ["fixity check"]
    assert len(list((tmp_path / "home" / "store" / "quarantine").iterdir())) == 1


def test_a_second_run_makes_nothing_again(scenes: Path, tmp_path: Path) -> None:
    house = House(tmp_path, scenes)
    first = house.run()
    before = (first.stat().st_mtime_ns, house.ask("events", str(scenes)))
    assert house.run() == first
    assert (first.stat().st_mtime_ns, house.ask("events", str(scenes))) == before
    assert house.calls().total() == 4


def test_two_runs_at_once_share_the_work(scenes: Path, undisturbed: Path, tmp_path: Path) -> None:
    house = House(tmp_path, scenes)
    processes = [house.start(), house.start()]
    results = [process.communicate(timeout=120) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], results
    assert frames_of(Path(results[0][0].strip())) == frames_of(undisturbed)
    assert house.calls().total() == 4
