"""Where one shot ends and the next begins: PySceneDetect on our own frames.

PySceneDetect reads a film through its `VideoStream` contract. Here that stream is the one decode of
ingest, made small, so the film is never opened a second time and a cut is an exact frame number.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import scenedetect
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode, SceneManager
from scenedetect.video_stream import VideoStream

from catalog.shots import latest_shot_list, save_shot_list, scenes_of
from media.format import VideoFormat
from restar.errors import CatalogError, UsageError
from restar.film import Scene
from restar.timeline import parse_scenes
from tasks.house import House

__all__ = [
    "DETECTOR",
    "ShotSettings",
    "detect_scenes",
    "merged",
    "save_edit",
    "shots_of",
    "split_at",
]

DETECTOR = f"PySceneDetect {scenedetect.__version__} AdaptiveDetector"
# It logs an error of our frames as "Fatal error" on its own; the error itself reaches the user.
logging.getLogger("pyscenedetect").addHandler(logging.NullHandler())
_WIDTH = 256  # pixels; cuts show as well in small pictures as in large ones


@dataclass(frozen=True)
class ShotSettings:
    """AdaptiveDetector's parameters, and the least length of a scene in seconds."""

    adaptive_threshold: float = 3.0
    min_content_val: float = 15.0
    window_width: int = 2
    min_scene_seconds: float = 0.6

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def detect_scenes(
    frames: Iterator[av.VideoFrame], video: VideoFormat, rate: Fraction, settings: ShotSettings
) -> list[Scene]:
    """Take in every frame of a film; return its scenes, which hold each frame exactly once."""
    stream = _FrameStream(frames, video, rate)
    manager = SceneManager()
    manager.auto_downscale = False
    manager.downscale = 1
    manager.add_detector(
        AdaptiveDetector(
            adaptive_threshold=settings.adaptive_threshold,
            min_scene_len=max(1, round(rate * Fraction(settings.min_scene_seconds))),
            window_width=settings.window_width,
            min_content_val=settings.min_content_val,
        )
    )
    manager.detect_scenes(stream)
    cuts = [cut.frame_num for cut in manager.get_cut_list(show_warning=False)]
    return _between([0, *cuts], stream.frame_number)


def shots_of(house: House, film_id: str) -> tuple[int, list[Scene]]:
    """Return the newest version of a film's shot list, and its scenes."""
    with house.catalog.read() as session:
        row = latest_shot_list(session, film_id)
        if row is None:
            raise CatalogError(f"film {film_id[:12]}: has no shot list; ingest it again")
        return row.version, list(scenes_of(session, row.id))


def save_edit(house: House, film_id: str, scenes: list[Scene], how: str, note: str) -> int:
    """Save scenes that a person changed as a new version; return its number.

    Raises UsageError where the scenes do not hold every frame of the film exactly once.
    """
    with house.catalog.begin() as session:
        before = latest_shot_list(session, film_id)
        row = save_shot_list(
            session,
            film_id,
            scenes,
            detector="by hand",
            parameters={"edit": how},
            made_by=house.who,
            note=note,
            parent=before.id if before else None,
        )
        return row.version


def merged(scenes: list[Scene], numbers: str) -> list[Scene]:
    """Return scenes with the named ones, which must follow each other, made one."""
    wanted = parse_scenes(numbers)
    if len(wanted) < 2 or list(wanted) != list(range(wanted[0], wanted[-1] + 1)):
        raise UsageError(f"--merge {numbers}: name two or more scenes that follow each other")
    if wanted[-1] > len(scenes):
        raise UsageError(f"--merge {numbers}: the film has scenes 1-{len(scenes)}")
    inside = {scenes[n - 1].start for n in wanted[1:]}
    return _between([s.start for s in scenes if s.start not in inside], scenes[-1].end)


def split_at(scenes: list[Scene], frames: str) -> list[Scene]:
    """Return scenes with further ones beginning at the named frames (from 0)."""
    wanted = {number for number in parse_scenes(frames) if number}
    starts = {scene.start for scene in scenes}
    for frame in sorted(wanted):
        if frame >= scenes[-1].end:
            raise UsageError(f"--split {frame}: the film's last frame is {scenes[-1].end - 1}")
        if frame in starts:
            raise UsageError(f"--split {frame}: a scene begins there already")
    return _between(sorted(starts | wanted), scenes[-1].end)


def _between(starts: list[int], end: int) -> list[Scene]:
    bounds = [*starts, end]
    return [Scene(n, a, b) for n, (a, b) in enumerate(pairwise(bounds), start=1)]


class _FrameStream(VideoStream):  # type: ignore[misc]
    """Frames that are decoded elsewhere, as PySceneDetect reads them: small, BGR, 8 bit."""

    BACKEND_NAME = "restar"

    def __init__(self, frames: Iterator[av.VideoFrame], video: VideoFormat, rate: Fraction) -> None:
        self._frames = frames
        self._rate = rate
        shrink = min(1.0, _WIDTH / video.width)
        self._size = (max(2, round(video.width * shrink)), max(2, round(video.height * shrink)))
        self._count = 0

    def read(self, decode: bool = True) -> NDArray[np.uint8] | bool:
        frame = next(self._frames, None)
        if frame is None:
            return False
        self._count += 1
        if not decode:
            return True
        width, height = self._size
        small = frame.reformat(width, height, "bgr24", interpolation="AREA", threads=1)
        return np.asarray(small.to_ndarray(), dtype=np.uint8)

    @property
    def path(self) -> str:
        return ""

    @property
    def name(self) -> str:
        return "frames of ingest"

    @property
    def is_seekable(self) -> bool:
        return False

    @property
    def frame_rate(self) -> Fraction:
        return self._rate

    @property
    def duration(self) -> FrameTimecode | None:
        return None

    @property
    def frame_size(self) -> tuple[int, int]:
        return self._size

    @property
    def aspect_ratio(self) -> float:
        return 1.0

    @property
    def position(self) -> FrameTimecode:
        return FrameTimecode(max(0, self._count - 1), self._rate)

    @property
    def position_ms(self) -> float:
        return float(max(0, self._count - 1) / self._rate * 1000)

    @property
    def frame_number(self) -> int:
        return self._count

    def reset(self) -> None:
        raise NotImplementedError("the frames of an ingest pass come once")

    def seek(self, target: Any) -> None:
        raise NotImplementedError("the frames of an ingest pass come once")
