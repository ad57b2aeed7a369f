"""What the scorers that come along have in common: a session that keeps a value for each frame."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from media.format import VideoFormat
from scorers import Grid, Metric, ScoreSeries
from scorers.pair import Pair

__all__ = ["CODES", "FrameScorer", "FrameSession", "rms"]

CODES = 255.0  # what is told in codes is told on the scale of 8 bit


class FrameSession(ABC):
    """Keeps values by frame, the worst tile of each and the worst frame's tiles; drops what is no number.

    A subclass records from `see`, or from `finish` what it could only judge when all was seen.
    """

    def __init__(self, name: str, about: Metric) -> None:
        self._name, self._about = name, about
        self._sign = 1 if about.better == "lower" else -1
        self._values: dict[int, float] = {}
        self._tiles: dict[int, tuple[int, int]] = {}
        self._heat: Grid = ()
        self._worst = -math.inf

    @abstractmethod
    def see(self, pair: Pair) -> None:
        """Look at the next pair."""

    def record(self, index: int, value: float, grid: NDArray[np.floating] | None = None) -> None:
        """Keep a frame's value, and where a grid of tiles is given, which is the worst."""
        value = float(value)
        if not math.isfinite(value):
            return
        self._values[index] = value
        if grid is None or not np.isfinite(grid).all():
            return
        row, column = np.unravel_index(int(np.argmax(self._sign * grid)), grid.shape)
        self._tiles[index] = (int(row), int(column))
        if self._sign * value > self._worst:
            self._worst = self._sign * value
            self._heat = tuple(tuple(round(float(v), 4) for v in line) for line in grid)

    def finish(self) -> ScoreSeries:
        """Return the series; empty where the score applied to no frame."""
        frames = tuple(sorted(self._values))
        complete = len(self._tiles) == len(frames)
        return ScoreSeries(
            name=self._name,
            unit=self._about.unit,
            better=self._about.better,
            frames=frames,
            values=tuple(self._values[frame] for frame in frames),
            tiles=tuple(self._tiles[frame] for frame in frames) if complete else (),
            heat=self._heat,
        )


class FrameScorer:
    """A scorer that says what it is, and starts its session."""

    name: ClassVar[str]
    algorithm: ClassVar[int] = 1
    about: ClassVar[Metric]
    session: ClassVar[type[FrameSession]]

    def start(self, source: VideoFormat, take: VideoFormat) -> FrameSession:
        """Return the measuring of one take."""
        return self.session(self.name, self.about)


def rms(values: NDArray[np.floating]) -> float:
    """Return the root of the mean of squares."""
    return math.sqrt(float(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0
