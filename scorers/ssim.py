"""SSIM to the source: whether a take, brought back to the source's size, has the source's structure."""

import cv2
import numpy as np

from scorers import Metric
from scorers.pair import Pair, Plane, tiles
from scorers.session import EVERY, FrameScorer, FrameSession

__all__ = ["SsimToSource", "ssim_map"]

_C1, _C2 = 0.01**2, 0.03**2


class _SsimSession(FrameSession):
    def see(self, pair: Pair) -> None:
        if self.skips(pair.index):
            return
        found = ssim_map(pair.luma, pair.back)
        self.record(pair.index, float(found.mean()), tiles(found))


class SsimToSource(FrameScorer):
    """Mean structural similarity of luma at the source's size; 1 = the same.

    Wang et al. 2004, equation 13, with a Gaussian of 11 taps and standard deviation 1.5, K1 0.01, K2
    0.03, on luma 0..1. The take is reduced by area averaging. Every eighth frame.
    """

    name = "ssim-to-source"
    algorithm = 2
    about = Metric(
        "fidelity to the source: structure of the take degraded back", "SSIM", "higher", "-1 to 1",
        source="Wang et al. 2004", every=EVERY, cost=0.7,
    )  # fmt: skip
    session = _SsimSession


def ssim_map(one: Plane, other: Plane) -> Plane:
    """Return the SSIM of each pixel of two lumas 0..1 of one size (edges reflect)."""
    if np.array_equal(one, other):
        return np.ones_like(one)
    mean1, mean2 = _blurred(one), _blurred(other)
    product, square1, square2 = mean1 * mean2, mean1 * mean1, mean2 * mean2
    spread = _blurred(one * one + other * other) - square1 - square2
    common = _blurred(one * other) - product
    top = (2 * product + _C1) * (2 * common + _C2)
    return np.asarray(top / ((square1 + square2 + _C1) * (spread + _C2)), np.float32)


def _blurred(picture: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(picture, (11, 11), 1.5), np.float32)
