"""Memory of STAR at work: what is predicted beside what is measured, and that length costs nothing.

    python -m benchmarks.star_memory [--lengths]

Each line is a process of its own that restores a scene of random pictures by star-tiny (x4) and is
watched from outside, with its children. What is predicted is for scenes longer than a window (16
frames); the last case, of one window, takes less. `--lengths` compares scenes of 64 and 200 frames.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from media.format import VideoFormat
from restorers import restorer
from restorers.star.options import checked
from restorers.star.settle import predicted
from restorers.star.weights import chosen_weights

Case = tuple[int, int, int, dict[str, int]]  # width, height, frames, options
CASES: tuple[Case, ...] = (
    (120, 90, 24, {}),
    (240, 136, 24, {}),
    (240, 136, 24, {"window": 8}),
    (320, 240, 40, {}),
    (320, 240, 24, {"tile": 512}),
    (320, 240, 16, {}),
)
LENGTHS: tuple[Case, ...] = ((96, 64, 64, {}), (96, 64, 200, {}))

_WORK = """
import json, sys
from restorers import StepContext, restorer
from restar.timeline import FrameRange
from media.format import VideoFormat
from media.synthetic import moving_pictures
from restar.memory import share_arenas
share_arenas()
width, height, frames = map(int, sys.argv[1:4])
video = VideoFormat(width, height, "yuv420p")
star = restorer("star")
step = star.resolve({"model": "star-tiny", "scale": 4, **json.loads(sys.argv[4])}, video)
context = StepContext(FrameRange(0, frames), step, video, star.output(step, video), 0, "film enlarged x4")
for frame in star.restore(moving_pictures(video, frames), context):
    pass
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", action="store_true")
    cases = LENGTHS if parser.parse_args().lengths else CASES
    print("| source | frames | options | predicted MiB | measured MiB | ratio |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for width, height, frames, options in cases:
        found = measured(width, height, frames, options)
        told = prediction(width, height, options)
        print(f"| {width}x{height} | {frames} | {options or ''} | {told >> 20} | {found >> 20} "
              f"| {told / found:.2f} |", flush=True)  # fmt: skip


def prediction(width: int, height: int, options: dict[str, int]) -> int:
    video = VideoFormat(width, height, "yuv420p")
    step = restorer("star").resolve({"model": "star-tiny", "scale": 4, **options}, video)
    chosen = checked(step.options)
    return predicted(chosen, chosen_weights(chosen, Path("none")), video)


def measured(width: int, height: int, frames: int, options: dict[str, int]) -> int:
    """The most bytes that the process and its children held, looked at every 20 ms."""
    given = [str(width), str(height), str(frames), json.dumps(options)]
    process = subprocess.Popen([sys.executable, "-c", _WORK, *given])
    seen, most = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            tree = [seen, *seen.children(recursive=True)]
            most = max(most, sum(one.memory_info().rss for one in tree))
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.02)
    assert process.returncode == 0
    return most


if __name__ == "__main__":
    main()
