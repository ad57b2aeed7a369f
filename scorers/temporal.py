"""Steadiness: what a take adds to the source's own changes from frame to frame.

All of these compare with the source, since films move, flash and cut by themselves: a take is only
blamed for what its source does not do.
"""

from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from scorers import Metric
from scorers.pair import Pair, Plane, tiles
from scorers.session import CODES, EVERY, FrameScorer, FrameSession, WindowSession, rms

__all__ = ["Flicker", "SeamJump", "WarpError"]

_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
_FOLLOWED = 12 / 255  # a pixel of the source that its flow explains this well is looked at


class _WarpSession(FrameSession):
    def see(self, pair: Pair) -> None:
        if self.skips(pair.index, first=1):
            return
        flow, before = pair.flow, pair.before
        if flow is None or before is None:
            return
        source = pair.source_flow_luma - warped(before.source_flow_luma, flow)
        followed = np.abs(source) < _FOLLOWED
        if followed.mean() < 0.1:
            return
        take = pair.take_flow_luma - warped(before.take_flow_luma, flow)
        excess = np.where(followed, np.square(take) - np.square(source), 0)
        grid = CODES**2 * tiles(excess.astype(np.float32))
        value = CODES * (rms(take[followed]) - rms(source[followed]))
        self.record(pair.index, value, grid)


class WarpError(FrameScorer):
    """E_warp, DIS-based: how much worse than the source a take follows the source's motion, in codes.

    rms of T_t - warp(T_t-1) less rms of S_t - warp(S_t-1), over pixels where the source follows its
    own flow, at no more than 360 lines. After Lai et al. 2018, "Learning Blind Video Temporal
    Consistency", with the flow of dense inverse search (Kroeger et al. 2016) in the place of a network's.
    Below 0 the take is steadier than its source. Every eighth frame.
    """

    name = "warp-error"
    algorithm = 3
    about = Metric(
        "unsteadiness along the motion, against the source's own (DIS flow)", "codes", "lower",
        "below 0: steadier", source="Lai et al. 2018; Kroeger et al. 2016",
        every=EVERY, cost=1.6,
    )  # fmt: skip
    session = _WarpSession


class _FlickerSession(WindowSession[Plane]):
    """Keeps the last three frames' tile means, and of each frame what it added."""

    REACH = 6

    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._means: deque[tuple[int, Plane, Plane]] = deque(maxlen=3)

    def see(self, pair: Pair) -> None:
        if self._means and self._means[-1][0] != pair.index - 1:
            self._means.clear()
        means = (coarse(pair.source_tiles), coarse(pair.take_tiles))
        self._means.append((pair.index, *means))
        if len(self._means) < 3:
            return
        (_, s0, t0), (index, s1, t1), (_, s2, t2) = self._means
        source, take = ((a - 2 * b + c) / 6**0.5 for a, b, c in ((s0, s1, s2), (t0, t1, t2)))
        self.keep(index, CODES**2 * (np.square(take) - np.square(source)))

    def judge(self, index: int, near: Mapping[int, Plane]) -> None:
        grid = np.mean([one for n, one in near.items() if n < index + self.REACH], axis=0)
        self.record(index, float(np.sqrt(max(0.0, grid.mean()))), grid)


class Flicker(FrameScorer):
    """Brightness that comes and goes from frame to frame beyond the source's, in codes.

    Tile means x of luma, second difference (x_t-1 - 2 x_t + x_t+1) / sqrt 6: the root of the take's mean
    square less the source's, over 12 frames. Equal to the deviation of a random gain. Own definition.
    """

    name = "flicker"
    algorithm = 2
    about = Metric(
        "brightness that pulses beyond the source's",
        "codes",
        "lower",
        "0 up",
        cost=0.8,
    )
    session = _FlickerSession


class _Change(NamedTuple):
    """How much what a take adds to its source changed since the frame before.

    `tone` and `detail` are rms in codes, of tile means (R'G'B') and of luma, `place` in the source's
    pixels; `source_tone` and `source_detail` are the source's own changes, which a take may follow
    a little too much or too little.
    """

    tone: float
    detail: float
    place: float
    source_tone: float
    source_detail: float


class _SeamSession(WindowSession[tuple[_Change, Plane]]):
    """Keeps a few numbers a frame, and judges each change against those around it."""

    REACH = 6

    def see(self, pair: Pair) -> None:
        if pair.before is None:
            return
        before = pair.before
        drift = pair.take_tiles - pair.source_tiles - before.take_tiles + before.source_tiles
        change = _Change(
            tone=CODES * rms(drift),
            detail=CODES * rms(pair.residual - before.residual),
            place=float(np.linalg.norm(pair.shift - before.shift)),
            source_tone=CODES * rms(pair.source_tiles - before.source_tiles),
            source_detail=CODES * rms(pair.luma - before.luma),
        )
        self.keep(pair.index, (change, np.abs(drift).max(axis=2)))

    def judge(self, index: int, near: Mapping[int, tuple[_Change, Plane]]) -> None:
        around = [change for n, (change, _) in near.items() if n != index]
        if not around:
            return
        change, grid = near[index]
        usual = _Change(*np.median(np.array(around), axis=0))
        jump = max(
            change.tone / (usual.tone + 0.15 + 0.1 * change.source_tone),
            change.detail / (usual.detail + 0.3 + 0.2 * change.source_detail),
            change.place / (usual.place + 0.03),
        )
        self.record(index, jump, grid)


class SeamJump(FrameScorer):
    """Jumps of tone, detail or place from one frame to the next, as at a window's seam: times the usual.

    Of the change of T - S since the frame before: rms of tile means (codes) over the median of six
    neighbours on each side + 0.15 + a tenth of the source's own change; rms of luma over median + 0.3
    + a fifth; and the change of the shift between T and S (least squares, Lucas and Kanade 1981) over
    median + 0.03 pixels. The greatest of the three. Own definition.
    """

    name = "seam-jump"
    algorithm = 2
    about = Metric(
        "jumps of tone, detail or place, as at the seams of a model's windows", "times", "lower",
        "0 up; to 1.5: none", cost=3.4,
    )  # fmt: skip
    session = _SeamSession


def coarse(rgb: Plane) -> Plane:
    """Luma of 3 x 4 tiles out of the R'G'B' means of 9 x 12."""
    height, width = rgb.shape[:2]
    size = (min(4, width), min(3, height))
    return np.asarray(cv2.resize(cv2.transform(rgb, _LUMA), size, interpolation=cv2.INTER_AREA))


def warped(picture: Plane, flow: Plane) -> Plane:
    """Return `picture` moved along a flow (h, w, 2) in pixels; edges repeat."""
    at = _places(*picture.shape) + flow
    moved = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=2)
def _places(height: int, width: int) -> Plane:
    """Each pixel's own place (h, w, 2)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack((x, y), axis=-1)
