"""Colour: how far a take's colours are from its source's, and whether they wander."""

from collections.abc import Mapping

import cv2
import numpy as np

from scorers import Metric
from scorers.pair import Pair, Plane, tiles
from scorers.session import FrameScorer, WindowSession

__all__ = ["ColourDrift"]


class _ColourSession(WindowSession[tuple[Plane, Plane]]):
    """Keeps each frame's mean drift, and where it was strongest."""

    REACH = 12
    EVERY = 4

    def see(self, pair: Pair) -> None:
        if pair.index % self.EVERY:
            return
        source, take = (_lab(p) for p in (pair.source_small, pair.take_small))
        drift = tiles(take - source)
        self.keep(pair.index, (drift.mean(axis=(0, 1)), np.linalg.norm(drift, axis=2)))

    def judge(self, index: int, near: Mapping[int, tuple[Plane, Plane]]) -> None:
        mean = np.mean([drift for drift, _ in near.values()], axis=0)
        self.record(index, float(np.linalg.norm(mean)), near[index][1])


class ColourDrift(FrameScorer):
    """The distance between the mean colours of take and source in CIE L*a*b* (dE of 1976).

    |mean of Lab(T) - Lab(S)| over 45-line pictures and 12 frames on each side, so that a flicker which a
    take lost is no drift; R'G'B' taken for sRGB. About 1 is just seen side by side. How it goes along a
    scene is told by its score's `trend` (from first to last frame). Every fourth frame.
    """

    name = "colour-drift"
    algorithm = 3
    about = Metric(
        "mean colour against the source's", "dE", "lower", "0 up; 1 is just seen",
        source="CIE 15:2004", every=_ColourSession.EVERY, cost=0.6,
    )  # fmt: skip
    session = _ColourSession


_TO_XYZ = np.array(  # of linear sRGB, over the white of D65 (IEC 61966-2-1)
    [
        [0.433953, 0.376219, 0.189828],
        [0.212671, 0.715160, 0.072169],
        [0.017758, 0.109477, 0.872765],
    ],
    np.float32,
)
_TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)


def _lab(small: Plane) -> Plane:
    """L*a*b* of R'G'B' at half its size (cv2's own of floats takes ten times as long)."""
    height, width = (max(1, side // 2) for side in small.shape[:2])
    half = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    linear = np.where(half > 0.04045, ((half + 0.055) / 1.055) ** 2.4, half / 12.92)
    xyz = linear.astype(np.float32) @ _TO_XYZ.T
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.asarray(root @ _TO_LAB.T - np.array([16, 0, 0]), np.float32)
