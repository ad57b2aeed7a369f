"""At most so many ffmpeg run on a host, whoever starts them; one that dies leaves nothing held."""

import logging
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from media import ffmpeg, slots
from media.slots import a_slot, free_slot
from restar.errors import UsageError
from tests.flows.nursery import until

SPAWN = multiprocessing.get_context("spawn")
PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=24"]


@pytest.fixture(autouse=True)
def _a_host_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("RESTAR_FFMPEG_AT_ONCE", "2")


def endless() -> subprocess.Popen[bytes]:
    return ffmpeg.start(["-re", *PICTURE, "-f", "null", "-"], "an endless film")


def free() -> int:
    """How many of the two slots nobody holds."""
    held = [one for one in (slots._take_one(2), slots._take_one(2)) if one is not None]
    for one in held:
        os.close(one)
    return len(held)


def one_of_many(log: Path) -> None:
    """A process that runs three short ffmpeg, and notes when each began and ended."""
    for _ in range(3):
        process = ffmpeg.start(["-re", *PICTURE, "-t", "0.3", "-f", "null", "-"], "a short film")
        began = time.monotonic()
        ffmpeg.finish(process, "a short film")
        with log.open("a") as lines:
            lines.write(f"{began} 1\n{time.monotonic()} -1\n")


def test_four_processes_never_have_more_than_two_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [SPAWN.Process(target=one_of_many, args=(log,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    changes = sorted(
        (float(at), int(by)) for at, by in map(str.split, log.read_text().splitlines())
    )
    assert len(changes) == 2 * 4 * 3
    at_work = [sum(by for _, by in changes[: n + 1]) for n in range(len(changes))]
    assert max(at_work) == 2


def die_with_one() -> None:
    endless()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_slot_is_ffmpeg_s_own_not_that_of_the_process_that_started_it(tmp_path: Path) -> None:
    parent = SPAWN.Process(target=die_with_one)
    parent.start()
    parent.join(30)
    assert free() == 1, "its ffmpeg is at work still"
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and holds_lock(entry, tmp_path):
            os.kill(int(entry.name), signal.SIGKILL)
    until(lambda: free() == 2, "the killed ffmpeg's slot is free")


def holds_lock(process: Path, tmp_path: Path) -> bool:
    try:
        return any(
            str(one.readlink()).startswith(str(tmp_path)) for one in (process / "fd").iterdir()
        )
    except OSError:
        return False


def test_who_waits_says_so_and_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_TELL_AFTER_S", 0.0)
    processes = [endless(), endless()]
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="restar.ffmpeg"):
        processes[0].send_signal(signal.SIGSTOP)  # it holds on to its slot
        threading.Timer(0.5, processes[1].kill).start()
        ffmpeg.run([*PICTURE, "-frames:v", "1", "-f", "null", "-"], "one picture")
    assert time.monotonic() - started > 0.5
    assert "one picture: waits for one of 2 ffmpeg to end" in caplog.text
    for process in processes:
        process.kill()
        process.communicate()


def test_what_a_holder_starts_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTAR_FFMPEG_AT_ONCE", "1")
    with a_slot("decoding"):
        assert slots._take_one(1) is None
        with a_slot("decoding within"):
            ffmpeg.run([*PICTURE, "-frames:v", "1", "-f", "null", "-"], "one picture")
        assert slots._take_one(1) is None
    again = free_slot("after")
    assert again is not None
    os.close(again)


def test_without_a_limit_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTAR_FFMPEG_AT_ONCE", "0")
    assert free_slot("anything") is None
    with a_slot("anything"):
        pass
    assert list(tmp_path.glob("*.lock")) == []


def test_a_folder_that_holds_no_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").symlink_to(tmp_path / "away")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="can't be used as a lock"):
        free_slot("anything")
