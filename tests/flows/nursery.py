"""Processes of restar for tests, started in a blink: forked from one that has imported everything.

They are real processes with the real command line, to be killed, stopped and continued; only the two
seconds of importing are spent once instead of for each of them.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Restar", "start", "until"]

_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(
    [
        "cli.app", "cli.console", "flows.agent", "flows.restore", "flows.tend", "flows.finish",
        "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "tests.flows.fakes", __name__,
    ]
)  # fmt: skip


class Restar:
    """A process that runs a command of restar; its messages are in the file `log`."""

    def __init__(self, process: Any, log: Path) -> None:
        self.process, self.log = process, log

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    @property
    def running(self) -> bool:
        return bool(self.process.is_alive())

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.join(30)

    def wait(self, seconds: float = 90) -> int:
        """Return the exit status; fail where it does not end."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"did not end:\n{self.said()}")
        return int(self.process.exitcode)


def start(
    arguments: list[str], environment: dict[str, str], script: dict[str, Any], log: Path
) -> Restar:
    """Start `restar ARGUMENTS...` with a script for tests.flows.fakes."""
    process = _FORK.Process(target=_run, args=(arguments, environment, script, str(log)))
    process.start()
    return Restar(process, log)


def until(ready: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait until something is so; return what `ready` returned."""
    give_up = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < give_up, f"never: {what}"
        time.sleep(0.03)
    return found


def _run(
    arguments: list[str], environment: dict[str, str], script: dict[str, Any], log: str
) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    for name in [name for name in os.environ if name.startswith("RESTAR_")]:
        del os.environ[name]
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)

    from tests.flows.fakes import install

    install(script)
    if arguments == ["tend"]:  # it has no command: Prefect schedules it
        from flows.tend import tend
        from restar.settings import load_settings
        from tasks.house import open_house

        with open_house(load_settings()) as house:
            print(tend(house))
        return
    if arguments[0] == "flow":  # as a worker of Prefect runs it
        from flows.deployed import drain

        print(drain(arguments[1]))
        return
    import cli

    sys.argv = ["restar", *arguments]
    cli.main()
