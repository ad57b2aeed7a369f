"""Pairs of frames for tests of scorers: R'G'B' pictures in, what a session sees out."""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import from_rgb
from media.format import ColourTags, VideoFormat
from scorers import Pair, Scorer, ScoreSeries

__all__ = ["COUNT", "VIDEO", "moving", "pairs", "scored", "twice"]

Picture = NDArray[np.float32]
VIDEO = VideoFormat(192, 108, "yuv420p", colour=ColourTags("bt709", "tv", "bt709", "bt709"))
COUNT = 20


def moving(count: int = COUNT, seed: int = 0, size: tuple[int, int] = (192, 108)) -> list[Picture]:
    """A textured picture over which a camera drifts, and a disc that moves through it."""
    width, height = size
    random = np.random.default_rng(seed)
    world = np.zeros((height + 80, width + 120, 3), np.float32)
    for sigma, weight in ((1.2, 0.5), (3, 1.0), (9, 2.0)):
        layer = random.standard_normal(world.shape).astype(np.float32)
        layer = cv2.GaussianBlur(layer, (0, 0), sigma)
        world += weight * layer / layer.std()
    world = 0.5 + 0.16 * world / world.std()
    for _ in range(12):
        corner = random.integers((0, 0), (width + 80, height + 40))
        colour = random.uniform(0.1, 0.9, 3)
        cv2.rectangle(world, corner.tolist(), (corner + random.integers(8, 40, 2)).tolist(),
                      colour.tolist(), -1)  # fmt: skip
    made = []
    for n in range(count):
        picture = world[10 + n : 10 + n + height, 20 + 2 * n : 20 + 2 * n + width].copy()
        cv2.circle(picture, (30 + 4 * n, height // 2), 12, (0.9, 0.8, 0.2), -1, cv2.LINE_AA)
        made.append(np.clip(picture, 0.03, 0.97).astype(np.float32))
    return made


def twice(pictures: Iterable[Picture]) -> list[Picture]:
    """Pictures of twice the size."""
    return [
        cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).clip(0, 1) for p in pictures
    ]


def pairs(source: Sequence[Picture], take: Sequence[Picture]) -> Iterator[Pair]:
    """Pairs of 8 bit frames, each made when it is asked for: one forgets the pairs long before it."""
    formats = (video_of(source), video_of(take))
    before = None
    for index, pictures in enumerate(zip(source, take, strict=True)):
        frames = [from_rgb(p.clip(0, 1), v) for p, v in zip(pictures, formats, strict=True)]
        before = Pair(index, frames[0], frames[1], formats, before)
        yield before


def video_of(pictures: Sequence[Picture]) -> VideoFormat:
    height, width = pictures[0].shape[:2]
    return VideoFormat(width, height, VIDEO.pix_fmt, colour=VIDEO.colour)


def scored(member: Scorer, source: Sequence[Picture], take: Sequence[Picture]) -> ScoreSeries:
    """What a scorer says of a take."""
    session = member.start(video_of(source), video_of(take))
    for pair in pairs(source, take):
        session.see(pair)
    return session.finish()
