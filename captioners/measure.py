"""What is measured on the frames of a film while ingest decodes them: numbers per frame, no pictures.

On every frame: brightness, spread, and the change that the whole picture shares (flicker, fades), from
a grid of samples. A few times a second also what costs more: camera and subject motion (Lucas-
Kanade on a small picture, a similarity fitted by reweighted least squares), colour, percentiles, grain
and sharpness (on native tiles, since shrinking would hide both), and whether it is a text card.
The series is kept with the film, so that another shot list needs no new decode.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from captioners.camera import MOTION_WIDTH, motion_between
from captioners.light import FRAME, Light
from captioners.textcard import is_text_card
from captioners.texture import BLOCK, texture
from media.staged import Staged
from restar.errors import MediaError

__all__ = ["ALGORITHM", "MeasuredFilm", "Measurer", "measured"]

ALGORITHM = 4  # rises whenever the same frames give other numbers
SAMPLES_A_SECOND = 2

SAMPLE = np.dtype(
    [("frame", "<i8"), ("before", "<i8")]
    + [
        (name, "<f4")
        for name in (
            "low", "high", "chroma", "tint",
            "pan", "tilt", "zoom", "moved", "farthest", "agreed", "points",
            "grain", "grain_still", "flat", "acuity", "card",
        )
    ]
)  # fmt: skip

_NOTHING = np.zeros((), SAMPLE)
for _name in SAMPLE.names[2:]:  # type: ignore[index]
    _NOTHING[_name] = np.nan

Plane = NDArray[Any]  # uint8, or uint16 in deeper formats
Small = NDArray[np.uint8]

_MIDDLE = 320  # and the one that letters are looked for in
_FULL_EVERY = 3  # of the samples, all is measured on every third, and a moment after each jump
_SETTLED = 2  # frames after a jump of light (a cut, most likely) until the next full sample
_TILE = 72
_PLANAR = re.compile(r"(yuvj?4\d\dp|yuva4\d\dp|gray)(8|9|10|12|14|16)?(le)?")


@dataclass(frozen=True)
class MeasuredFilm:
    """The series of a film. `frames` has one record a frame, `samples` some a second (in order).

    mean, spread: of luma, 0..255 of full scale; change: of luma since the frame before, as the median
    over the cells of the picture; turn: by which part of its level a cell's change differs from its
    change before (the median of the cells), and stray: how far cells are off that, on the median. low,
    high: 2nd and 98th percentile of luma. chroma: how far colours stray from one hue (98th percentile,
    in levels); tint: how far that hue is from gray. pan, tilt: how the picture's content moved to the
    right and down since frame `before`, in picture widths; zoom: by which part it grew; moved, farthest:
    median and second longest path of its points, in widths;
    agreed: part of the `points` that followed one camera. grain: noise in flat places, levels, in one
    frame (grain) and between two (grain_still); flat: part of the blocks that were neither black nor
    white; acuity: fine against coarse detail. card: 1 for a text card. What was not measured is NaN.
    """

    frames: NDArray[np.void]
    samples: NDArray[np.void]
    rate: Fraction

    @classmethod
    def load(cls, path: Path) -> "MeasuredFilm":
        """Read a file that `Measurer` wrote; raise MediaError for another."""
        try:
            with np.load(path, allow_pickle=False) as data:
                frames, samples = data["frames"], data["samples"]
                numerator, denominator = (int(n) for n in data["rate"])
        except (OSError, ValueError, KeyError) as error:
            raise MediaError(
                f"{path}: not the measures of a film ({error}); measure again"
            ) from None
        if frames.dtype != FRAME or samples.dtype != SAMPLE:
            raise MediaError(f"{path}: measures of another version; measure the film again")
        return cls(frames, samples, Fraction(numerator, denominator))


def measured(
    frames: Iterator[av.VideoFrame], measurer: "Measurer"
) -> Generator[av.VideoFrame, None, None]:
    """Pass frames on, each measured on its way."""
    for frame in frames:
        measurer.see(frame)
        yield frame


class Measurer(Staged):
    """Measures a film frame by frame into a file (.npz), in bounded memory."""

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._path = path
        self._rate = rate
        self._stride = max(1, round(rate / SAMPLES_A_SECOND))
        self._next, self._full_at = 0, 0
        raw = [path.with_name(f"{path.name}.{name}") for name in ("frames", "samples")]
        self._raw_paths = raw
        self._frames, self._samples = (p.open("wb") for p in raw)
        self._count = 0
        self._light = Light(self._frames)
        self._tiles_before: Small | None = None
        self._small: Small | None = None
        self._sampled_at = -1

    def _end(self, *, well: bool) -> None:
        if well:
            self._light.flush()
        self._frames.close()
        self._samples.close()
        if well:
            self._write()
        for path in self._raw_paths:
            path.unlink(missing_ok=True)

    def see(self, frame: av.VideoFrame) -> None:
        """Measure the next frame, of any size and pixel format."""
        picture = _Luma(frame)
        if self._light.see(picture.thin(), picture.zero, picture.gain):
            self._look_soon()
        if self._count == self._next:
            self._sample(picture, self._count == self._full_at)
        full_next = self._count + 1 == self._next == self._full_at
        self._tiles_before = picture.tiles() if full_next else None
        self._count += 1

    def _look_soon(self) -> None:
        """Take the next full sample right after a jump: so a short scene has one, too."""
        if self._full_at > self._count + _SETTLED or self._full_at < self._count:
            self._next = self._full_at = self._count + _SETTLED

    def _sample(self, picture: "_Luma", full: bool) -> None:
        sample = _NOTHING.copy()
        sample["frame"], sample["before"] = self._count, self._sampled_at
        middle = picture.shrunk(_MIDDLE if full else MOTION_WIDTH)
        size = _fitting(middle.shape[1], middle.shape[0], MOTION_WIDTH)
        small = _area(middle, size) if full else middle
        if self._small is not None and self._small.shape == small.shape:
            for name, value in motion_between(self._small, small).items():
                sample[name] = value
        if full:
            sample["low"], sample["high"] = _percentiles(small)
            sample["chroma"], sample["tint"] = picture.colour(small)
            for name, value in texture(picture.tiles(), self._tiles_before).items():
                sample[name] = value
            sample["card"] = is_text_card(middle)
            self._full_at = self._count + _FULL_EVERY * self._stride
        self._samples.write(sample.tobytes())
        self._small, self._sampled_at = small, self._count
        self._next = min(self._count + self._stride, self._full_at)

    def _write(self) -> None:
        frames, samples = (
            np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)
            for path, dtype in zip(self._raw_paths, (FRAME, SAMPLE), strict=True)
        )
        rate = [self._rate.numerator, self._rate.denominator]
        with self._path.open("wb") as file:
            np.savez(file, frames=frames, samples=samples, rate=np.array(rate, np.int64))


class _Luma:
    """A frame's luma as it lies in memory, and its chroma where that is planar, too."""

    def __init__(self, frame: av.VideoFrame) -> None:
        plain, bits, full, self._planes = _kind_of(frame.format.name)
        if not plain:
            frame = frame.reformat(format="yuv444p", threads=1)
            bits, full, self._planes = 8, None, 3
        self._frame, self._bits = frame, bits
        if full is None:
            full = int(frame.color_range) == _FULL
        elif full:
            full = int(frame.color_range) != _LIMITED
        self._step = 1 << (bits - 8)
        self.zero = 0.0 if full else 16.0 * self._step
        self.gain = 255.0 / ((255.0 if full else 219.0) * self._step)
        self.luma = _plane(frame, 0, bits)

    def level(self, code: float) -> float:
        return (code - self.zero) * self.gain

    def thin(self) -> Plane:
        """A grid of single samples, some 192 x 144."""
        luma = self.luma
        rows, columns = -(-luma.shape[0] // 144), -(-luma.shape[1] // 192)
        return np.ascontiguousarray(luma[rows // 2 :: rows, columns // 2 :: columns])

    def shrunk(self, width: int) -> Small:
        """Luma, 0..255 of full scale, `width` pixels wide or less."""
        luma = self.luma
        size = _fitting(luma.shape[1], luma.shape[0], width)
        return self._coded(_area(luma, size))

    def colour(self, small: Small) -> tuple[float, float]:
        """How far colours stray from one hue that follows brightness, and how far that is from gray."""
        if self._planes < 3:
            return 0.0, 0.0
        height, width = small.shape
        size = (max(1, width // 2), max(1, height // 2))
        luma = cv2.resize(small, size, interpolation=cv2.INTER_AREA).ravel().astype(np.float32)
        chroma = [
            _area(_plane(self._frame, number, self._bits), size).ravel().astype(np.float32)
            / self._step
            - 128.0
            for number in (1, 2)
        ]
        basis = np.stack([np.ones_like(luma), luma / 255, (luma / 255) ** 2], axis=1)
        normal = basis.T @ basis + 1e-3 * np.eye(3, dtype=np.float32)
        strayed = np.zeros_like(luma)
        for values in chroma:
            strayed += (values - basis @ np.linalg.solve(normal, basis.T @ values)) ** 2
        far = int(0.98 * (len(strayed) - 1))
        distance = float(np.sqrt(np.partition(strayed, far)[far]))
        weight = luma / (float(luma.sum()) + 1e-3)  # the dark has no hue to show
        return distance, float(np.hypot(*(weight @ values for values in chroma)))

    def tiles(self) -> Small:
        """Up to six native pieces side by side, from all over the picture, none on another."""
        luma = self.luma
        height, width = luma.shape
        tile = min(_TILE, height, width) // BLOCK * BLOCK
        if not tile:
            return np.zeros((0, 0), np.uint8)
        ys, xs = _spread(height, tile, (0.25, 0.75)), _spread(width, tile, (0.1, 0.5, 0.9))
        return self._coded(np.hstack([luma[y : y + tile, x : x + tile] for y in ys for x in xs]))

    def _coded(self, values: Plane) -> Small:
        """Codes as 0..255 of full scale, clipped, never wrapped round."""
        if not self.zero and self.gain == 1:
            return values.astype(np.uint8)
        arithmetic: Any = cv2  # its types know no scalars
        floats = arithmetic.subtract(values, (self.zero,), dtype=cv2.CV_32F)
        return np.asarray(arithmetic.multiply(floats, (self.gain,), dtype=cv2.CV_8U), np.uint8)


_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG


def _spread(length: int, tile: int, places: tuple[float, ...]) -> list[int]:
    """Where tiles begin along a length that has room for them; one in the middle, else at its ends."""
    room = length / tile
    if room < 1.75:
        places = (0.5,)
    elif room < 2.5:
        places = (places[0], places[-1])
    return sorted({round(place * (length - tile)) for place in places})


@lru_cache(maxsize=64)
def _kind_of(pix_fmt: str) -> tuple[bool, int, bool | None, int]:
    """Whether luma can be read as it lies; its bits; whether it is full range (None: as tagged)."""
    bits = int(av.VideoFormat(pix_fmt).components[0].bits)
    plain = _PLANAR.fullmatch(pix_fmt) is not None and bits <= 16
    full = True if pix_fmt.startswith(("yuvj", "gray")) else None
    return plain, bits, full, 1 if pix_fmt.startswith("gray") else 3


def _plane(frame: av.VideoFrame, number: int, bits: int) -> Plane:
    plane = frame.planes[number]
    kind = np.uint8 if bits <= 8 else np.dtype("<u2")
    rows = np.frombuffer(memoryview(plane), kind)
    rows = rows.reshape(-1, plane.line_size // np.dtype(kind).itemsize)
    return rows[: plane.height, : plane.width]


def _fitting(width: int, height: int, limit: int) -> tuple[int, int]:
    shrink = min(1.0, limit / width, 2 * limit / height)
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _area(plane: Plane, size: tuple[int, int]) -> Plane:
    """Shrink by averaging."""
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA))


def _percentiles(small: Small) -> tuple[float, float]:
    counts = np.cumsum(np.bincount(small.ravel(), minlength=256))
    low, high = np.searchsorted(counts, [0.02 * counts[-1], 0.98 * counts[-1]])
    return float(low), float(high)
