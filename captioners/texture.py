"""Grain and sharpness, on native pieces of a picture: shrinking would hide both.

The pieces lie side by side in one row, so that each step is one call for all of them; what looks at a
pixel's neighbours has each piece reflected at its borders.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "texture"]

Row = NDArray[np.uint8]
Floats = NDArray[np.float32]

BLOCK = 12  # pixels; the side of a piece is a multiple of it
_LEAST = 3 * BLOCK
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def texture(row: Row, before: Row | None) -> dict[str, float]:
    """Return grain (after Immerkaer 1996, in the calmest blocks), flatness and acuity.

    `row`: square pieces side by side (side, n * side); `before`: the same pieces a frame earlier. Empty
    where they are too small to tell anything.
    """
    side = row.shape[0]
    if side < _LEAST:
        return {}
    blocks = side // BLOCK

    def means(values: Floats | Row) -> Floats:
        size = (values.shape[1] // values.shape[0] * blocks, blocks)
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()

    kernel = _apart(row, lambda p: cv2.filter2D(p, cv2.CV_32F, _IMMERKAER))
    grain = means(kernel) * np.float32(np.sqrt(np.pi / 2) / 6)
    still = np.zeros(0, np.float32)
    if before is not None and before.shape == row.shape:
        difference = np.asarray(cv2.subtract(row, before, dtype=cv2.CV_32F), np.float32)
        pieces = difference.reshape(side, -1, side)
        pieces -= pieces.mean(axis=(0, 2), keepdims=True)  # a flicker is no grain
        still = means(np.abs(difference)) * np.float32(np.sqrt(np.pi) / 2)
    quarter = cv2.resize(row, (row.shape[1] // 4, side // 4), interpolation=cv2.INTER_AREA)
    fine, coarse = (
        means(_apart(np.asarray(one, np.uint8), lambda p: cv2.Laplacian(p, cv2.CV_32F)))
        for one in (row, quarter)
    )
    return {**_noise(grain, means(row), still), "acuity": _acuity(fine, coarse)}


def _apart(row: Row, look: Callable[[Row], NDArray[np.generic]]) -> Floats:
    """The size of what `look` (a filter of 3x3) finds in each piece, reflected at its borders."""
    side = row.shape[0]
    count = row.shape[1] // side
    padded = np.empty((side + 2, count, side + 2), np.uint8)
    padded[1:-1, :, 1:-1] = row.reshape(side, count, side)
    padded[0], padded[-1] = padded[2], padded[-3]
    padded[:, :, 0], padded[:, :, -1] = padded[:, :, 2], padded[:, :, -3]
    found = look(padded.reshape(side + 2, -1)).reshape(padded.shape)
    inner: Floats = np.abs(found[1:-1, :, 1:-1]).astype(np.float32)
    return inner.reshape(side, -1)


def _noise(grain: Floats, level: Floats, still: Floats) -> dict[str, float]:
    """The noise of the calmest sixth of the blocks that are neither black nor white."""
    usable = (level > 24) & (level < 232)
    flat = float(np.mean(usable))
    if usable.sum() < 12:
        return {"flat": flat}
    found = {"grain": _part(grain[usable], 0.15), "flat": flat}
    if len(still) == len(grain):
        found["grain_still"] = _part(still[usable], 0.15)
    return found


def _part(values: NDArray[np.floating], share: float) -> float:
    """The value that `share` of all are below, as it stands; np.quantile costs ten times as much."""
    at = int(share * (values.size - 1))
    return float(np.partition(values, at)[at])


def _acuity(fine: Floats, coarse: Floats) -> float:
    """Fine against coarse detail in the blocks that have most of it; NaN where there is none."""
    least = max(6.0, _part(coarse, 0.85))
    detailed = coarse >= least
    if detailed.sum() < 4:
        return float("nan")
    return float(np.median(fine[detailed] / coarse[detailed]))
