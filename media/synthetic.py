"""Moving pictures out of numbers, for the contract suites of plug-ins: any format, odd times, no file.

The picture is smooth, sharp and noisy at once and moves, so that a lost, doubled, shifted or swapped
frame differs from the right one; PTS are as uneven as those of a film of variable rate.
"""

import hashlib
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from media.convert import from_rgb, planar, planes
from media.format import VideoFormat

__all__ = ["TIME_BASE", "digest", "moving_pictures"]

TIME_BASE = Fraction(1, 90_000)


def moving_pictures(video: VideoFormat, count: int, seed: int = 0) -> Iterator[av.VideoFrame]:
    """Yield `count` frames of `video`'s size, pixel format and tags, made one at a time."""
    y, x = np.mgrid[: video.height, : video.width].astype(np.float32)
    pts = 1234
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        disc = (x - 3 - 2 * number) ** 2 + (y - video.height / 2) ** 2 < 16
        waves = 0.5 + 0.3 * np.sin((x + number) / 5)[..., None] * (1, 0.6, -0.8)
        ramp = 0.2 * (y / max(1, video.height - 1) - 0.5)[..., None] * (-1, 0.5, 1)
        noise = rng.normal(0, 0.02, (video.height, video.width, 3))
        rgb = np.where(disc[..., None], (0.9, 0.8, 0.2), waves + ramp + noise)
        frame = from_rgb(np.clip(rgb, 0, 1), video)
        frame.pts, frame.time_base = pts, TIME_BASE
        pts += 3003 if number % 3 else 4504
        yield frame


def digest(frame: av.VideoFrame) -> str:
    """Return the sha256 of a frame's samples in order, whatever its padding."""
    sha256 = hashlib.sha256(f"{frame.format.name} {frame.width}x{frame.height}".encode())
    for samples in planes(planar(frame)):
        sha256.update(np.ascontiguousarray(samples).data)
    return sha256.hexdigest()
