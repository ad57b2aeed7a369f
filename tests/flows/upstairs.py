"""`restar up` as a process, and Prefect's API as a person's browser uses it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.flows.nursery import until

__all__ = ["Up"]

ROOT = Path(__file__).parents[2]


class Up:
    """A whole installation in a folder; `close` ends it, and fails where something stays behind."""

    def __init__(self, folder: Path, seconds: float = 200, **environment: str) -> None:
        self.folder, self.seconds = folder, seconds
        self.home = folder / "home"
        self.log = folder / "up.log"
        self.port, review = _free_port(), _free_port()
        inherited = {k: v for k, v in os.environ.items() if "PREFECT" not in k}
        self.environment = {
            **inherited,
            "RESTAR_HOME": str(self.home),
            "RESTAR_AGENT": "archive",
            "RESTAR_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        command = ["up", "--port", str(self.port), "--review-port", str(review)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", *command],
                env=self.environment, stdout=log, stderr=log, cwd=folder, start_new_session=True,
            )  # fmt: skip
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api", timeout=30)

    def wait_until_up(self) -> None:
        def there() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return "Ctrl-C ends everything" in self.log.read_text()

        until(there, "everything is up", self.seconds)

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment as Prefect's page does; return its id."""
        found = self.api.get(f"/deployments/name/{deployment}").raise_for_status().json()
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        made = self.api.post(f"/deployments/{found['id']}/create_flow_run", json=asked)
        return str(made.raise_for_status().json()["id"])

    def completed(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run; it has to be completed."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.api.get(f"/flow_runs/{run_id}").json()
            return run if run["state_type"] not in ("SCHEDULED", "PENDING", "RUNNING") else None

        run: dict[str, Any] = until(ended, f"run {run_id} ends", self.seconds)
        assert run["state_type"] == "COMPLETED", run["state"]
        return run

    def wait(self, ready: Callable[[], Any], what: str) -> Any:
        return until(ready, what, self.seconds)

    def all_of(self, what: str) -> list[dict[str, Any]]:
        """Everything of a kind (flow_runs, task_runs, automations, artifacts...) that Prefect knows."""
        found: list[dict[str, Any]] = self.api.post(f"/{what}/filter", json={}).json()
        return found

    def close(self) -> None:
        self.api.close()
        family = [*psutil.Process(self.process.pid).children(recursive=True)]
        os.kill(self.process.pid, signal.SIGINT)
        status = self.process.wait(90)
        assert status == 0, self.log.read_text()
        _, left = psutil.wait_procs(family, timeout=5)
        assert left == [], "processes stayed behind"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
