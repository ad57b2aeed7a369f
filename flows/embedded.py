"""Prefect flows inline in one process, with a server that nobody has to start or stop.

`with embedded_prefect(home): some_flow()` runs flows against a server process of its own
(`flows.embedded_server`) on a free loopback port, with its database in `home`. The time from a
command to the first line of its flow is import time: about 4 s of CPU in the server and 2 s here.
So the server starts first, while this process imports (`start_early` before anything else), and on
a new home its database is filled in one step. Prefect's own ephemeral mode does one after the
other, with every migration, and prints tracebacks at exit.

Where PREFECT_API_URL is set, or PREFECT_PROFILE names a profile that has one, that server is used
and none is started. Prefect is imported only inside functions; its variables are set before.
"""

import atexit
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, cast

from restar.errors import EngineError

__all__ = ["Engine", "embedded_prefect", "start_early"]

_log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_STOP_S = 90.0
_FLUSH_S = 30.0
_KEPT_LOGS = 40

# Settings that hold for both processes. A user's own value of one of these wins.
_COMMON = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_SETTINGS_PATH": str(_HERE / "prefect_logging.json"),
}

# What an inline run needs of a server: the API, task runs from events, and leases that expire.
_SERVER = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    # One transaction for 25 events: 500 tasks are stored 0.5 s after the last, not 17 s.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "25",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "30",
}

# A dead server on this machine does not come back: give up after 6 s, not after 62.
_OWN_SERVER = {"PREFECT_CLIENT_MAX_RETRIES": "2"}

# What a first flow run would otherwise import after the server is ready.
_IMPORTED_BY_A_FIRST_RUN = (
    "prefect.main",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "fastapi.encoders",
)

# A user's variables that would send this process elsewhere while it talks to its own server.
_FOREIGN = ("PREFECT_API_KEY", "PREFECT_PROFILE")


@contextmanager
def embedded_prefect(home: Path, engine: "Engine | None" = None) -> Iterator["Engine"]:
    """Run the flows of the block against a server for this block, or against the user's own.

    `home` is a folder for Prefect alone (database, results, logs); it is made. `engine` is what
    `start_early(home)` returned, where the caller could start it sooner. For synchronous callers.

    Raises EngineError where the server does not start, or stops before the block has ended.
    """
    engine = engine or start_early(home)
    try:
        engine.connect()
        with _run_settings(engine):
            try:
                yield engine
            except Exception as error:
                if engine.alive:
                    raise
                raise engine.failure("stopped during the run") from error
            finally:
                if engine.alive:
                    _flush()
    finally:
        engine.stop()


def start_early(home: Path) -> "Engine":
    """Start the server, if one is needed, and return without waiting for it.

    Call it before Prefect or anything large is imported: both processes then import at once. Its
    environment variables hold until `stop`, which `embedded_prefect` and the end of the process
    call. Raises EngineError where `home` can't be written.
    """
    return Engine(home)


class Engine:
    """A server on its way up, or at work; `ready` and `wait` are for a caller's spinner."""

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self.owner = os.getpid()
        self._process: subprocess.Popen[str] | None = None
        self.own = not _names_a_server(os.environ)
        """Whether this engine's server is its own, not one that the user named."""
        self._told = threading.Event()
        self._port: int | None = None
        self._serving = False
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{self.owner}"
        self.log = self._home / "logs" / f"{stem}-server.log"
        """File of the server's own messages."""
        self.client_log = self.log.with_name(f"{stem}-client.log")
        """File of what Prefect says in this process, from INFO."""
        self._environment = _Environment()
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _prune(self.log.parent)
            if self.own:
                self._start()
        except OSError as error:
            raise EngineError(
                f"The flow engine can't use its folder {self._home}: {error}. "
                "Make it writable, or run with --plain, without the engine."
            ) from error
        self._environment.default(_COMMON)
        self._environment.set({"PREFECT_LOGGING_HANDLERS_FILE_FILENAME": str(self.client_log)})
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        """Whether the server still runs; always true of a server that the user named."""
        return not self.own or (self._process is not None and self._process.poll() is None)

    def ready(self) -> bool:
        """Whether flows can start now. Raises EngineError where the server has failed."""
        if self.own and self._told.is_set() and not self._serving:
            raise self.failure("did not start")
        return not self.own or self._serving

    def wait(self) -> None:
        """Block until `ready`. Raises EngineError where the server fails or takes too long."""
        limit = float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"])
        if self.own and not self._told.wait(limit):
            raise self.failure(f"did not start within {limit:g} s")
        self.ready()

    def connect(self) -> None:
        """Import Prefect, wait for the server and direct this process's flows to it."""
        fresh = "prefect.main" not in sys.modules
        for name in _IMPORTED_BY_A_FIRST_RUN:
            import_module(name)
        from prefect.context import refresh_global_settings_context
        from prefect.logging.configuration import setup_logging

        self.wait()
        if self.own:
            self._environment.set({"PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api"})
        refresh_global_settings_context()
        if not fresh:
            setup_logging(incremental=False)

    def stop(self) -> None:
        """Let the server write what it has received, and end it; give the environment back."""
        if os.getpid() != self.owner:
            return
        atexit.unregister(self.stop)
        if self._process is not None:
            status = _end(self._process)
            self._process = None
            if self._serving and status != 0:
                _log.warning(
                    "Prefect's history of this run may lack task runs (server status %s, see %s). "
                    "The catalog is complete.",
                    status,
                    self.log,
                )
        if self._environment.restore() and "prefect.context" in sys.modules:
            sys.modules["prefect.context"].refresh_global_settings_context()

    def failure(self, what: str) -> EngineError:
        """Return the error that says `what` went wrong, with the end of the server's log."""
        with suppress(OSError):
            tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])
        return EngineError(
            f"The flow engine {what}. Its log, {self.log}, ends:\n{tail}\n"
            "--plain runs the same work without the engine."
        )

    def _start(self) -> None:
        password = f"restar:{secrets.token_urlsafe(24)}"
        home = {"PREFECT_HOME": str(self._home)}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        command = [sys.executable, "-P", str(_HERE / "embedded_server.py"), str(self._home)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._home,
                env=inherited | _SERVER | home | {"PREFECT_SERVER_API_AUTH_STRING": password},
                # A Ctrl-C is for this process, which still has to tell the server how it ended.
                start_new_session=True,
            )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self._environment.remove(_FOREIGN)
        self._environment.set(
            home | _OWN_SERVER | {"PREFECT_API_AUTH_STRING": password} | _past_proxies()
        )

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        with cast("IO[str]", process.stdout) as lines:
            for line in lines:
                word, _, number = line.strip().partition(" ")
                if word == "port":
                    self._port = int(number)
                elif word == "ready":
                    self._serving = True
                    self._told.set()
        self._told.set()


class _Environment:
    """Changes to os.environ that can be taken back."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def set(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def default(self, variables: Mapping[str, str]) -> None:
        self.set({name: value for name, value in variables.items() if name not in os.environ})

    def remove(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._before.setdefault(name, os.environ.pop(name, None))

    def restore(self) -> bool:
        """Take all changes back; return whether there were any."""
        changed = bool(self._before)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
        return changed


def _end(process: "subprocess.Popen[str]") -> int | None:
    """Ask the server to finish; return its exit status, None if it had to be killed."""
    # The word, since a process forked from this one may keep the pipe open.
    with suppress(BrokenPipeError), cast("IO[str]", process.stdin) as pipe:
        pipe.write("stop\n")
    try:
        return process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


@contextmanager
def _run_settings(engine: Engine) -> Iterator[None]:
    """Send no heartbeats to a server that nobody watches: they delay each flow's end by up to 1 s.

    No variable can say so, since Prefect reads an empty one as an invalid number.
    """
    if not engine.own:
        yield
        return
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _flush() -> None:
    """Send the events and log lines that Prefect's background threads still hold."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=_FLUSH_S)


def _names_a_server(environment: Mapping[str, str]) -> bool:
    """Whether the user has named a server by PREFECT_API_URL or by PREFECT_PROFILE."""
    if environment.get("PREFECT_API_URL"):
        return True
    name = environment.get("PREFECT_PROFILE")
    if not name:
        return False
    home = Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(environment.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        profiles = tomllib.loads(path.read_text("utf-8")).get("profiles", {})
    except FileNotFoundError:
        return False
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise EngineError(
            f"PREFECT_PROFILE={name}, but {path} can't be read: {error}. "
            "Correct it, or unset PREFECT_PROFILE to use the built-in engine."
        ) from error
    return bool(profiles.get(name, {}).get("PREFECT_API_URL"))


def _past_proxies() -> dict[str, str]:
    """Return NO_PROXY, in each spelling that is in use, with the loopback address added."""
    names = {"NO_PROXY", *({"no_proxy"} & os.environ.keys())}
    return {
        name: ",".join(filter(None, [os.environ.get(name), "127.0.0.1"])) for name in sorted(names)
    }


def _prune(folder: Path) -> None:
    """Keep the newest log files; the names begin with the time."""
    for old in sorted(folder.glob("*.log"))[:-_KEPT_LOGS]:
        with suppress(FileNotFoundError):
            old.unlink()
