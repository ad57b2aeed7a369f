"""Detail: what of the source's is still there, what was lost, and what was put in that it does not have.

A restorer may find detail that a copy has lost; it may not make up a texture where there was none.
The source is what can be held against a take: the fine structure that it shows at its own size, and the
rule of natural pictures that no octave holds more than the one below it.
"""

from abc import abstractmethod
from typing import NamedTuple

import cv2
import numpy as np

from media.format import VideoFormat
from scorers import Metric, ScoreSeries
from scorers.pair import Pair, Plane, high, tiles
from scorers.session import CODES, EVERY, FrameScorer, FrameSession
from scorers.temporal import warped

__all__ = ["DetailGain", "DetailKept", "InventedDetail", "Overshoot", "TileEdges"]

_EDGES = 0.1  # the part of a picture's pixels that are taken for its edges
_LEAST_EDGE = 1.5 / CODES  # change per pixel below which nothing is an edge


class _EdgeSession(FrameSession):
    """Looks at each eighth frame that has one before it; at the first where a scene has no other."""

    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._alone: tuple[float, Plane] | None = None

    def see(self, pair: Pair) -> None:
        if pair.index and self.skips(pair.index, first=1):
            return
        edges = pair.shared("edges", _edges)
        found = None if edges is None else self.compare(pair, edges)
        if found is None:
            return
        if pair.index:
            self.record(pair.index, *found)
        else:
            self._alone = found

    def finish(self) -> ScoreSeries:
        if self._alone is not None and not self._frames:
            self.record(0, *self._alone)
        return super().finish()

    @abstractmethod
    def compare(self, pair: Pair, edges: "_Edges") -> tuple[float, Plane] | None:
        """Return the value and that of the tiles; None where nothing can be told."""


class _KeptSession(_EdgeSession):
    def compare(self, pair: Pair, edges: "_Edges") -> tuple[float, Plane] | None:
        mask = edges.mask
        smaller = pair.take.width * pair.take.height < pair.luma.size
        fine = high(pair.luma if smaller else pair.plain_back)
        power, noise = tiles(mask * fine * fine), edges.source * _noise(fine, mask) * tiles(mask)
        if float(power.mean()) <= 2 * float(noise.mean()) + (0.1 / CODES) ** 2:
            return None  # what is fine in it is grain
        kept = tiles(mask * fine * high(pair.back))
        grid = np.where(power > 0.2 * power.mean(), kept / np.maximum(power, 1e-9), 1)
        part = float(kept.sum() / power.sum())
        clean = float(kept.sum() / (power - noise).sum())
        return part if part >= 1 else min(1.0, clean), grid


class DetailKept(FrameScorer):
    """How much of the source's finest detail a take still has; 1 = all.

    <H(T),H(P)> / <H(P),H(P)> over the tenth of pixels with the strongest coarse gradient, T at the
    source's size, P the plain resize at that size (the source itself for a smaller take), H what is finer
    than a Gaussian of one pixel. A part below 1 is measured against <H(P),H(P)> less the power of grain,
    so that taking away grain is no loss. Above 1 the take is sharper. Own definition. Every eighth frame.

    Grain is what is fine beside edges (the median of |H|) and does not come back along the source's
    motion (DIS flow, in whole pixels): half the power of H(S_t) - H(S_t-1 moved), and no more than all.
    """

    name = "detail-kept"
    algorithm = 2
    about = Metric(
        "the source's fine detail that is still there", "part", "higher", "1 = all; above: sharper",
        every=EVERY, cost=3.3,
    )  # fmt: skip
    session = _KeptSession


class _GainSession(_EdgeSession):
    def compare(self, pair: Pair, edges: "_Edges") -> tuple[float, Plane] | None:
        mask = _fitted(edges.mask, pair.take_luma.shape)
        share = tiles(mask)
        plain, take = (_beyond(p, pair.luma.shape) for p in (pair.plain_luma, pair.take_luma))
        grain = edges.source * _noise(plain, mask) * share
        has = tiles(mask * plain * plain) - grain
        if float(has.mean()) <= max((0.02 / CODES) ** 2, 0.5 * float(grain.mean())):
            return None
        got = tiles(mask * take * take) - edges.take * _noise(take, mask) * share
        grid = np.where(has > 0.2 * has.mean(), got / np.maximum(has, 1e-9), 1)
        return float(got.sum() / has.sum()), grid


class DetailGain(FrameScorer):
    """Detail finer than the source's grid, against a plain resize: 1 = no more than it has.

    Energy of T - up(down(T)) (area averaging to the source's size, cubic back) at edges, over that of
    the source enlarged by `resize`, each less its own grain (as `DetailKept` tells it), so that a take
    without the source's grain has lost nothing. A take of half the resolution falls below 1, whatever
    the picture shows. Own definition. Every eighth frame; only for takes larger than the source.
    """

    name = "detail-gain"
    algorithm = 2
    about = Metric(
        "detail finer than the source's grid, against a plain resize", "times", "higher",
        "1 = as resize", every=EVERY, cost=5.4,
    )  # fmt: skip
    session = _GainSession

    def start(self, source: VideoFormat, take: VideoFormat) -> FrameSession:
        return (
            super().start(source, take)
            if _larger(source, take)
            else _Nothing(self.name, self.about)
        )


class _OvershootSession(FrameSession):
    REACH = 2  # pixels of the source
    SHADE = 17  # pixels over which a take may be lighter or darker all over
    LEAST = 24 / CODES  # contrast that counts as an edge

    def see(self, pair: Pair) -> None:
        if self.skips(pair.index):
            return
        kernel = np.ones((2 * self.REACH + 1,) * 2, np.uint8)
        top, bottom = cv2.dilate(pair.luma, kernel), cv2.erode(pair.luma, kernel)
        span = top - bottom
        mask = (span > self.LEAST).astype(np.float32)
        if float(mask.mean()) < 0.005:
            return
        shade = cv2.blur(pair.residual, (self.SHADE, self.SHADE))
        take = pair.back - shade
        over = np.maximum(0, take - top) + np.maximum(0, bottom - take)
        beyond, contrast = tiles(over * mask), tiles(span * mask)
        grid = 100 * beyond / np.maximum(contrast, 0.01)
        self.record(pair.index, 100 * float(beyond.sum() / contrast.sum()), grid)


class Overshoot(FrameScorer):
    """Halos: by how much a take passes the source's own lightest and darkest near an edge, in %.

    Sum of max(0, T - max S) + max(0, min S - T) over sum of (max S - min S), T at the source's size,
    without the mean of T - S over 17 x 17 pixels; max and min over 5 x 5, where they differ by more
    than 24 codes. Own definition. Every eighth frame.
    """

    name = "overshoot"
    algorithm = 2
    about = Metric("halos of sharpening", "%", "lower", "0 up", every=EVERY, cost=0.5)
    session = _OvershootSession


class _InventedSession(FrameSession):
    FLOOR = (0.7 / CODES) ** 2
    WORST, USUAL, LOWEST = 3, 0.7, -6.0

    def see(self, pair: Pair) -> None:
        if self.skips(pair.index):
            return
        fine, got = high(pair.luma), high(pair.back)
        has, shown, common = tiles(fine * fine), tiles(got * got), tiles(fine * got)
        unexplained = np.maximum(0, shown - np.square(common) / np.maximum(has, 1e-9))
        ratio = (unexplained + _above(pair)) / (has + self.FLOOR)
        grid = 10 * np.log10(np.maximum(ratio, 1e-3))
        usual = max(self.LOWEST, float(np.median(grid)))
        worst = np.sort(grid.ravel())[-self.WORST :]
        self.record(pair.index, float(worst.mean()) - self.USUAL * usual, grid)


class InventedDetail(FrameScorer):
    """Fine detail that the source does not support, in the worst tiles, in dB.

    For each tile (U + A) / (E + 0.7 codes^2): E energy of the source's finest octave H(S), U energy of
    H(T) at the source's size that H(S) does not explain, E_T - <T,S>^2 / E, and A energy of T above
    the source's grid less what its slopes have. Mean of the three worst tiles, less 0.7 times the
    picture's median (-6 dB at least), so that a picture that is cleaner all over is no fault.
    Own definition; octaves of natural pictures fall: Field 1987. Every eighth frame.
    """

    name = "invented-detail"
    algorithm = 2
    about = Metric(
        "fine detail that the source does not support", "dB", "lower", "to 5: none",
        every=EVERY, cost=0.9,
    )  # fmt: skip
    session = _InventedSession


class _TileSession(FrameSession):
    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._across, self._down = _Steps(), _Steps()

    def see(self, pair: Pair) -> None:
        if self.skips(pair.index, first=1) or min(pair.luma.shape) < _Steps.LEAST:
            return
        added = np.asarray(pair.back - pair.plain_back, np.float32)
        across = self._across.add(added, pair.luma)
        down = self._down.add(*(np.ascontiguousarray(p.T) for p in (added, pair.luma)))
        self.record(pair.index, max(across, down))


class TileEdges(FrameScorer):
    """Straight lines that stand still in what a take changed, as between tiles: times the usual.

    Step between neighbouring columns (and rows) of T less the plain resize, both at the source's size,
    where the smoothed source is flat (less than 3 codes a step over 5 columns), averaged along eighths of
    the line and over time: the greatest line over the median line + 0.1 code. Own definition. Every
    eighth frame.
    """

    name = "tile-edges"
    algorithm = 2
    about = Metric(
        "straight lines as between tiles", "times", "lower", "0 up; to 4: none",
        every=EVERY, cost=1.3,
    )  # fmt: skip
    session = _TileSession


class _Steps:
    """Steps between neighbouring columns, averaged down segments and over time.

    Beside an edge of the source filters ring, along a title or a letterbox in straight lines.
    """

    LEAST = 16  # pixels
    FLAT = 3 / CODES
    BESIDE = 5  # columns that have to be flat
    KEPT = 0.9
    SEGMENTS = 8

    def __init__(self) -> None:
        self._steps: Plane | float = 0.0
        self._weights: Plane | float = 0.0

    def add(self, residual: Plane, luma: Plane) -> float:
        step = residual[:, 1:] - residual[:, :-1]
        smooth = cv2.GaussianBlur(luma, (0, 0), 1.5)
        even = np.abs(smooth[:, 1:] - smooth[:, :-1]) < self.FLAT
        flat = cv2.erode(even.astype(np.float32), np.ones((1, self.BESIDE), np.float32))
        size = (step.shape[1], self.SEGMENTS)
        now, weight = (
            cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (step * flat, flat)
        )
        self._steps = self.KEPT * self._steps + now
        self._weights = self.KEPT * self._weights + weight
        mean = np.where(self._weights > 0.3, self._steps / np.maximum(self._weights, 0.01), 0)
        profile = CODES * np.abs(mean).mean(axis=0)
        return float(profile.max()) / (float(np.median(profile)) + 0.1)


class _Nothing(FrameSession):
    """Of a measure that does not apply."""

    def see(self, pair: Pair) -> None:
        return


def _larger(source: VideoFormat, take: VideoFormat) -> bool:
    return take.width > source.width or take.height > source.height


class _Edges(NamedTuple):
    """Where the coarse structure is strongest (1, else 0), and which part of what is fine is grain.

    Of source and take, beside the edges: 0 where all of it comes back along the motion, 1 where none.
    """

    mask: Plane
    source: float
    take: float


def _edges(pair: Pair) -> _Edges | None:
    """Return a pair's edges; None where there are none to speak of."""
    smooth = cv2.GaussianBlur(pair.luma, (0, 0), 1.5)
    slopes = (cv2.Sobel(smooth, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1)))
    strength = cv2.magnitude(*slopes)
    every = strength[::3, ::3].ravel()
    at = int((1 - _EDGES) * (len(every) - 1))
    limit = float(np.partition(every, at)[at])
    mask = (strength >= max(limit, _LEAST_EDGE)).astype(np.float32)
    if float(mask.mean()) < 0.01:
        return None
    flow, before = pair.flow, pair.before
    if flow is None or before is None:
        return _Edges(mask, 1.0, 1.0)
    height, width = pair.luma.shape
    pixels = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    whole = np.rint(cv2.resize(flow, (width, height)) * pixels)
    shares = (
        _grain_share(high(now), high(last), whole, mask)
        for now, last in ((pair.luma, before.luma), (pair.back, before.back))
    )
    return _Edges(mask, *shares)


def _grain_share(now: Plane, before: Plane, flow: Plane, mask: Plane) -> float:
    """What part of the power beside edges is new in this frame; whole pixels, since others blur."""
    new = _noise(now - warped(before, flow), mask) / 2
    return min(1.0, new / max(_noise(now, mask), 1e-12))


def _fitted(mask: Plane, shape: tuple[int, ...]) -> Plane:
    if mask.shape == shape:
        return mask
    return np.asarray(cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST), np.float32)


def _noise(fine: Plane, mask: Plane) -> float:
    """The power of noise in a high-passed picture: by the median beside its edges."""
    beside = np.abs(fine[::3, ::3][mask[::3, ::3] == 0])
    return float(np.median(beside) / 0.6745) ** 2 if beside.size else 0.0


def _beyond(picture: Plane, shape: tuple[int, ...]) -> Plane:
    """What of a picture is finer than the grid of a smaller one."""
    height, width = shape
    back = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(picture - cv2.resize(back, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _above(pair: Pair) -> Plane:
    """Energy within the source's pixels, tile by tile, less that of the slopes over them."""
    height, width = pair.back.shape
    if pair.same_size:
        return np.zeros_like(tiles(pair.luma))
    square = cv2.resize(np.square(pair.take_luma), (width, height), interpolation=cv2.INTER_AREA)
    gx, gy = (cv2.Sobel(pair.back, cv2.CV_32F, *d, ksize=1, scale=0.5) for d in ((1, 0), (0, 1)))
    slopes = (np.square(gx) + np.square(gy)) / 8
    return tiles(np.maximum(0, square - np.square(pair.back) - slopes))
