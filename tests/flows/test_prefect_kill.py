"""Prefect's server killed and started again under a drain: the scenes don't notice."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from catalog.models import JobState
from flows import embedded
from tests.flows.nursery import until
from tests.flows.world import World, slow

pytestmark = pytest.mark.kill
ROOT = Path(__file__).parents[2]


class Server:
    """A Prefect server in a folder, on a port that stays the same."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "prefect"
        self.home.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            **embedded._SERVER,
            "PREFECT_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
        }
        script = Path(__file__).with_name("prefect_server.py")
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, script, str(self.port), self.home],
                env=environment,
                stderr=log,
                stdout=log,
            )
        until(self.answers, "Prefect's server answers", 180)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.home / "log").read_text()
        try:
            return bool(httpx.get(f"{self.url}/health", timeout=1).is_success)
        except httpx.HTTPError:
            return False


def test_prefect_s_server_killed_and_restarted(
    world: World, frames: list[bytes], tmp_path: Path
) -> None:
    server = Server(tmp_path)
    server.start()
    prepared = world.queue(slow(seconds=0.5))
    environment = {
        "PREFECT_API_URL": server.url,
        "PREFECT_HOME": str(tmp_path / "client"),
        "PREFECT_CLIENT_MAX_RETRIES": "1",
        "DO_NOT_TRACK": "1",
    }
    last = world.stalled("middle", scene=66)
    drain = world.restar("flow", prepared.restoration_id, env=environment, **last)
    try:
        until(lambda: world.job_states()[JobState.DONE] >= 1, "one is done")
        server.kill()
        until(lambda: world.job_states()[JobState.DONE] >= 3, "scenes are done without a server")
        server.start()
        world.gate.unlink()
        assert drain.wait() == 0, drain.said()
    finally:
        server.kill()
    world.finish()
    world.check(frames)
    assert all(job.attempt == 1 for job in world.jobs())
