"""The light of a film's frames: how bright each is, and how it changes for all of the picture at once.

A grid of samples is summed over the cells of a picture, exactly, since a flicker may be half a level.
What follows from that is worked out for many frames together: measuring goes along with decoding, and may
cost little beside it.
"""

from functools import lru_cache
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FRAME", "Light"]

FRAME = np.dtype([(name, "<f4") for name in ("mean", "spread", "change", "turn", "stray")])

Cells = NDArray[np.float64]

_GRID = (12, 9)  # cells in which a change of brightness has to be seen to be the whole picture's
_JUMP = 14.0  # levels of a jump (a cut, most likely), on the mean over the cells
_DARK = 8.0  # levels: what is darker is taken for as dark where parts of a level are meant
_TOGETHER = 64  # frames


class Light:
    """Writes a record (FRAME) of each frame to a file; the last ones at `flush`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._last: Cells | None = None
        self._levels: NDArray[np.float64] | None = None  # of the two frames before those that wait
        self._waiting: list[Cells] = []
        self._numbers: list[tuple[float, float, float, float]] = []

    def see(self, thin: NDArray[Any], zero: float, gain: float) -> bool:
        """Take the samples (h, w) of the next frame; return whether its light jumped.

        A level, 0..255, is (sample - zero) * gain.
        """
        mean, spread = cv2.meanStdDev(thin)
        cells = _cells(thin)
        jumped = False
        if self._last is not None and self._last.shape != cells.shape:
            self.flush()  # another size: what was before can't be compared
            self._levels = None
        elif self._last is not None:
            apart = cv2.norm(cells, self._last, cv2.NORM_L1) * gain
            jumped = apart > _JUMP * cells.size
        self._last = cells
        self._waiting.append(cells)
        self._numbers.append((float(mean[0, 0]), float(spread[0, 0]), zero, gain))
        if len(self._waiting) == _TOGETHER:
            self.flush()
        return jumped

    def flush(self) -> None:
        """Write what waits."""
        count = len(self._waiting)
        if not count:
            return
        mean, spread, zero, gain = np.array(self._numbers).T
        levels = (np.stack(self._waiting).reshape(count, -1) - zero[:, None]) * gain[:, None]
        if self._levels is not None:
            levels = np.concatenate([self._levels, levels])
        records = np.full(count, np.nan, FRAME)
        records["mean"], records["spread"] = (mean - zero) * gain, spread * gain
        difference = np.diff(levels, axis=0)
        turns = np.diff(difference / np.maximum(levels[1:], _DARK), axis=0)
        turn = _middles(turns)
        for name, values in (
            ("change", _middles(difference)),
            ("turn", turn),
            ("stray", _middles(np.abs(turns - turn[:, None]))),
        ):
            known = values[-count:]
            records[name][count - len(known) :] = known
        self._file.write(records.tobytes())
        self._levels = levels[-2:]
        self._waiting, self._numbers = [], []


def _middles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle value of each row, of an even number the upper; np.median takes longer."""
    middle = values.shape[1] // 2
    return np.asarray(np.partition(values, middle, axis=1)[:, middle])


def _cells(thin: NDArray[Any]) -> Cells:
    """The means of the cells of a grid."""
    corners, areas = _borders(*thin.shape)
    sums = cv2.integral(thin).take(corners)
    rows = sums[1:] - sums[:-1]
    return np.asarray((rows[:, 1:] - rows[:, :-1]) / areas, np.float64)


@lru_cache(maxsize=8)
def _borders(height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in the sums of a picture its cells begin and end, and their areas."""
    across, down = min(_GRID[0], width), min(_GRID[1], height)
    rows = np.arange(down + 1) * height // down
    columns = np.arange(across + 1) * width // across
    corners = rows[:, None] * (width + 1) + columns[None]
    return corners, np.outer(np.diff(rows), np.diff(columns))
