"""`restar review` as its users give it: a process with a helper beside it, that leave together."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Restar


def get(address: str, path: str, data: bytes | None = None) -> bytes:
    with urllib.request.urlopen(address + path, data, timeout=20) as answer:  # noqa: S310
        return bytes(answer.read())


def until(what: str, seconds: float, holds: object) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not after {seconds} s"
        time.sleep(0.1)


@pytest.fixture
def room(
    restar: Restar, scenes: Path, tmp_path: Path, home: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    restar("restore", "--plain", "--recipe", "identity", "-o", tmp_path / "out", scenes)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "review", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "RESTAR_HOME": str(home)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip().rstrip("/")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def test_the_helper_makes_proxies_and_leaves_with_the_room(
    room: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = room
    until("the room opens", 30, lambda: b"scenes.mp4" in get(address, "/"))
    rid = get(address, "/").split(b'"/r/')[1].split(b"/")[0].decode()
    get(address, f"/r/{rid}/scene/2/proxies", b"")
    state = f"/r/{rid}/scene/2/sides"
    until("the proxies are made", 60, lambda: len(json.loads(get(address, state))["sides"]) == 2)
    (helper,) = psutil.Process(process.pid).children()
    assert helper.nice() >= os.nice(0) + 10  # pages come first
    assert b"proxy" not in get(address, "/queue").split(b"Failed")[1].split(b"Under way")[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in {0, 130}
    until("the helper leaves", 30, lambda: not helper.is_running())
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_a_room_that_is_killed_takes_its_helper_along(
    room: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = room
    until("the room opens", 30, lambda: get(address, "/queue"))
    (helper,) = psutil.Process(process.pid).children()
    process.kill()
    until("the helper leaves", 30, lambda: not helper.is_running())


def test_where_it_can_t_listen_it_says_so(restar: Restar) -> None:
    answer = restar("review", "--host", "0.0.0.0", fails=True)  # noqa: S104
    assert answer.status == 2
    assert "listens on this machine only" in answer.err
    assert "ssh -L" in answer.err
    from review.server import listen

    taken = listen("127.0.0.1", 0)
    answer = restar("review", "--port", taken.getsockname()[1], fails=True)
    taken.close()
    assert answer.status == 2
    assert "choose another by --port" in answer.err
