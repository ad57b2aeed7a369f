"""PSNR to the source: how far a take, brought back to the source's size, is from what was there.

It measures fidelity and not beauty: a take that invents detail gets less than a plain resize. A take
of another size is scaled by area averaging, so that what a restorer adds above the source's resolution
averages out and what it changes below does not.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import assumed, deepest, planar, planes, scaled, to_format
from media.format import VideoFormat
from media.pixfmt import layout_of
from scorers import Metric
from scorers.pair import Pair, tiles
from scorers.session import EVERY, FrameScorer, FrameSession

__all__ = ["HIGHEST", "PsnrSession", "PsnrToSource"]

HIGHEST = 100.0


class PsnrToSource(FrameScorer):
    """PSNR in dB of each frame, over all samples of all planes but alpha, as ffmpeg's `psnr` has it.

    Both pictures are compared on the scale of 16 bit (less where a subsampling has no deeper format)
    and in the source's kind and subsampling. Equal pictures have no finite PSNR, and JSON no
    infinity: they, and whatever comes above it, get HIGHEST. Every eighth frame.
    """

    name = "psnr-to-source"
    algorithm = 3
    about = Metric(
        "fidelity to the source: the take degraded back against it", "dB", "higher", "0 to 100",
        source="ffmpeg's psnr filter", every=EVERY, cost=0.3,
    )  # fmt: skip

    def start(self, source: VideoFormat, take: VideoFormat) -> "PsnrSession":
        """Return the measuring of one take."""
        return PsnrSession(self.name, self.about, source)


class PsnrSession(FrameSession):
    """The measuring of one take; the worst tile is that of luma."""

    def __init__(self, name: str, about: Metric, source: VideoFormat) -> None:
        super().__init__(name, about)
        self._target = replace(source, pix_fmt=deepest(source.pix_fmt))
        self._peak = float((1 << layout_of(self._target.pix_fmt).bits) - 1)

    def see(self, pair: Pair) -> None:
        """Measure a pair of frames, or pass over it."""
        if self.skips(pair.index):
            return
        differences = self._of_one_kind(pair) if _one_kind(pair) else self._converted(pair)
        error, count = 0.0, 0
        for plane in differences:
            error += cv2.norm(plane, cv2.NORM_L2SQR)
            count += plane.size
        found = HIGHEST if not error else min(HIGHEST, 10 * math.log10(count / error))
        tiled = np.maximum(tiles(np.square(pair.residual)), 10 ** (-HIGHEST / 10))
        self.record(pair.index, found, -10 * np.log10(tiled))

    def _of_one_kind(self, pair: Pair) -> Iterator[NDArray[np.floating]]:
        """Differences as parts of the peak, of formats that differ in depth at most."""
        limited = assumed(pair.formats[0]).range == "tv"
        deep = layout_of(self._target.pix_fmt).bits
        unit = (1 << (deep - 8)) / self._peak
        yield pair.residual * np.float32(219 * unit if limited else 1)
        sides = [planes(planar(frame))[1:3] for frame in (pair.source, pair.take)]
        bits = [layout_of(frame.format.name).bits for frame in (pair.source, pair.take)]
        units = [
            np.float32((1 << (deep - b)) / self._peak if limited else 1 / ((1 << b) - 1))
            for b in bits
        ]
        for source, take in zip(*sides, strict=True):
            one, other = source.astype(np.float32), take.astype(np.float32)
            if one.shape != other.shape:
                other = cv2.resize(other, one.shape[::-1], interpolation=cv2.INTER_AREA)
            yield other * units[1] - one * units[0]

    def _converted(self, pair: Pair) -> Iterator[NDArray[np.floating]]:
        """Differences as parts of the peak, of any two formats, in the source's kind."""
        wanted = to_format(pair.source, self._target)
        got = to_format(pair.take, self._target)
        if not pair.same_size:
            got = scaled(got, wanted.width, wanted.height, "area")
        for one, other in zip(planes(wanted), planes(got), strict=True):
            yield np.subtract(other, one, dtype=np.float64) / self._peak


def _one_kind(pair: Pair) -> bool:
    """Whether both are Y'CbCr or gray of one subsampling and range: nothing has to be converted."""
    one, other = (layout_of(video.pix_fmt) for video in pair.formats)
    ranges = {assumed(video).range for video in pair.formats}
    return one.kind != "rgb" and not one.alpha and one[::2] == other[::2] and len(ranges) == 1
