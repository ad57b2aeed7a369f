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
        found = self._asked("GET", f"/deployments/name/{deployment}")
        wanted = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        made = self._asked("POST", f"/deployments/{found['id']}/create_flow_run", wanted)
        return str(made["id"])

    def _asked(self, method: str, path: str, content: Any = None) -> dict[str, Any]:
        """Ask the API; 503 says that its database is busy, and is asked again, as clients do."""

        def answer() -> httpx.Response | None:
            got = self.api.request(method, path, json=content)
            return None if got.status_code == 503 else got

        got: httpx.Response = until(answer, f"an answer of {path}", 60)
        data: dict[str, Any] = got.raise_for_status().json()
        return data

    def completed(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run; it has to be completed."""

        def ended() -> dict[str, Any] | None:
            run = self._asked("GET", f"/flow_runs/{run_id}")
            return run if run["state_type"] not in ("SCHEDULED", "PENDING", "RUNNING") else None

        run: dict[str, Any] = until(ended, f"run {run_id} ends", self.seconds)
        assert run["state_type"] == "COMPLETED", run["state"]
        return run

    def wait(self, ready: Callable[[], Any], what: str) -> Any:
        return until(ready, what, self.seconds)

    def all_of(self, what: str) -> list[dict[str, Any]]:
        """Everything of a kind (flow_runs, task_runs, automations, artifacts...) that Prefect knows."""
        found: Any = self._asked("POST", f"/{what}/filter", {})
        return list(found)

    def events(self) -> set[str]:
        """The names of the events that restar emitted."""
        since = {"since": "2020-01-01T00:00:00Z", "until": "2120-01-01T00:00:00Z"}
        asked = {
            "filter": {"occurred": since, "event": {"exclude_prefix": ["prefect."]}},
            "limit": 50,
        }
        found = self._asked("POST", "/events/filter", asked)
        return {event["event"] for event in found["events"]}

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
