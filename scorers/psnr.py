"""PSNR to the source: how far a take, brought back to the source's size, is from what was there.

It measures fidelity and not beauty: a take that invents detail gets less than a plain resize. A take
of another size is scaled by area averaging (libswscale, 16 bit), so that what a restorer adds above
the source's resolution averages out and what it changes below does not.
"""

import math
from dataclasses import replace

import av
import numpy as np

from media.convert import deepest, planes, scaled, to_format
from media.format import VideoFormat
from scorers import ScoreSeries

__all__ = ["HIGHEST", "PsnrSession", "PsnrToSource"]

HIGHEST = 100.0


class PsnrToSource:
    """PSNR in dB of each frame, over all samples of all planes but alpha, as ffmpeg's `psnr` has it.

    Both pictures are compared in 16 bit (less where a subsampling has no deeper format) and in the
    source's kind and subsampling. Equal pictures have no finite PSNR, and JSON no infinity: they,
    and whatever comes above it, get HIGHEST.
    """

    name = "psnr-to-source"
    algorithm = 1

    def start(self, source: VideoFormat, take: VideoFormat) -> "PsnrSession":
        """Return the measuring of one take."""
        return PsnrSession(source)


class PsnrSession:
    """The measuring of one take: holds two frames at a time, and a number for each that it saw."""

    def __init__(self, source: VideoFormat) -> None:
        self._target = replace(source, pix_fmt=deepest(source.pix_fmt))
        self._frames: list[int] = []
        self._values: list[float] = []

    def see(self, index: int, source: av.VideoFrame, take: av.VideoFrame) -> None:
        """Measure a pair of frames."""
        wanted = to_format(source, self._target)
        got = to_format(take, self._target)
        if (got.width, got.height) != (source.width, source.height):
            got = scaled(got, source.width, source.height, "area")
        self._frames.append(index)
        self._values.append(_psnr(wanted, got))

    def finish(self) -> ScoreSeries:
        """Return the series; empty where no frame was seen."""
        return ScoreSeries(
            name=PsnrToSource.name,
            unit="dB",
            better="higher",
            frames=tuple(self._frames),
            values=tuple(self._values),
        )


def _psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    error, count = 0, 0
    for a, b in zip(planes(one), planes(other), strict=True):
        difference = np.subtract(a, b, dtype=np.int64).ravel()
        error += int(np.dot(difference, difference))
        count += difference.size
    peak = (1 << max(c.bits for c in one.format.components)) - 1
    return HIGHEST if not error else min(HIGHEST, 10 * math.log10(peak**2 * count / error))
