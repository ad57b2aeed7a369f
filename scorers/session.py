"""What the scorers that come along have in common: sessions that keep a value for each frame.

A series costs 14 bytes a frame while it is measured; whatever else a measure needs of the frames around
one is kept for a window of frames and no longer.
"""

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from media.format import VideoFormat
from scorers import Grid, Metric, ScoreSeries
from scorers.pair import Pair

__all__ = ["CODES", "EVERY", "FrameScorer", "FrameSession", "WindowSession", "rms"]

EVERY = 8  # frames of which one is looked at, by measures of what belongs to a whole take
CODES = 255.0  # what is told in codes is told on the scale of 8 bit
_NOWHERE = 255  # in the place of a tile's row and column
_PLACES = {(row, column): (row, column) for row in range(64) for column in range(64)}
What = TypeVar("What")


class FrameSession(ABC):
    """Keeps values by frame, the worst tile of each and the worst frame's tiles; drops what is no number.

    A subclass records from `see`, or from `finish` what it could only judge when all was seen. `every`:
    how many frames there are for one that is looked at.
    """

    def __init__(self, name: str, about: Metric) -> None:
        self._name, self._about, self.every = name, about, about.every
        self._sign = 1 if about.better == "lower" else -1
        self._frames, self._values = array("i"), array("d")
        self._rows, self._columns = bytearray(), bytearray()
        self._heat: Grid = ()
        self._worst = -math.inf

    @abstractmethod
    def see(self, pair: Pair) -> None:
        """Look at the next pair."""

    def skips(self, index: int, first: int = 0) -> bool:
        """Return whether a frame is passed over; `first` is the first that is not."""
        return index < first or (index - first) % self.every != 0

    def record(self, index: int, value: float, grid: NDArray[np.floating] | None = None) -> None:
        """Keep a frame's value (frames in order), and where a grid of tiles is given, the worst."""
        value = float(value)
        if not math.isfinite(value):
            return
        row = column = _NOWHERE
        if grid is not None and np.isfinite(grid).all():
            row, column = divmod(int(np.argmax(self._sign * grid)), grid.shape[1])
            if self._sign * value > self._worst:
                self._worst = self._sign * value
                self._heat = tuple(tuple(round(float(v), 4) for v in line) for line in grid)
        self._frames.append(index)
        self._values.append(value)
        self._rows.append(row)
        self._columns.append(column)

    def finish(self) -> ScoreSeries:
        """Return the series; empty where the score applied to no frame."""
        complete = _NOWHERE not in self._rows
        tiles = (
            _PLACES[at] for at in zip(self._rows, self._columns, strict=True)
        ) if complete else ()  # fmt: skip
        return ScoreSeries(
            name=self._name,
            unit=self._about.unit,
            better=self._about.better,
            frames=tuple(self._frames),
            values=tuple(self._values),
            tiles=tuple(tiles),
            heat=self._heat,
        )


class WindowSession(FrameSession, Generic[What]):
    """Judges each frame among those up to REACH frames before and after it, and forgets the others.

    What is kept of a frame is given to `keep`; `judge` records.
    """

    REACH: ClassVar[int]

    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._near: dict[int, What] = {}
        self._waiting: list[int] = []

    @abstractmethod
    def judge(self, index: int, near: Mapping[int, What]) -> None:
        """Record a frame's value; `near` has what was kept of it and of the frames around."""

    def keep(self, index: int, what: What) -> None:
        """Keep what is wanted of a frame; those whose window is complete by it are judged."""
        self._near[index] = what
        self._waiting.append(index)
        self._judge_until(index - self.REACH)

    def finish(self) -> ScoreSeries:
        if self._waiting:
            self._judge_until(self._waiting[-1])
        return super().finish()

    def _judge_until(self, last: int) -> None:
        while self._waiting and self._waiting[0] <= last:
            index = self._waiting.pop(0)
            first = index - self.REACH
            self._near = {n: what for n, what in self._near.items() if n >= first}
            near = {n: what for n, what in self._near.items() if n <= index + self.REACH}
            self.judge(index, near)


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
    return math.sqrt(cv2.norm(values, cv2.NORM_L2SQR) / values.size) if values.size else 0.0
