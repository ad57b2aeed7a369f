"""The ffmpeg program: where it is, and the one place that runs it.

Builders elsewhere return argument lists as data; `run` and `start` execute them without a shell. The
program is the one that imageio-ffmpeg installs, or the one that RESTAR_FFMPEG names.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from restar.errors import MediaError, StoreError

__all__ = ["complaints", "ffmpeg_program", "file_url", "finish", "run", "start"]

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
    stdin: int | IO[bytes] | None = None,
    stdout: int | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start ffmpeg (in `folder`), quiet but for errors, which `finish` reads."""
    argv = [ffmpeg_program(), "-hide_banner", "-nostats", "-v", "error", *arguments]
    return subprocess.Popen(
        argv,
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
    process = start(arguments, stdout=subprocess.PIPE, folder=folder)
    stdout, stderr = process.communicate()
    if process.returncode:
        text = stderr.decode("utf-8", "replace").strip()
        raise MediaError(f"{doing}: ffmpeg says: {text[-_TAIL:] or process.returncode}")
    return stdout.decode("utf-8", "replace")


def complaints(path: Path) -> subprocess.Popen[bytes]:
    """Start a pass that only reads packets; what it prints as errors tells of a cut file.

    A demuxer says "File ended prematurely" in its log and nowhere else. The log is read from a
    process of its own: within this one, libav's decoder threads would wait for the interpreter.
    """
    whole = ["-i", file_url(path), "-map", "0", "-c", "copy", "-f", "null", "-"]
    return start(["-err_detect", "crccheck", *whole])
