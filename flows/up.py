"""`restar up`: everything on one machine, and none of it left behind.

The server is started first; then the work pools, the automations and all deployments of
prefect.yaml are put there, always the same, however often; then the workers and the review room. A
part that ends by itself is started again, a few times. On Ctrl-C, or when this process is killed, all
parts end, and with them whatever they have started: workers first, whose agents hand back what they
hold, the server last.
"""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import psutil

from flows.parts import HEARTBEAT_S, Part, project_folder
from restar.errors import EngineError

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

__all__ = ["Running", "automations", "up"]

_log = logging.getLogger("restar.up")

_START_S = 300.0
_GRACE_S = 40.0
_RESTARTS, _WITHIN_S = 5, 600.0
_PR_SET_PDEATHSIG = 1
Told = Callable[[str], None]


@dataclass
class Running:
    """A part that runs, and its log."""

    part: Part
    process: "subprocess.Popen[bytes]"
    log: Path
    restarts: list[float] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def up(
    parts: Sequence[Part],
    logs: Path,
    *,
    told: Told,
    stop: threading.Event,
    gpu_limit: int = 1,
) -> None:
    """Run the parts until `stop` is set; the first is the server.

    `told` hears lines for a person. Raises EngineError where the server does not come up, or a part
    ends again and again.
    """
    logs.mkdir(parents=True, exist_ok=True)
    server, *others = parts
    _refuse_taken_ports(parts)
    running: list[Running] = []
    try:
        running.append(_start(server, logs))
        told("starting Prefect's server")
        _wait_for_server(running[0], stop)
        if not stop.is_set():
            told("deploying the flows of prefect.yaml")
            _set_up(server, gpu_limit)
            _deploy(others[0], logs)
        if not stop.is_set():
            running += [_start(part, logs) for part in others]
            for part in parts:
                if part.room:
                    told(f"{part.name}: {part.room}")
            told("up; Ctrl-C ends everything")
        while not stop.wait(0.5):
            for one in running:
                if not one.alive:
                    _start_again(one, logs, told)
    finally:
        told("stopping; agents hand back what they hold")
        _stop_all(running)


def _start(part: Part, logs: Path) -> Running:
    path = logs / f"{part.name}.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            part.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=part.folder,
            env=dict(part.environment),
            start_new_session=True,  # a Ctrl-C is for this process, which ends them in order
            preexec_fn=_die_with_parent,  # noqa: PLW1509  only one thread, and two system calls
        )
    return Running(part, process, path)


def _die_with_parent() -> None:
    """In the child: hear signals again, and SIGTERM when the parent is killed (Linux)."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _start_again(one: Running, logs: Path, told: Told) -> None:
    now = time.monotonic()
    one.restarts = [at for at in one.restarts if now - at < _WITHIN_S]
    if len(one.restarts) >= _RESTARTS:
        raise EngineError(f"{one.part.name} ended {_RESTARTS} times in a row: {_tail(one.log)}")
    status = one.process.returncode
    told(f"{one.part.name} ended by itself (status {status}, see {one.log}); starting it again")
    one.restarts.append(now)
    one.process = _start(one.part, logs).process


def _wait_for_server(server: Running, stop: threading.Event) -> None:
    give_up = time.monotonic() + _START_S
    opener = build_opener(ProxyHandler({}))
    url = server.part.environment["PREFECT_API_URL"] + "/health"
    while time.monotonic() < give_up:
        if not server.alive:
            raise EngineError(f"Prefect's server did not start: {_tail(server.log)}")
        with suppress(URLError, OSError, TimeoutError), opener.open(url, timeout=2) as answer:
            if answer.status == 200:
                return
        if stop.wait(0.5):
            return
    raise EngineError(f"Prefect's server did not start within {_START_S:g} s; see {server.log}")


def _set_up(server: Part, gpu_limit: int) -> None:
    """Make pools and automations what they have to be; they may be there already."""
    with _talking_to(server):
        from prefect import get_client
        from prefect.client.schemas.actions import (
            WorkPoolCreate,
            WorkPoolUpdate,
        )
        from prefect.exceptions import ObjectAlreadyExists

        with get_client(sync_client=True) as client:
            for name, limit in (("cpu", None), ("gpu", gpu_limit)):
                try:
                    pool = WorkPoolCreate(name=name, type="process", concurrency_limit=limit)
                    client.create_work_pool(pool)
                except ObjectAlreadyExists:
                    client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))
            have = {one.name for one in client.read_automations()}
            for automation in automations():
                if automation.name not in have:
                    client.create_automation(automation)


def automations() -> list["AutomationCore"]:
    """Return the automations: runs that are dead without having said so, and runs that come late.

    A run sends a heartbeat each 30 s. It is taken for dead after five without one: the least that is
    safe is three, or a busy host's runs are killed (PrefectHQ/prefect, docs on zombie runs).
    """
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.server.schemas.states import StateType

    ended = [f"prefect.flow-run.{state}" for state in
             ("Completed", "Failed", "Cancelled", "Crashed", "Cancelling")]  # fmt: skip
    return [
        AutomationCore(
            name="restar: a run without a heartbeat has crashed",
            description="Its jobs are taken over by their leases, whatever becomes of the run.",
            trigger=EventTrigger(
                after={"prefect.flow-run.heartbeat"},
                expect={"prefect.flow-run.heartbeat", *ended},
                match={"prefect.resource.id": "prefect.flow-run.*"},
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=5 * HEARTBEAT_S),
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED, message="No heartbeat: its host or process is gone."
                )
            ],
        ),
        AutomationCore(
            name="restar: tending that comes late is dropped",
            description="Where no worker was there for a while; the next minute's run does all of it.",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Late"},
                match={"prefect.resource.id": "prefect.flow-run.*"},
                match_related={
                    "prefect.resource.role": "flow",
                    "prefect.resource.name": "tend",
                },
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                ChangeFlowRunState(state=StateType.CANCELLED, message="The next one does it.")
            ],
        ),
    ]


def _deploy(worker: Part, logs: Path) -> None:
    argv = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    folder = project_folder()
    # prefect.yaml takes the clone from PWD, which says where the user's shell is
    environment = {**worker.environment, "PWD": str(folder)}
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=_START_S,
    )  # fmt: skip
    log = logs / "deploy.log"
    log.write_bytes(done.stdout)
    if done.returncode:
        raise EngineError(f"prefect.yaml could not be deployed: {_tail(log)}")


@contextmanager
def _talking_to(server: Part) -> Iterator[None]:
    """Let this process's client talk to the server, whatever the user's own settings are."""
    wanted = {k: v for k, v in server.environment.items()
              if k.startswith("PREFECT_") or k == "NO_PROXY"}  # fmt: skip
    before = {k: v for k, v in os.environ.items() if k.startswith("PREFECT_") or k == "NO_PROXY"}
    for name in before:
        del os.environ[name]
    os.environ.update(wanted)
    try:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
        yield
    finally:
        for name in wanted:
            os.environ.pop(name, None)
        os.environ.update(before)


def _stop_all(running: Sequence[Running]) -> None:
    """End all parts and what they started: workers first, the server last; kill what stays."""
    server, others = running[:1], list(running[1:])
    for group in (others, server):
        families = {one.part.name: _family(one.process.pid) for one in group}
        for one in group:
            if one.alive:
                one.process.terminate()
        # a worker's runs are processes of their own, and agents have to hear it; other parts end
        # what they started themselves
        for name, members in families.items():
            for process in members[1:] if name.startswith("worker") else ():
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
        family = [process for members in families.values() for process in members]
        family += [process for one in group for process in _family(one.process.pid)]
        _, left = psutil.wait_procs(set(family), timeout=_GRACE_S)
        for process in left:
            _log.warning("%s does not end; it is killed", process.pid)
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)
        for one in group:
            with suppress(subprocess.TimeoutExpired):
                one.process.wait(5)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def _refuse_taken_ports(parts: Sequence[Part]) -> None:
    for part in parts:
        host, _, port = part.room.removeprefix("http://").rpartition(":")
        if not port.isdigit():
            continue
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, int(port)))
            except OSError as error:
                option = "--port" if part.name == "server" else "--review-port"
                raise EngineError(
                    f"port {port} can't be used for {part.name} ({error.strerror}): is `restar up` "
                    f"running already? Else choose another by {option}"
                ) from None


def _tail(log: Path) -> str:
    with suppress(OSError):
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return f"{' / '.join(lines[-3:])} ({log})"
    return str(log)
