"""Does memory grow with a film's length? Peak memory of a long and of a short film, side by side.

    python -m benchmarks.memory [--minutes 1 20] [--size 320x180] [--recipe identity] [--engine]

Films are generated (test pattern with a cut every few seconds, and sound). The peak is that of the
whole process tree, ffmpeg and the flow engine's server included: proportional set size, summed over
its processes, looked at 20 times a second. Prints a row for each film and the ratio of the peaks.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from media.ffmpeg import ffmpeg_program

ROOT = Path(__file__).parents[1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--minutes", type=float, nargs="+", default=[1, 20])
    arguments.add_argument("--size", default="320x180")
    arguments.add_argument("--recipe", default="identity")
    arguments.add_argument("--engine", action="store_true", help="as flows, not --plain")
    given = arguments.parse_args()
    print("| film | frames | seconds | peak MiB |\n| --- | ---: | ---: | ---: |")
    peaks = []
    for minutes in given.minutes:
        with tempfile.TemporaryDirectory(prefix="restar-memory-") as folder:
            film = Path(folder) / "film.mkv"
            make_film(film, minutes, given.size)
            began = time.monotonic()
            peak = peak_of(film, Path(folder), given.recipe, given.engine)
            seconds = time.monotonic() - began
        peaks.append(peak)
        print(f"| {minutes:g} min {given.size} | {round(minutes * 60 * 24)} | {seconds:.1f} "
              f"| {peak / 2**20:.1f} |", flush=True)  # fmt: skip
    print(f"\nlongest / shortest: {peaks[-1] / peaks[0]:.3f}")


def make_film(path: Path, minutes: float, size: str) -> None:
    """Make a film of `minutes` at 24 a second that turns over to another hue every 10 s."""
    seconds = minutes * 60
    picture = f"testsrc2=s={size}:r=24:d={seconds},hue=h=120*floor(t/10)"
    command = [
        ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", picture,
        "-f", "lavfi", "-i", f"sine=r=48000:d={seconds}", "-map", "0", "-map", "1",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac",
        str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def peak_of(film: Path, folder: Path, recipe: str, engine: bool) -> int:
    """Restore a film in a process of its own; return the peak of its tree in bytes."""
    command = [sys.executable, "-m", "cli", "restore", str(film), "--recipe", recipe,
               "-o", str(folder / "out"), *([] if engine else ["--plain"])]  # fmt: skip
    env = {**os.environ, "RESTAR_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("wb") as log:
        process = psutil.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_bytes(process))
            time.sleep(0.05)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    return peak


def tree_bytes(process: psutil.Process) -> int:
    """Return the proportional set size of a process and all below it."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            try:
                total += one.memory_full_info().pss
            except psutil.Error:
                continue
    except psutil.Error:
        return total
    return total


if __name__ == "__main__":
    main()
