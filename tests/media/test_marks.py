"""What frames carry besides pixels: read from each frame, and no frame kept alive by the reading."""

import gc
from collections.abc import Callable
from pathlib import Path

import av

from media.marks import marks_of


def test_a_frame_whose_marks_were_read_is_freed_at_once(film: Callable[[str], Path]) -> None:
    path = film("cfr_aac")
    gc.collect()
    gc.disable()  # what is freed now is freed without the collector
    try:
        with av.open(str(path)) as container:
            seen = [marks_of(frame) for frame in container.decode(video=0)]
        alive = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert len(seen) > 10
    assert b"x264" in seen[0]["SEI_UNREGISTERED"]
    assert alive <= 1
