"""What an outage of Prefect's server costs a drain that is under way.

    python -m benchmarks.outage [--scenes 150] [--seconds 1] [--away 60]

The flow `drain` runs against a server of its own, as a worker would run it (the client's settings are
those of `restar up`), once left alone and once with the server killed (-9) for `--away` seconds in
mid-run. Told are the seconds until the last scene and until the end of the run, which needs the server,
and the state in which the engine has the run then.
Scenes do not depend on the server, so all have to be done in the first try.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import func, select

from benchmarks.dispatch import plug_in, queue
from catalog import open_catalog
from catalog.models import JobKind, JobRow, JobState, RestorationRow, TakeRow
from flows.parts import CLIENT, SERVER

ROOT = Path(__file__).parents[1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--scenes", type=int, default=150)
    arguments.add_argument("--seconds", type=float, default=1.0, help="of each scene")
    arguments.add_argument("--away", type=float, default=60.0, help="seconds without the server")
    arguments.add_argument("--drain", metavar="RESTORATION", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.drain:
        drain(given.drain)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{given.scenes} scenes of {given.seconds:g} s")  # fmt: skip
    alone = measured(given.scenes, given.seconds, 0.0)
    print(f"server left alone:  {alone}")
    cut = measured(given.scenes, given.seconds, given.away)
    print(f"server killed:      {cut}")
    print(
        f"lost: scenes {cut.scenes_s - alone.scenes_s:.1f} s, run {cut.run_s - alone.run_s:.1f} s"
    )


@dataclass(frozen=True)
class Measured:
    """Seconds from the first scene to the last one and to the end of the run, and without a server."""

    scenes_s: float
    run_s: float
    away_s: float
    state: str

    def __str__(self) -> str:
        return (
            f"scenes {self.scenes_s:.1f} s, run {self.run_s:.1f} s and {self.state}, "
            f"server away for {self.away_s:.1f} s"
        )


def drain(restoration_id: str) -> None:
    """In a process of its own: the flow, as a worker runs it."""
    plug_in()
    from flows.deployed import drain as drain_flow

    drain_flow(restoration_id)


def measured(scenes: int, seconds: float, away: float) -> Measured:
    """Run a drain, with the server killed for `away` seconds in the middle."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/catalog.sqlite"
        settings = queue(folder, url, scenes, seconds)
        server = Server(folder / "server")
        server.start()
        try:
            environment = {**server.client, "RESTAR_HOME": str(settings.home), "RESTAR_DATABASE": url,
                           "RESTAR_THREADS": "1"}  # fmt: skip
            with open_catalog(url) as catalog, catalog.read() as session:
                restoration_id = session.scalars(select(RestorationRow.id)).one()
            argv = [sys.executable, "-m", "benchmarks.outage", "--drain", restoration_id]
            process = subprocess.Popen(argv, cwd=ROOT, env=environment)
            while done(url) < 1:
                assert process.poll() is None, "the drain ended early"
                time.sleep(0.05)
            began, away_s = time.monotonic(), 0.0
            if away:
                time.sleep(min(5.0, scenes * seconds / 4))
                killed = time.monotonic()
                server.kill()
                time.sleep(away)
                server.start()
                away_s = time.monotonic() - killed
            status = process.wait()
            run_s = time.monotonic() - began
            assert status == 0, f"the drain ended with status {status}"
            assert done(url) == scenes, f"{done(url)} of {scenes} scenes are done"
            with open_catalog(url) as catalog, catalog.read() as session:
                ends = select(func.min(TakeRow.made_at), func.max(TakeRow.made_at))
                first, last = session.execute(ends).one()
            return Measured((last - first).total_seconds(), run_s, away_s, server.last_state())
        finally:
            server.kill()


def done(url: str) -> int:
    """How many restores are done; each in its first try, or the figure is worth nothing."""
    with open_catalog(url) as catalog, catalog.read() as session:
        restores = (JobRow.kind == JobKind.RESTORE, JobRow.state == JobState.DONE)
        query = select(func.count(), func.max(JobRow.attempt)).where(*restores)
        count, tries = session.execute(query).one()
    assert not count or tries == 1, "a scene was done twice"
    return int(count)


class Server:
    """Prefect's server as `restar up` starts it, to be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        inherited = {k: v for k, v in os.environ.items() if "PREFECT" not in k}
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.client = {**inherited, **CLIENT, "PREFECT_API_URL": self.url,
                       "PREFECT_HOME": str(home / "client")}  # fmt: skip

    def start(self) -> None:
        argv = [sys.executable, "-m", "flows.server", "127.0.0.1", str(self.port), str(self.home)]
        environment = {**self.client, **SERVER, "PREFECT_HOME": str(self.home)}
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while not self.answers():
            assert self.process.poll() is None, (self.home / "log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        try:
            return bool(httpx.get(f"{self.url}/health", timeout=1).is_success)
        except httpx.HTTPError:
            return False

    def last_state(self) -> str:
        (run,) = httpx.post(f"{self.url}/flow_runs/filter", json={}, timeout=30).json()
        return str(run["state_type"])


if __name__ == "__main__":
    main()
