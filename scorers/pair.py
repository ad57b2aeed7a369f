"""A frame of the source beside the same frame of the take, and what every measure would compute again.

Source and take are decoded once, and each view of a pair (luma, a small picture, the take at the
source's size, the flow from the frame before) is made at most once, by the first measure that asks.
A pair knows the one before it and the one before that, and no more: memory is bounded by three pairs.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Self, TypeVar

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import luma_of, luma_only, reduced_rgb, scaled
from media.format import VideoFormat

__all__ = ["COLUMNS", "FLOW_LINES", "ROWS", "SMALL_LINES", "Pair", "grid_of", "high", "tiles"]

Plane = NDArray[np.float32]
What = TypeVar("What")

SMALL_LINES = 90  # of the pictures in which brightness, colour and order are compared
SHIFT_LINES = 180  # of the smallest pictures by which a shift is told
FLOW_LINES = 360  # of the pictures between which motion is estimated
_GRAIN = 1.2  # pixels of a small luma below which grain is stronger than motion
_TINY = 1e-7  # keeps a picture without gradient from having a shift
_SMALL = 1 << 15  # pixels up to which a product of matrices is quicker, and runs in one thread
ROWS, COLUMNS = 9, 12  # of the grid in which places are told
_OF_SOURCE = ("luma", "source_small", "source_flat", "source_tiles", "source_flow_luma", "flow")
_ENLARGED = ("plain_luma", "plain_back")
_OF_TAKE = (
    "take_luma", "back", "residual", "shift", "take_small", "take_flat", "take_tiles", "take_flow_luma",
)  # fmt: skip


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
        alike = (take.width, take.height) == (self.take.width, self.take.height)
        self._lend(other, _OF_SOURCE + _ENLARGED if alike else _OF_SOURCE)
        return other

    def after(self, before: "Pair | None") -> Self:
        """Return the same pair with another pair (or none) before it, with what is known of both."""
        other = type(self)(self.index, self.source, self.take, self.formats, before)
        self._lend(other, _OF_SOURCE + _ENLARGED + _OF_TAKE)
        return other

    def _lend(self, other: "Pair", views: tuple[str, ...]) -> None:
        for name in views:
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]

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
        return luma_of(self.take, self.formats[1].colour, size)

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

        The least-squares step along the source's gradient (Lucas and Kanade 1981), for small shifts; at
        the source's size over a whole number, of no fewer than SHIFT_LINES.
        """
        times = max(1, self.luma.shape[0] // SHIFT_LINES)
        luma, residual = (_times_smaller(p, times) for p in (self.luma, self.residual))
        gx, gy = (cv2.Sobel(luma, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1)))
        a, b, c = (cv2.mean(u * v)[0] for u, v in ((gx, gx), (gx, gy), (gy, gy)))
        right = [-cv2.mean(g * residual)[0] for g in (gx, gy)]
        normal = np.array([[a + _TINY, b], [b, c + _TINY]])
        step: NDArray[np.float32] = np.asarray(times * np.linalg.solve(normal, right), np.float32)
        return step

    @cached_property
    def source_small(self) -> Plane:
        """The source as R'G'B' (at most SMALL_LINES high, 3)."""
        return _small(self.source, self.formats[0], self.small_size)

    @cached_property
    def take_small(self) -> Plane:
        """The take as R'G'B' at the size of `source_small`."""
        return _small(self.take, self.formats[1], self.small_size)

    @property
    def small_size(self) -> tuple[int, int]:
        """Width and height of the small pictures."""
        width, height = self.source.width, self.source.height
        lines = min(SMALL_LINES, height)
        return max(1, round(width * lines / height)), lines

    @cached_property
    def source_flat(self) -> Plane:
        """The source's luma at no more than SMALL_LINES, without its mean and what is fine as grain."""
        return _flat(self.luma, self.small_size)

    @cached_property
    def take_flat(self) -> Plane:
        """The same of the take."""
        return _flat(self.back, self.small_size)

    @cached_property
    def source_tiles(self) -> Plane:
        """The source's tiles as means of R'G'B' (rows, columns, 3)."""
        return self._rgb_tiles(self.source, self.formats[0])

    @cached_property
    def take_tiles(self) -> Plane:
        """The same of the take."""
        return self._rgb_tiles(self.take, self.formats[1])

    def _rgb_tiles(self, frame: av.VideoFrame, video: VideoFormat) -> Plane:
        grid = grid_of(self.source.height, self.source.width)
        return reduced_rgb(frame, video.colour, lambda samples: tiles(samples, grid))

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


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a picture's tiles: ROWS by COLUMNS, or fewer where it is tiny."""
    return min(ROWS, height), min(COLUMNS, width)


def tiles(picture: NDArray[Any], grid: tuple[int, int] | None = None) -> Plane:
    """Return the means of a picture's tiles (rows, columns) of whole pixels, float32.

    A plane with fewer pixels than its grid has tiles (subsampled chroma of a tiny picture) is enlarged.
    """
    height, width = picture.shape[:2]
    rows, columns = grid or grid_of(height, width)
    if picture.ndim == 3 or rows > height or columns > width:
        size = (columns, rows)
        area = cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return np.asarray(area, np.float32)
    if picture.size <= _SMALL:
        small = picture.astype(np.float32, copy=False)
        return _shares(height, rows) @ (small @ _shares(width, columns).T)
    # by bands: a fifth of the time of cv2.resize, and no BLAS, whose threads would wait in a loop
    bands = [
        cv2.reduce(picture[top:end], 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
        for top, end in pairwise(_edges_of(height, rows))
    ]
    lefts = _edges_of(width, columns)
    sums = np.add.reduceat(np.concatenate(bands), lefts[:-1], axis=1)
    return np.asarray(sums / np.diff(lefts).astype(np.float32), np.float32)


@lru_cache(maxsize=64)
def _shares(pixels: int, count: int) -> Plane:
    """What part each pixel has in the means of `count` lengths: (count, pixels)."""
    shares = np.zeros((count, pixels), np.float32)
    for row, (begin, end) in enumerate(pairwise(_edges_of(pixels, count))):
        shares[row, begin:end] = 1 / (end - begin)
    return shares


@lru_cache(maxsize=64)
def _edges_of(pixels: int, count: int) -> tuple[int, ...]:
    """Where `count` nearly equal lengths of whole pixels begin, and the end."""
    return tuple(round(n * pixels / count) for n in range(count + 1))


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


def _times_smaller(picture: Plane, times: int) -> Plane:
    """A picture a whole number of times smaller, without the few lines that are left over."""
    height, width = (side // times for side in picture.shape)
    whole = picture[: times * height, : times * width]
    if times == 1 or not width:
        return picture
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def _small(frame: av.VideoFrame, video: VideoFormat, size: tuple[int, int]) -> Plane:
    def shrink(samples: NDArray[Any]) -> Plane:
        return np.asarray(
            cv2.resize(samples.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        )

    return reduced_rgb(frame, video.colour, shrink)


def _flat(luma: Plane, size: tuple[int, int]) -> Plane:
    small = (
        luma if luma.shape[::-1] == size else cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    )
    smooth = cv2.GaussianBlur(small, (0, 0), _GRAIN)
    return np.asarray(smooth - smooth.mean(), np.float32)


def _eight(luma: Plane) -> NDArray[np.uint8]:
    return np.rint(np.clip(luma, 0, 1) * 255).astype(np.uint8)
