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
from scorers import Metric
from scorers.pair import Pair, tiles
from scorers.session import FrameScorer, FrameSession

__all__ = ["HIGHEST", "PsnrSession", "PsnrToSource"]

HIGHEST = 100.0


class PsnrToSource(FrameScorer):
    """PSNR in dB of each frame, over all samples of all planes but alpha, as ffmpeg's `psnr` has it.

    Both pictures are compared in 16 bit (less where a subsampling has no deeper format) and in the
    source's kind and subsampling. Equal pictures have no finite PSNR, and JSON no infinity: they,
    and whatever comes above it, get HIGHEST.
    """

    name = "psnr-to-source"
    about = Metric(
        "fidelity to the source: the take degraded back against it", "dB", "higher", "0 to 100",
        source="ffmpeg's psnr filter",
    )  # fmt: skip

    def start(self, source: VideoFormat, take: VideoFormat) -> "PsnrSession":
        """Return the measuring of one take."""
        return PsnrSession(self.name, self.about, source)


class PsnrSession(FrameSession):
    """The measuring of one take; the worst tile is that of luma."""

    def __init__(self, name: str, about: Metric, source: VideoFormat) -> None:
        super().__init__(name, about)
        self._target = replace(source, pix_fmt=deepest(source.pix_fmt))

    def see(self, pair: Pair) -> None:
        """Measure a pair of frames."""
        wanted = to_format(pair.source, self._target)
        got = to_format(pair.take, self._target)
        if not pair.same_size:
            got = scaled(got, wanted.width, wanted.height, "area")
        errors = np.maximum(tiles(np.square(pair.residual)), 10 ** (-HIGHEST / 10))
        self.record(pair.index, _psnr(wanted, got), -10 * np.log10(errors))


def _psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    error, count = 0, 0
    for a, b in zip(planes(one), planes(other), strict=True):
        difference = np.subtract(a, b, dtype=np.int64).ravel()
        error += int(np.dot(difference, difference))
        count += difference.size
    peak = (1 << max(c.bits for c in one.format.components)) - 1
    return HIGHEST if not error else min(HIGHEST, 10 * math.log10(peak**2 * count / error))
