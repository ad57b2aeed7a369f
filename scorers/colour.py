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

    def see(self, pair: Pair) -> None:
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
    scene is told by its score's `trend` (from first to last frame).
    """

    name = "colour-drift"
    algorithm = 2
    about = Metric(
        "mean colour against the source's", "dE", "lower", "0 up; 1 is just seen",
        source="CIE 15:2004", cost=1.2,
    )  # fmt: skip
    session = _ColourSession


def _lab(small: Plane) -> Plane:
    height, width = (max(1, side // 2) for side in small.shape[:2])
    half = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(half, cv2.COLOR_RGB2Lab), np.float32)
