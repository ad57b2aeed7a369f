"""`restar up` as a process, and Prefect's API as a person's browser uses it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

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
            "PWD": str(folder),  # as of a shell that is not in the clone
            "RESTAR_AGENT": "archive",
            "RESTAR_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        command = ["up", "--port", str(self.port), "--review-port", str(review), "--gpus", "2"]
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

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.asked("GET", f"/deployments/name/{name}")
        return found

    def run(self, deployment: str, state: str = "SCHEDULED", **parameters: Any) -> str:
        """Start a run of a deployment as Prefect's page does; return its id."""
        wanted = {"parameters": parameters, "state": {"type": state}}
        place = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        return str(self.asked("POST", place, wanted)["id"])

    def emit(self, event: str, resource: str, **payload: Any) -> None:
        """Send an event as any program may that knows where the server is."""
        self.asked("POST", "/events", [{
            "id": str(uuid4()), "event": event, "occurred": datetime.now(UTC).isoformat(),
            "resource": {"prefect.resource.id": resource}, "payload": payload,
        }])  # fmt: skip

    def server(self) -> psutil.Process:
        """The process of Prefect's server."""
        family = psutil.Process(self.process.pid).children()
        (found,) = [one for one in family if "flows.server" in one.cmdline()]
        return found

    @contextmanager
    def paused(self, pool: str) -> Iterator[None]:
        """No run of a work pool is started inside the block."""
        self.asked("PATCH", f"/work_pools/{pool}", {"is_paused": True})
        try:
            yield
        finally:
            self.asked("PATCH", f"/work_pools/{pool}", {"is_paused": False})

    def asked(self, method: str, path: str, content: Any = None) -> Any:
        """Ask the API; a server that is busy (503) or away is asked again, as clients do."""

        def answer() -> httpx.Response | None:
            try:
                got = self.api.request(method, path, json=content)
            except httpx.TransportError:
                return None
            return None if got.status_code == 503 else got

        got: httpx.Response = until(answer, f"an answer of {path}", 60)
        return got.raise_for_status().json() if got.content else None

    def completed(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run; it has to be completed."""

        def ended() -> dict[str, Any] | None:
            run = self.asked("GET", f"/flow_runs/{run_id}")
            return run if run["state_type"] not in ("SCHEDULED", "PENDING", "RUNNING") else None

        run: dict[str, Any] = until(ended, f"run {run_id} ends", self.seconds)
        assert run["state_type"] == "COMPLETED", run["state"]
        return run

    def state_of(self, run_id: str) -> str:
        return str(self.asked("GET", f"/flow_runs/{run_id}")["state_type"])

    def wait(self, ready: Callable[[], Any], what: str) -> Any:
        return until(ready, what, self.seconds)

    def all_of(self, what: str, only: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Everything of a kind (flow_runs, task_runs, automations, artifacts...) that Prefect knows."""
        return list(self.asked("POST", f"/{what}/filter", only or {}))

    def events(self) -> set[str]:
        """The names of the events that restar emitted."""
        since = {"since": "2020-01-01T00:00:00Z", "until": "2120-01-01T00:00:00Z"}
        asked = {
            "filter": {"occurred": since, "event": {"exclude_prefix": ["prefect."]}},
            "limit": 50,
        }
        found = self.asked("POST", "/events/filter", asked)
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
