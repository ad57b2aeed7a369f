"""What each measure costs: processor time of one process for each frame that it looks at, alone.

    python -m benchmarks.metrics [NAME...]

A source of 640x360 and its plain resize to 1280x720, generated; all that a measure wants of a frame is
made for it alone, so that together they cost less (benchmarks.scoring). `restar metrics` shows these.
"""

import sys
import time
from dataclasses import replace

import av
import cv2

from media.format import ColourTags, VideoFormat
from media.synthetic import moving_pictures
from restar.errors import RestarError
from restar.plugins import plugin_names
from scorers import Pair, scorer
from tasks.score import plainly

SOURCE = VideoFormat(640, 360, "yuv420p", colour=ColourTags("bt709", "tv", "bt709", "bt709"))
TAKE = replace(SOURCE, width=1280, height=720)
FRAMES, SOME = 24, 2


def main() -> None:
    """Print milliseconds by measure."""
    cv2.setNumThreads(1)
    frames = [(frame, plainly(frame, SOURCE, TAKE)) for frame in moving_pictures(SOURCE, FRAMES)]
    for name in sys.argv[1:] or plugin_names("scorers"):
        member = scorer(name)
        count = SOME if member.about.sampled else FRAMES
        try:
            seconds = min(_seconds(name, frames[:count]) for _ in range(3))
        except RestarError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name}: {1000 * seconds / count:.1f} ms")


def _seconds(name: str, frames: list[tuple[av.VideoFrame, av.VideoFrame]]) -> float:
    session = scorer(name).start(SOURCE, TAKE)
    before = None
    began = time.process_time()
    for index, (source, take) in enumerate(frames):
        before = Pair(index, source, take, (SOURCE, TAKE), before)
        session.see(before)
    session.finish()
    return time.process_time() - began


if __name__ == "__main__":
    main()
