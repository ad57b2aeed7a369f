"""The ffmpeg program: where it is, and the one place that runs it.

Builders elsewhere return argument lists as data; `run` and `start` execute them without a shell. The
program is the one that imageio-ffmpeg installs, or the one that RESTAR_FFMPEG names.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import imageio_ffmpeg

from media.slots import free_slot
from restar.errors import MediaError, StoreError

__all__ = ["Complaints", "ask", "ffmpeg_program", "file_url", "finish", "run", "start"]

_TAIL = 2000


def ffmpeg_program() -> str:
    """Return the path of the ffmpeg to use; raise MediaError if the named one is not there."""
    named = os.environ.get("RESTAR_FFMPEG")
    if named:
        if not os.access(named, os.X_OK):
            raise MediaError(f"RESTAR_FFMPEG={named}: not a program; unset it, or name an ffmpeg")
        return named
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def file_url(path: Path) -> str:
    """Return a name that ffmpeg takes as a local file, whatever characters it has."""
    return f"file:{path.absolute()}"


def start(
    arguments: Sequence[str],
    doing: str,
    stdin: int | IO[bytes] | None = None,
    stdout: int | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start ffmpeg (in `folder`), quiet but for errors, which `finish` reads.

    First it waits until fewer than RESTAR_FFMPEG_AT_ONCE run on this host. So what is piped into it must
    not come from another ffmpeg that is still to be started.
    """
    argv = [ffmpeg_program(), "-hide_banner", "-nostats", "-v", "error", *arguments]
    return _started(
        argv,
        doing,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.DEVNULL if stdout is None else stdout,
        stderr=subprocess.PIPE,
        cwd=folder,
    )


def finish(process: subprocess.Popen[bytes], doing: str) -> str:
    """Wait for ffmpeg; return what it printed as errors. Raise where it failed, saying at what."""
    _, stderr = process.communicate()
    text = stderr.decode("utf-8", "replace").strip()
    if process.returncode:
        if "No space left on device" in text:
            raise StoreError(f"{doing}: no space left on the device; free some and run it again")
        raise MediaError(f"{doing}: ffmpeg says: {text[-_TAIL:] or process.returncode}")
    return text


def run(arguments: Sequence[str], doing: str, folder: Path | None = None) -> str:
    """Run ffmpeg (in `folder`) to its end; return its standard output as text."""
    process = start(arguments, doing, stdout=subprocess.PIPE, folder=folder)
    stdout, stderr = process.communicate()
    if process.returncode:
        text = stderr.decode("utf-8", "replace").strip()
        raise MediaError(f"{doing}: ffmpeg says: {text[-_TAIL:] or process.returncode}")
    return stdout.decode("utf-8", "replace")


def ask(question: str) -> str:
    """Return what ffmpeg answers to "-version" and the like; it is no work, and waits for nobody."""
    argv = [ffmpeg_program(), "-hide_banner", question]
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise MediaError(f"ffmpeg {question}: {done.stderr.decode('utf-8', 'replace')[-_TAIL:]}")
    return done.stdout.decode("utf-8", "replace")


class Complaints:
    """Passes over files that only read packets; what ffmpeg says meanwhile tells of cut files.

    A demuxer says "File ended prematurely" in its log and nowhere else. The log is read from a
    process of its own: within this one, libav's decoder threads would wait for the interpreter.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._logs: list[IO[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for path in self._paths:
            log = tempfile.TemporaryFile()
            self._logs.append(log)
            whole = ["-i", file_url(path), "-map", "0", "-c", "copy", "-f", "null", "-"]
            argv = [ffmpeg_program(), "-hide_banner", "-nostats", "-nostdin", "-v", "warning"]
            self._processes.append(
                _started(
                    [*argv, "-err_detect", "crccheck", *whole], f"reading {path.name}",
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                )
            )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for log in self._logs:
            log.close()

    def lines(self) -> Iterator[str]:
        """Wait for the passes to end; yield what they said."""
        for process, log in zip(self._processes, self._logs, strict=True):
            process.wait()
            log.seek(0)
            for line in log:
                yield line.decode("utf-8", "replace")


def _started(argv: Sequence[str], doing: str, **how: Any) -> subprocess.Popen[bytes]:
    """Start a process that holds one of the host's slots for as long as it lives."""
    slot = free_slot(doing)
    if slot is None:
        return subprocess.Popen(argv, **how)
    try:
        return subprocess.Popen(argv, pass_fds=(slot,), **how)
    finally:
        os.close(slot)  # ffmpeg has it now
