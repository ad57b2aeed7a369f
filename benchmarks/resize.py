"""Frames a second of `resize`, in both lights: python -m benchmarks.resize

Decoding and encoding are left out. The figures in docs/plugins.md are this program's table.
"""

import itertools
import time

import av

from media.format import ColourTags, VideoFormat
from media.synthetic import moving_pictures
from restar.timeline import FrameRange
from restorers import StepContext
from restorers.resize import Resize

SIZES = ((240, 136), (1920, 1080))
SECONDS = 4.0


def main() -> None:
    """Print the table."""
    print("| source | light | out | frames/s |")
    print("| --- | --- | --- | ---: |")
    for (width, height), pix_fmt, light in itertools.product(
        SIZES, ("yuv420p", "yuv422p10le"), ("gamma", "linear")
    ):
        colour = ColourTags("bt709", "tv", "bt709", "bt709")
        video = VideoFormat(width, height, pix_fmt, colour=colour)
        rate = frames_a_second(video, light)
        size = f"{2 * width}x{2 * height}"
        print(f"| {width}x{height} {pix_fmt} | {light} | {size} | {rate:.1f} |", flush=True)


def frames_a_second(video: VideoFormat, light: str) -> float:
    """Return the rate over at least SECONDS, after two frames that are not counted."""
    member = Resize()
    step = member.resolve({"scale": 2, "light": light}, video)
    context = StepContext(FrameRange(0, 1), step, video, member.output(step, video), seed=0)
    pictures: itertools.cycle[av.VideoFrame] = itertools.cycle(list(moving_pictures(video, 2)))
    frames = member.restore(pictures, context)
    for _ in range(2):
        next(frames)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        next(frames)
        count += 1
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
