"""A frame of the source beside the same frame of the take, and what every measure would compute again.

Source and take are decoded once, and each view of a pair (luma, a small picture, the take at the
source's size, the flow from the frame before) is made at most once, by the first measure that asks.
A pair knows the one before it and the one before that, and no more: memory is bounded by three pairs.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Self, TypeVar

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import assumed, luma_of, luma_only, scaled, to_rgb
from media.format import VideoFormat

__all__ = ["COLUMNS", "FLOW_LINES", "ROWS", "SMALL_LINES", "Pair", "high", "tiles"]

Plane = NDArray[np.float32]
What = TypeVar("What")

SMALL_LINES = 90  # of the pictures in which brightness, colour and order are compared
FLOW_LINES = 360  # of the pictures between which motion is estimated
_GRAIN = 1.2  # pixels of a small luma below which grain is stronger than motion
_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
_TINY = 1e-7  # keeps a picture without gradient from having a shift
ROWS, COLUMNS = 9, 12  # of the grid in which places are told


class Pair:
    """One frame of source and take. Views are float32; lumas are 0..1 on the scale of R'G'B'.

    `index` counts from the scene's first frame. `before` is the pair of the frame before, None at
    the scene's first (or where frames between were left out).
    """

    def __init__(
        self,
        index: int,
        source: av.VideoFrame,
        take: av.VideoFrame,
        formats: tuple[VideoFormat, VideoFormat],
        before: "Pair | None" = None,
    ) -> None:
        self.index, self.source, self.take = index, source, take
        self.formats = formats
        self.before = before
        self._shared: dict[str, Any] = {}
        if before is not None and before.before is not None:
            before.before.before = None

    def beside(self, take: av.VideoFrame, video: VideoFormat, before: "Pair | None") -> Self:
        """Return the same source frame beside another take's, with what is known of the source.

        `before` is that take's pair before, not this one's.
        """
        other = type(self)(self.index, self.source, take, (self.formats[0], video), before)
        for name in ("luma", "source_small", "source_flat", "source_flow_luma", "flow"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def shared(self, name: str, make: "Callable[[Pair], What]") -> What:
        """Return what `make` makes of this pair, made once for all measures that ask by this name."""
        if name not in self._shared:
            self._shared[name] = make(self)
        return self._shared[name]  # type: ignore[no-any-return]

    @property
    def same_size(self) -> bool:
        return (self.source.width, self.source.height) == (self.take.width, self.take.height)

    @cached_property
    def luma(self) -> Plane:
        """The source's luma (h, w)."""
        return luma_of(self.source, self.formats[0].colour)

    @cached_property
    def take_luma(self) -> Plane:
        """The take's luma at its own size (H, W)."""
        return luma_of(self.take, self.formats[1].colour)

    @cached_property
    def back(self) -> Plane:
        """The take's luma degraded back to the source's size (h, w), by area averaging."""
        if self.same_size:
            return self.take_luma
        size = (self.source.width, self.source.height)
        return np.asarray(cv2.resize(self.take_luma, size, interpolation=cv2.INTER_AREA))

    @cached_property
    def residual(self) -> Plane:
        """What the take changed at the source's size: `back` - `luma`."""
        return np.asarray(self.back - self.luma)

    @cached_property
    def plain_luma(self) -> Plane:
        """The luma of the source plainly enlarged to the take's size (H, W), as `resize` does it."""
        if self.same_size:
            return self.luma
        gray = luma_only(self.source)
        larger = scaled(gray, self.take.width, self.take.height, "lanczos")
        return luma_of(larger, self.formats[0].colour)

    @cached_property
    def plain_back(self) -> Plane:
        """The luma of the plain resize degraded back to the source's size (h, w)."""
        if self.same_size:
            return self.luma
        size = (self.source.width, self.source.height)
        return np.asarray(cv2.resize(self.plain_luma, size, interpolation=cv2.INTER_AREA))

    @cached_property
    def shift(self) -> Plane:
        """By how many of the source's pixels (x, y) the take's picture stands elsewhere.

        The least-squares step along the source's gradient (Lucas and Kanade 1981), for small shifts.
        """
        gx, gy = (cv2.Sobel(self.luma, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1)))
        a, b, c = (float((u * v).mean()) for u, v in ((gx, gx), (gx, gy), (gy, gy)))
        right = [-float((g * self.residual).mean()) for g in (gx, gy)]
        normal = np.array([[a + _TINY, b], [b, c + _TINY]])
        return np.asarray(np.linalg.solve(normal, right), np.float32)

    @cached_property
    def source_small(self) -> Plane:
        """The source as R'G'B' (at most SMALL_LINES high, 3)."""
        return _small(self.source, self.formats[0])

    @cached_property
    def take_small(self) -> Plane:
        """The take as R'G'B' at the size of `source_small`."""
        return _small(self.take, self.formats[1], self.source_small.shape)

    @cached_property
    def source_flat(self) -> Plane:
        """The small source's luma without its mean, and without what is as fine as grain."""
        return _flat(self.source_small)

    @cached_property
    def take_flat(self) -> Plane:
        """The same of the take."""
        return _flat(self.take_small)

    @cached_property
    def source_flow_luma(self) -> Plane:
        """The source's luma at no more than FLOW_LINES."""
        return at_lines(self.luma, FLOW_LINES)

    @cached_property
    def take_flow_luma(self) -> Plane:
        """The take's luma at the size of `source_flow_luma`."""
        height, width = self.source_flow_luma.shape
        if self.back.shape == (height, width):
            return self.back
        return np.asarray(cv2.resize(self.back, (width, height), interpolation=cv2.INTER_AREA))

    @cached_property
    def flow(self) -> Plane | None:
        """Motion from this frame to the one before, of the source (h, w, 2) in pixels; None at first.

        Dense inverse search (Kroeger et al. 2016) at no more than FLOW_LINES lines.
        """
        if self.before is None or min(self.source_flow_luma.shape) < 16:
            return None
        one, other = (_eight(p.source_flow_luma) for p in (self, self.before))
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        none = np.empty((0, 0), np.float32)
        return np.asarray(search.calc(one, other, none), np.float32)


def tiles(picture: Plane) -> Plane:
    """Return the means of a picture's tiles, (ROWS, COLUMNS) or fewer where it is tiny."""
    height, width = picture.shape[:2]
    rows, columns = min(ROWS, height), min(COLUMNS, width)
    if picture.ndim == 2:  # a product of matrices takes a fifth of cv2's time
        return (
            _shares(height, rows)
            @ picture.astype(np.float32, copy=False)
            @ _shares(width, columns).T
        )
    area = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(area, np.float32)


@lru_cache(maxsize=64)
def _shares(pixels: int, count: int) -> Plane:
    """What part each pixel has in the means of `count` equal lengths: (count, pixels)."""
    edges = np.linspace(0, pixels, count + 1)
    at = np.arange(pixels)
    inside = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    return np.asarray(np.clip(inside, 0, None) * (count / pixels), np.float32)


def high(picture: Plane, sigma: float = 1.0) -> Plane:
    """Return what is finer than a Gaussian of `sigma` pixels."""
    return np.asarray(picture - cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def at_lines(picture: Plane, lines: int) -> Plane:
    """Return a picture reduced to at most `lines`, by area averaging."""
    height, width = picture.shape[:2]
    if height <= lines:
        return picture
    size = (max(1, round(width * lines / height)), lines)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _small(frame: av.VideoFrame, video: VideoFormat, like: tuple[int, ...] | None = None) -> Plane:
    if like is None:
        height = min(SMALL_LINES, frame.height)
        width = max(1, round(frame.width * height / frame.height))
    else:
        height, width = like[:2]
    if (frame.width, frame.height) != (width, height):
        siting = assumed(video).chroma_location or "left"
        frame = scaled(frame, width, height, "area", siting)
    return to_rgb(frame, video.colour)


def _flat(picture: Plane) -> Plane:
    gray = cv2.transform(picture, _LUMA)
    smooth = cv2.GaussianBlur(gray, (0, 0), _GRAIN)
    return np.asarray(smooth - smooth.mean(), np.float32)


def _eight(luma: Plane) -> NDArray[np.uint8]:
    return np.rint(np.clip(luma, 0, 1) * 255).astype(np.uint8)
