"""Detail: what of the source's is still there, what was lost, and what was put in that it does not have.

A restorer may find detail that a copy has lost; it may not make up a texture where there was none.
The source is what can be held against a take: the fine structure that it shows at its own size, and the
rule of natural pictures that no octave holds more than the one below it.
"""

import cv2
import numpy as np

from media.format import VideoFormat
from scorers import Metric
from scorers.pair import Pair, Plane, high, tiles
from scorers.session import CODES, FrameScorer, FrameSession

__all__ = ["DetailGain", "DetailKept", "InventedDetail", "Overshoot", "TileEdges"]

_EVERY = 8  # whole-take properties are looked at in each eighth frame
_EDGES = 0.1  # the part of a picture's pixels that are taken for its edges
_LEAST_EDGE = 1.5 / CODES  # change per pixel below which nothing is an edge


class _KeptSession(FrameSession):
    def see(self, pair: Pair) -> None:
        if pair.index % _EVERY:
            return
        mask = _edges(pair.luma)
        if mask is None:
            return
        smaller = pair.take_luma.size < pair.luma.size
        plain, take = (pair.luma, pair.back) if smaller else (pair.plain_luma, pair.take_luma)
        mask = _fitted(mask, plain.shape)
        sigma = plain.shape[0] / pair.luma.shape[0]
        fine = high(plain, sigma)
        power, noise = tiles(mask * fine * fine), _noise(fine, mask) * tiles(mask)
        if float(power.mean()) <= 2 * float(noise.mean()) + (0.1 / CODES) ** 2:
            return  # what is fine in it is grain
        kept = tiles(mask * fine * high(take, sigma))
        grid = np.where(power > 0.2 * power.mean(), kept / np.maximum(power, 1e-9), 1)
        part = float(kept.sum() / power.sum())
        clean = float(kept.sum() / (power - noise).sum())
        self.record(pair.index, part if part >= 1 else min(1.0, clean), grid)


class DetailKept(FrameScorer):
    """How much of the source's finest detail a take still has; 1 = all.

    <H(T),H(P)> / <H(P),H(P)> over the tenth of pixels with the strongest coarse gradient, P the source
    plainly enlarged to the take's size (a smaller take is brought to the source's), H what is finer than
    a Gaussian of one pixel of the source. A part below 1 is measured against <H(P),H(P)> less the power
    of noise (by the median of |H(P)| beside edges), so that taking away grain is no loss. Above 1 the
    take is sharper. Own definition. Every eighth frame.
    """

    name = "detail-kept"
    about = Metric(
        "the source's fine detail that is still there", "part", "higher", "1 = all; above: sharper",
        every=_EVERY, cost=1.3,
    )  # fmt: skip
    session = _KeptSession


class _GainSession(FrameSession):
    def see(self, pair: Pair) -> None:
        if pair.index % _EVERY:
            return
        mask = _edges(pair.luma)
        if mask is None:
            return
        mask = _fitted(mask, pair.take_luma.shape)
        plain, take = (_beyond(p, pair.luma.shape) for p in (pair.plain_luma, pair.take_luma))
        power = tiles(mask * plain * plain)
        if float(power.mean()) <= (0.02 / CODES) ** 2:
            return
        got = tiles(mask * take * take)
        grid = np.where(power > 0.2 * power.mean(), got / np.maximum(power, 1e-9), 1)
        self.record(pair.index, float(got.sum() / power.sum()), grid)


class DetailGain(FrameScorer):
    """Detail finer than the source's grid, against a plain resize: 1 = no more than it has.

    Energy of T - up(down(T)) (area averaging to the source's size, cubic back) at edges, over that of
    the source enlarged by `resize`. A take of half the resolution falls below 1, whatever
    the picture shows. Own definition. Every eighth frame; only for takes larger than the source.
    """

    name = "detail-gain"
    about = Metric(
        "detail finer than the source's grid, against a plain resize", "times", "higher",
        "1 = as resize", every=_EVERY, cost=2.0,
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
    than 24 codes. Own definition.
    """

    name = "overshoot"
    about = Metric(
        "halos of sharpening",
        "%",
        "lower",
        "0 up",
        cost=2.7,
    )
    session = _OvershootSession


class _InventedSession(FrameSession):
    FLOOR = (0.7 / CODES) ** 2
    WORST, USUAL, LOWEST = 3, 0.7, -6.0

    def see(self, pair: Pair) -> None:
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
    Own definition; octaves of natural pictures fall: Field 1987.
    """

    name = "invented-detail"
    about = Metric(
        "fine detail that the source does not support",
        "dB",
        "lower",
        "to 5: none",
        cost=3.3,
    )
    session = _InventedSession


class _TileSession(FrameSession):
    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._across, self._down = _Steps(), _Steps()

    def see(self, pair: Pair) -> None:
        if pair.index % 2 or min(pair.luma.shape) < _Steps.LEAST:
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
    second frame.
    """

    name = "tile-edges"
    about = Metric(
        "straight lines as between tiles",
        "times",
        "lower",
        "0 up; to 4: none",
        every=2,
        cost=3.1,
    )
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


def _edges(luma: Plane) -> Plane | None:
    """Where the coarse structure is strongest (1, else 0); None where there is none to speak of."""
    smooth = cv2.GaussianBlur(luma, (0, 0), 1.5)
    slopes = (cv2.Sobel(smooth, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1)))
    strength = cv2.magnitude(*slopes)
    every = np.sort(strength[::3, ::3], axis=None)
    limit = float(every[int((1 - _EDGES) * (len(every) - 1))])
    mask = (strength >= max(limit, _LEAST_EDGE)).astype(np.float32)
    return mask if float(mask.mean()) >= 0.01 else None


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
