"""The parts of `restar up`, as data: which process is started how, with which settings of the engine.

The settings are those that matter (docs/deploy.md says why), so that nobody has to know them: leases of
limits that outlive a crash of the server, heartbeats from which a dead run is known, nothing sent to
anybody.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from restar.errors import EngineError

__all__ = ["CLIENT", "HEARTBEAT_S", "SERVER", "Part", "parts_of", "project_folder"]

HEARTBEAT_S = 30

CLIENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "PREFECT_CLIENT_MAX_RETRIES": "10",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
"""For every process that talks to the server: workers, runs, `prefect deploy`."""

SERVER = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # of a busy host's SQLite
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "25",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "5",
}
"""For the server alone."""

_FOREIGN = ("PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING")


@dataclass(frozen=True)
class Part:
    """A process of `restar up`. `room` is where its page is, if it has one."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    room: str = ""


def project_folder() -> Path:
    """Return the folder in which the flows and prefect.yaml lie; raise EngineError without them."""
    folder = Path(__file__).parents[1]
    if not (folder / "prefect.yaml").is_file():
        raise EngineError(
            f"{folder}: holds no prefect.yaml; `restar up` runs from a clone of restar's repository "
            "(pip install -e .)"
        )
    return folder


def parts_of(
    home: Path, host: str, port: int, review_port: int, cpu_limit: int, gpu_limit: int
) -> list[Part]:
    """Return the parts in the order in which they start; the server is the first.

    `home` is the server's own folder. The limits are how many runs a worker has at once. The review
    room is a part where this installation has it.
    """
    folder = project_folder()
    api = f"http://{host}:{port}/api"
    inherited = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
    client = {
        **inherited,
        **{k: v for k, v in CLIENT.items() if k not in os.environ},
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), host])),
        "PYTHONUNBUFFERED": "1",
    }
    server = {**client, **SERVER, "PREFECT_UI_API_URL": api}
    prefect = (sys.executable, "-m", "prefect")
    start = (sys.executable, "-m", "flows.server", host, str(port), str(home))
    parts = [Part("server", start, server, folder, f"http://{host}:{port}")]
    for pool, limit in (("cpu", cpu_limit), ("gpu", gpu_limit)):
        worker = ("worker", "start", "--pool", pool, "--type", "process")
        argv = (*prefect, *worker, "--name", f"restar-{pool}", "--limit", str(limit))
        parts.append(Part(f"worker-{pool}", argv, client, folder))
    if importlib.util.find_spec("cli.review") is not None:
        room = ("cli", "review", "--host", host, "--port", str(review_port))
        parts.append(
            Part(
                "review",
                (sys.executable, "-m", *room),
                inherited,
                folder,
                f"http://{host}:{review_port}",
            )
        )
    return parts
