"""Where a take's picture stands: shifted, enlarged, turned or sheared against its source's.

A resampler that counts from the corner of pixels instead of their middle moves the picture by half a
pixel, a wrong aspect ratio or crop moves its edges: each frame looks right and none lies on its source.
"""

from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np

from scorers import Metric
from scorers.pair import Pair, Plane, at_lines, tiles
from scorers.session import FrameScorer, WindowSession

__all__ = ["Displacement"]

_LINES = 180  # of the pictures that are compared
_SMOOTH = 1.2  # pixels; makes steps along the gradient reach farther
_LEAST = 1e-5  # mean square of a gradient (0..1 a pixel) that a place can be told by
_STEPS = 3
_SURE = 3  # standard errors that are taken off: grain moves nothing
_PATCH = 25  # pixels that share one error, as grain and copies of copies leave them


class _PlaceSession(WindowSession[tuple[Plane, Plane]]):
    """Keeps each frame's field of displacements, and how uncertain it is."""

    REACH = 12
    EVERY = 4

    def see(self, pair: Pair) -> None:
        if pair.index % self.EVERY:
            return
        found = _field(*(at_lines(p, _LINES) for p in (pair.luma, pair.back)))
        if found is not None:
            scale = np.float32(pair.luma.shape[0] / min(_LINES, pair.luma.shape[0]))
            self.keep(pair.index, (scale * found[0], scale * found[1]))

    def judge(self, index: int, near: Mapping[int, tuple[Plane, Plane]]) -> None:
        field = np.median([field for field, _ in near.values()], axis=0)
        doubt = np.median([doubt for _, doubt in near.values()], axis=0)
        far = np.maximum(0, np.linalg.norm(field, axis=2) - _SURE * doubt)
        self.record(index, float(far.max()), far)


class Displacement(FrameScorer):
    """How far a take's picture lies from its source's, at the tile where it is farthest, in pixels.

    The affine map that brings T (at the source's size, of the source's mean and contrast) onto S, by
    iterated least squares along the gradient (Lucas and Kanade 1981) at no more than 180 lines; of
    each tile's middle the median over 12 frames on each side, so that a picture whose unsteadiness was
    taken away lies right; less three standard errors. In the source's pixels. Every fourth frame.
    """

    name = "displacement"
    about = Metric(
        "how far the picture lies from the source's: shifted, scaled, turned", "pixels", "lower",
        "0 up; to 0.1: none", source="Lucas and Kanade 1981", every=_PlaceSession.EVERY, cost=1.6,
    )  # fmt: skip
    session = _PlaceSession


def _field(source: Plane, take: Plane) -> tuple[Plane, Plane] | None:
    """By how many pixels (x, y) each tile of a take lies elsewhere, and the standard error of that.

    None where nothing tells.
    """
    if min(source.shape) < 32:
        return None
    source, take = (
        np.asarray(cv2.GaussianBlur(p, (0, 0), _SMOOTH), np.float32) for p in (source, take)
    )
    mean, spread = float(source.mean()), float(source.std())
    gain = np.float32(spread / max(float(take.std()), 1e-6))
    take = (take - np.float32(take.mean())) * gain + np.float32(mean)
    gx, gy = (cv2.Sobel(source, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1)))
    if float(np.mean(gx * gx + gy * gy)) < _LEAST:
        return None
    u, v = _coordinates(*source.shape)
    slopes = np.stack([gx, gx * u, gx * v, gy, gy * u, gy * v]).reshape(6, -1)
    normal = (slopes @ slopes.T).astype(np.float64)
    inverse = np.linalg.inv(normal + 1e-3 * np.trace(normal) / 6 * np.eye(6))
    field = np.zeros((*source.shape, 2), np.float32)
    for _ in range(_STEPS):
        error = (_moved(take, field) - source).ravel()
        a = (-inverse @ (slopes @ error)).astype(np.float32)
        field += np.stack((a[0] + a[1] * u + a[2] * v, a[3] + a[4] * u + a[5] * v), axis=-1)
    if not np.isfinite(field).all():
        return None
    basis = np.stack([np.ones_like(tiles(u)), tiles(u), tiles(v)], axis=-1)
    variance = _PATCH * float(np.mean(np.square(error))) * sum(
        np.einsum("rci,ij,rcj->rc", basis, inverse[at, at], basis) for at in _AXES
    )  # fmt: skip
    return _tiles_of(field), np.sqrt(np.maximum(variance, 0)).astype(np.float32)


_AXES = (slice(0, 3), slice(3, 6))


def _tiles_of(field: Plane) -> Plane:
    """Means of a field's tiles."""
    return np.stack([tiles(np.ascontiguousarray(field[..., n])) for n in (0, 1)], axis=-1)


def _moved(picture: Plane, field: Plane) -> Plane:
    """The picture as it is where the field says."""
    height, width = picture.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    at = np.stack((x, y), axis=-1) + field
    moved = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=2)
def _coordinates(height: int, width: int) -> tuple[Plane, Plane]:
    """Each pixel's place, -1..1 from edge to edge."""
    v, u = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    return u, v
