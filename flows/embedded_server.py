"""The process that answers the embedded Prefect API: one port, one SQLite file, one parent.

`flows.embedded` runs this file as a script. It is not Prefect's own ephemeral server because that
one runs about 100 migrations on a new home (12 s of CPU), is cut off at exit while it still writes
(which loses task runs and prints tracebacks) and outlives a parent that is killed. This one

- tells its port at once, so that nobody races for a free one, and "ready" when it serves;
- creates its database from `prefect_schema.json`, which is what Prefect's migrations leave behind
  (`python -m flows.embedded_server schema > flows/prefect_schema.json` makes it again), and runs
  Prefect's own migrations whenever the installed Prefect or the database is of another version;
- leaves when its parent says "stop", closes the pipe or is gone, after it has written every event
  that it received.

It imports nothing of this project: it starts while the parent still imports, and start-up time is
import time. Prefect has no public word for "all received events are stored", so `_settled` reads
the counters of its in-memory bus.
"""

import asyncio
import gc
import importlib.metadata
import json
import logging
import os
import select
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypedDict

if TYPE_CHECKING:
    import uvicorn

__all__ = ["INCOMPLETE", "main", "migrated_schema", "prepare_database"]

INCOMPLETE = 3
"""Exit status when events were still unwritten at the end of the time allowed."""

_SCHEMA = Path(__file__).with_name("prefect_schema.json")
_LIMIT_S = 60.0
_LIMIT_ORPHANED_S = 10.0


class Schema(TypedDict):
    """A new database: the SQL that makes it, and the Prefect version and revision it is of."""

    prefect: str
    revision: str
    statements: list[str]


def main() -> None:
    """Serve until the parent is done; `argv` is the home, or `schema` to print a new schema."""
    if sys.argv[1] == "schema":
        print(json.dumps(migrated_schema(), indent=1))
        return
    # A quarter of the start is garbage collection of modules that stay for good.
    gc.disable()
    parent = _Parent()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    parent.tell(f"port {listener.getsockname()[1]}")
    prepare_database(Path(sys.argv[1]))
    status = asyncio.run(_serve(listener, parent))
    sys.stderr.flush()
    os._exit(status)


async def _serve(listener: socket.socket, parent: "_Parent") -> int:
    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                gc.freeze()
                gc.enable()
                parent.tell("ready")

    server = Server(uvicorn.Config(create_app(), log_config=None, access_log=False, lifespan="on"))
    stop = asyncio.Event()
    parent.when_done(asyncio.get_running_loop(), stop.set)
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    settled = await _settled(server, _LIMIT_ORPHANED_S if parent.gone else _LIMIT_S)
    # What the recorder still holds, fewer events than one batch, it writes as it stops.
    failures = _Failures()
    logging.getLogger("prefect.server.services.task_run_recorder").addHandler(failures)
    server.should_exit = True
    await serving
    if not server.started:
        return 1
    return INCOMPLETE if failures.seen or not settled else 0


async def _settled(server: "uvicorn.Server", limit_s: float) -> bool:
    """Wait until, for 0.1 s, no request is open and no event waits; return False at the limit."""
    from prefect.server.utilities.messaging.memory import METRICS

    events = METRICS["events"]
    end = time.monotonic() + limit_s
    quiet = 0
    while quiet < 5:
        if server.should_exit or time.monotonic() > end:
            return False
        busy = server.server_state.tasks or events["published"] > events["consumed"]
        quiet = 0 if busy else quiet + 1
        await asyncio.sleep(0.02)
    return True


class _Failures(logging.Handler):
    """Remembers whether an error was logged."""

    seen = False

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        self.seen = True


def prepare_database(home: Path) -> None:
    """Bring `home/prefect.db` to the installed Prefect's schema; processes take turns.

    Nothing is done, and no lock taken, where the file is at that schema already.
    """
    database = home / "prefect.db"
    schema: Schema = json.loads(_SCHEMA.read_text("utf-8"))
    if _is_current(database, schema):
        return
    from filelock import FileLock

    with FileLock(home / "prefect.lock"):
        _create(database, schema)
        if not _is_current(database, schema):
            _migrate()


def _is_current(database: Path, schema: Schema) -> bool:
    if not database.exists() or importlib.metadata.version("prefect") != schema["prefect"]:
        return False
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        return _tables(connection) > 0 and _revision(connection) == schema["revision"]


def _create(database: Path, schema: Schema) -> None:
    """Fill an empty database in one transaction; leave any other as it is."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        # Two servers that switch a new file to WAL at the same time would fail as "locked".
        connection.execute("PRAGMA journal_mode = WAL")
        if _tables(connection):
            return
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema["statements"]:
            connection.execute(statement)
        connection.execute("COMMIT")


def _migrate() -> None:
    from prefect.server.database import provide_database_interface

    asyncio.run(provide_database_interface().create_db())


def _tables(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
    ).fetchone()
    return int(count)


def _revision(connection: sqlite3.Connection) -> str | None:
    known = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    if connection.execute(known).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def migrated_schema() -> Schema:
    """Return the schema that the installed Prefect's own migrations make (about 15 s)."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = folder
        os.environ.pop("PREFECT_API_DATABASE_CONNECTION_URL", None)
        os.environ.pop("PREFECT_SERVER_DATABASE_CONNECTION_URL", None)
        _migrate()
        with closing(sqlite3.connect(Path(folder) / "prefect.db")) as connection:
            statements = [line for line in connection.iterdump() if line not in _TRANSACTION]
            revision = _revision(connection)
    if revision is None:
        raise RuntimeError("Prefect's migrations left no revision in alembic_version")
    return {
        "prefect": importlib.metadata.version("prefect"),
        "revision": revision,
        "statements": statements,
    }


_TRANSACTION = ("BEGIN TRANSACTION;", "COMMIT;")


class _Parent:
    """The process that started this one: lines to it on stdout, its life and its word on stdin.

    End of file on stdin means that it has closed the pipe or was killed. A process that it forked
    may still hold the pipe open, so its process id is looked at as well. PR_SET_PDEATHSIG is no
    substitute: it fires when the *thread* that started us ends.
    """

    gone = False

    def __init__(self) -> None:
        self._id = os.getppid()
        self._callback: Callable[[], object] = lambda: os._exit(0)
        self._lock = threading.Lock()
        self._lines: TextIO = os.fdopen(os.dup(1), "w", encoding="ascii")
        os.dup2(2, 1)
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def tell(self, line: str) -> None:
        print(line, file=self._lines, flush=True)

    def when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Call `callback` in `loop` once the parent is done; until now the process just left."""
        with self._lock:
            self._callback = lambda: loop.call_soon_threadsafe(callback)

    def _watch(self) -> None:
        word: list[int] = []
        while not word and os.getppid() == self._id:
            word, _, _ = select.select([0], [], [], 1.0)
        self.gone = not word or not os.read(0, 16)
        with self._lock:
            self._callback()


if __name__ == "__main__":
    main()
