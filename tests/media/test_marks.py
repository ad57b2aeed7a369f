"""What frames carry besides pixels: read from each frame, and no frame kept alive by the reading."""

import sys
from collections.abc import Callable
from pathlib import Path

import av

from media.marks import marks_of


def test_reading_the_marks_of_a_frame_leaves_nothing_that_holds_it(
    film: Callable[[str], Path],
) -> None:
    with av.open(str(film("cfr_aac"))) as container:
        frame = next(container.decode(video=0))
    held = sys.getrefcount(frame)
    assert b"x264" in marks_of(frame)["SEI_UNREGISTERED"]
    assert sys.getrefcount(frame) == held
