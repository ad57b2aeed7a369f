"""Colour: how far a take's colours are from its source's, and whether they wander."""

import cv2
import numpy as np

from scorers import Metric
from scorers.pair import Pair, tiles
from scorers.session import FrameScorer, FrameSession

__all__ = ["ColourDrift"]


class _ColourSession(FrameSession):
    def see(self, pair: Pair) -> None:
        source, take = (
            cv2.cvtColor(p, cv2.COLOR_RGB2Lab) for p in (pair.source_small, pair.take_small)
        )
        drift = tiles(take - source)
        value = float(np.linalg.norm(drift.mean(axis=(0, 1))))
        self.record(pair.index, value, np.linalg.norm(drift, axis=2))


class ColourDrift(FrameScorer):
    """The distance between the mean colours of take and source in CIE L*a*b* (dE of 1976).

    |mean of Lab(T) - Lab(S)| over 90-line pictures, R'G'B' taken for sRGB. About 1 is just seen side
    by side. A trend over the scene is told by its score's `trend` (from first to last frame).
    """

    name = "colour-drift"
    about = Metric(
        "mean colour against the source's", "dE", "lower", "0 up; 1 is just seen",
        source="CIE 15:2004",
    )  # fmt: skip
    session = _ColourSession
