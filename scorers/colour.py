"""Colour: how far a take's colours are from its source's, and whether they wander."""

import cv2
import numpy as np

from scorers import Metric, ScoreSeries
from scorers.pair import Pair, Plane, tiles
from scorers.session import FrameScorer, FrameSession

__all__ = ["ColourDrift"]


_NEAR = 12  # frames on each side over which colours are averaged


class _ColourSession(FrameSession):
    """Keeps each frame's mean drift, and where it was strongest."""

    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._drifts: dict[int, tuple[Plane, Plane]] = {}

    def see(self, pair: Pair) -> None:
        source, take = (
            cv2.cvtColor(p, cv2.COLOR_RGB2Lab) for p in (pair.source_small, pair.take_small)
        )
        drift = tiles(take - source)
        self._drifts[pair.index] = drift.mean(axis=(0, 1)), np.linalg.norm(drift, axis=2)

    def finish(self) -> ScoreSeries:
        for index, (_, grid) in self._drifts.items():
            near = range(index - _NEAR, index + _NEAR + 1)
            drifts = [self._drifts[n][0] for n in near if n in self._drifts]
            self.record(index, float(np.linalg.norm(np.mean(drifts, axis=0))), grid)
        return super().finish()


class ColourDrift(FrameScorer):
    """The distance between the mean colours of take and source in CIE L*a*b* (dE of 1976).

    |mean of Lab(T) - Lab(S)| over 90-line pictures and 12 frames on each side, so that a flicker which a
    take lost is no drift; R'G'B' taken for sRGB. About 1 is just seen side by side. How it goes along a
    scene is told by its score's `trend` (from first to last frame).
    """

    name = "colour-drift"
    about = Metric(
        "mean colour against the source's", "dE", "lower", "0 up; 1 is just seen",
        source="CIE 15:2004",
    )  # fmt: skip
    session = _ColourSession
